"""Sensitivity indices of designs: whole blocks, lost rows, verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import stats as sensitivity
from analysis import write_report
from analysis.figures.choices import (
    indices,
)
from analysis.read.results import open_results
from analysis.stats import Index, Morris, Sobol
from tests.fakes import sensitivity as fake
from tests.fakes.designs import design_meta, saltelli
from tests.fakes.pages import page_text

EVEN, SKEWED = fake.SCENARIOS


@pytest.fixture
def estimators(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Estimators that remember what they were given and answer with fixed intervals."""
    seen: dict[str, Any] = {"reason": ""}

    def answer(names: list[str], values: list[tuple[float, float | None, float | None]]) -> list[Index]:
        return (
            [Index(name, *ends) for name, ends in zip(names, values, strict=True)]
            if not seen["reason"]
            else []
        )

    def sobol(y: np.ndarray, names: list[str], second: bool, confidence: float) -> Sobol:
        seen["y"] = y
        total = tuple(answer(names, [(0.7, 0.6, 0.8), (0.02, 0.0, 0.03), (0.1, 0.01, 0.2)]))
        return Sobol(total, total, (), len(y) // 5, int(np.isnan(y).sum()), seen["reason"])

    def morris(u: np.ndarray, y: np.ndarray, names: list[str], levels: int, confidence: float) -> Morris:
        seen["u"], seen["y"] = u, y
        star = tuple(answer(names, [(0.05, 0.03, 0.07), (0.005, 0.002, 0.008), (0.02, None, None)]))
        return Morris(star, star, star, len(y) // 4, 0, seen["reason"])

    monkeypatch.setattr(sensitivity, "sobol_indices", sobol)
    monkeypatch.setattr(sensitivity, "morris_effects", morris)
    return seen


def test_a_sobol_design_uses_whole_blocks_and_says_what_was_lost(
    tmp_path: Path, estimators: dict[str, Any]
) -> None:
    unit, sheet = saltelli(8, 3), fake.Sheet()
    sheet.design(
        EVEN, unit[:32], lambda u: 0.5 + 0.2 * u[0], failed=[7]
    )  # six blocks of five, and two points of the seventh
    made = fake.write(tmp_path, sheet, design=design_meta("sobol", 8))
    write_report(made)
    said = page_text(made)
    assert len(estimators["y"]) == 30 and np.flatnonzero(np.isnan(estimators["y"])).tolist() == [7]
    assert estimators["y"][0] == pytest.approx(0.5 + 0.2 * unit[0, 0] + fake.OFFSETS[0], abs=0.01)
    assert (
        "lam matters; h does not; 1 parameter is undecided" in said
        and "6 of 8 Saltelli blocks, 1 dropped" in said
    )
    assert (
        "withheld: 0 Saltelli blocks of 8 finished; it takes two" in said
    )  # the other scenario has none yet
    assert f"{(unit[:30, 1] > 0.5).mean():.0%}" in said


def test_real_estimators_find_what_the_design_was_made_of(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.design(EVEN, saltelli(64, 3), lambda u: 0.4 + 0.3 * u[0] + 0.01 * u[2])
    made = fake.write(tmp_path, sheet, design=design_meta("sobol", 64), scenarios=[{"label": EVEN}])
    results = open_results(made)
    found = indices.estimate(results, indices.points_of(results)[0])
    assert [(r["symbol"], r["verdict"]) for r in found.rows if r["symbol"] != "theta"] == [
        ("lam", "matters"),
        ("h", "does not matter"),
    ]
    assert found.rows[0]["value"] == pytest.approx(1.0, abs=0.05) and not found.reason


@pytest.mark.parametrize(("kind", "size"), [("sobol", 5), ("morris", 4)])
def test_what_a_switch_seldom_reaches_is_undecided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, size: int
) -> None:
    """With 16 groups theta is met in 2 on average: its interval is too short to be judged by."""
    far = (
        Index("method.lam", 0.7, 0.6, 0.8),
        Index("method.h", 0.001, 0.0, 0.002),
        Index("method.theta", 0.5, 0.4, 0.6),
    )
    monkeypatch.setattr(
        sensitivity, "sobol_indices", lambda y, *_, **__: Sobol(far, far, (), len(y) // size, 0, "")
    )
    monkeypatch.setattr(
        sensitivity, "morris_effects", lambda u, y, *_, **__: Morris(far, far, far, len(y) // size, 0, "")
    )
    unit, verdicts = np.full((16 * size, 3), 0.2), {}
    for met in (2, 3):
        unit[: met * size, 1] = 0.8
        sheet = fake.Sheet()
        sheet.design(EVEN, unit, lambda u: 0.5)
        made = fake.write(
            tmp_path / str(met), sheet, design=design_meta(kind, 16), scenarios=[{"label": EVEN}]
        )
        write_report(made)
        results = open_results(made)
        (found,) = [indices.estimate(results, p) for p in indices.points_of(results) if p.scenario == EVEN]
        verdicts[met] = {r["symbol"]: r["verdict"] for r in found.rows}
        assert [r["symbol"] for r in found.rows if r["seldom"]] == ["theta"] * (met == 2)
        assert ("too seldom for a verdict" in page_text(made)) == (met == 2)
    assert verdicts[2] == verdicts[3] | {"theta": "undecided"} and verdicts[3]["theta"] == "matters"


def test_a_morris_design_and_one_that_is_withheld(tmp_path: Path, estimators: dict[str, Any]) -> None:
    unit, sheet = np.random.default_rng(1).integers(0, 4, size=(12, 3)) / 3, fake.Sheet()
    sheet.design(EVEN, unit, lambda u: 0.5 + 0.2 * u[0])
    made = fake.write(tmp_path, sheet, design=design_meta("morris", 3), scenarios=[{"label": EVEN}])
    results = open_results(made)
    (found,) = [indices.estimate(results, p) for p in indices.points_of(results) if p.scenario == EVEN]
    assert [r["verdict"] for r in found.rows] == ["matters", "undecided", "does not matter"]
    assert estimators["u"] == pytest.approx(unit)
    estimators["reason"] = "11 % of the trajectories are lost"
    write_report(made)
    assert (
        "withheld: 11 % of the trajectories are lost" in page_text(made)
        and "mu*" not in page_text(made).split("What can be trusted")[0]
    )
