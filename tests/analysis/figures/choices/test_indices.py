"""Sensitivity indices of designs: whole blocks, run noise, lost rows and where they lie, verdicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import stats as sensitivity
from analysis.figures.choices import indices
from analysis.figures.choices.indices import Estimate
from analysis.read.results import Results, open_results
from analysis.stats import Index, Morris, Sobol
from tests.fakes import sensitivity as fake
from tests.fakes.designs import design_meta, saltelli

EVEN, SKEWED = fake.SCENARIOS
SEEDS = fake.SEEDS[:2]


def written(folder: Path, sheet: fake.Sheet, kind: str, n: int, **meta: Any) -> Results:
    return open_results(fake.write(folder, sheet, design=design_meta(kind, n), **meta))


def estimates(results: Results) -> list[Estimate]:
    return [indices.estimate(results, points) for points in indices.points_of(results)]


def test_a_sobol_design_uses_whole_blocks_and_says_what_was_lost(tmp_path: Path) -> None:
    unit, sheet = saltelli(20, 3), fake.Sheet()
    sheet.design(
        EVEN, unit[:92], lambda u: 0.5 + 0.2 * u[0], failed=[7], seeds=SEEDS
    )  # 18 blocks and 2 points
    results = written(tmp_path, sheet, "sobol", 20)
    points = indices.points_of(results)[0]
    assert points.y.shape == (90, 2) and np.flatnonzero(np.isnan(points.means)).tolist() == [7]
    assert points.y[0] == pytest.approx(
        0.5 + 0.2 * unit[0, 0] + np.array([fake.OFFSETS[s] for s in SEEDS]), abs=0.01
    )
    found = estimates(results)
    lam = found[0].rows[0]
    assert (lam["symbol"], lam["verdict"], found[0].dropped) == ("lam", "matters", 1)
    said = " ".join(indices.sentences(found))
    assert "lam matters" in said and "0 Saltelli blocks of 20 finished; it takes two" in said
    (exhibit,) = indices.exhibits(results, found)
    assert "18 of 20 Saltelli blocks, 1 dropped" in exhibit.caption and len(exhibit.panels) == 1
    assert exhibit.numbers is not None and f"{(unit[:90, 1] > 0.5).mean():.0%}" in str(exhibit.numbers.rows)


def test_inert_parameters_do_not_matter_however_noisy_the_runs_are(tmp_path: Path) -> None:
    """Noise of 5 points a run beside an effect of 9: every parameter was called important."""
    for kind, unit in (("sobol", saltelli(64, 3)), ("morris", morris_points(64))):
        sheet = fake.Sheet(noise=0.05)
        sheet.design(EVEN, unit, lambda u: 0.4 + 0.3 * u[0], seeds=SEEDS)
        results = written(tmp_path / kind, sheet, kind, 64, scenarios=[{"label": EVEN}])
        (found,) = (e for e in estimates(results) if e.points.scenario == EVEN)
        verdicts = {row["symbol"]: row["verdict"] for row in found.rows}
        assert verdicts["lam"] == "matters" and "matters" not in (verdicts["h"], verdicts["theta"])
        assert "run noise" in indices.state(found)


def test_one_seed_a_point_says_that_noise_is_not_known(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.05)
    sheet.design(EVEN, saltelli(64, 3), lambda u: 0.4 + 0.3 * u[0])
    results = written(tmp_path, sheet, "sobol", 64, scenarios=[{"label": EVEN}])
    found = estimates(results)[0]
    assert {row["symbol"]: row["verdict"] for row in found.rows} == {
        "lam": "matters",
        "h": "undecided",
        "theta": "undecided",
    }
    assert "does not show the run noise" in indices.state(found)


def test_real_estimators_find_what_the_design_was_made_of(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.design(EVEN, saltelli(64, 3), lambda u: 0.4 + 0.3 * u[0] + 0.01 * u[2])
    found = estimates(written(tmp_path, sheet, "sobol", 64, scenarios=[{"label": EVEN}]))[0]
    assert [(r["symbol"], r["verdict"]) for r in found.rows if r["symbol"] != "theta"] == [
        ("lam", "matters"),
        ("h", "does not matter"),
    ]
    assert found.rows[0]["value"] == pytest.approx(1.0, abs=0.05) and not found.reason


def test_it_says_in_which_range_runs_diverged(tmp_path: Path) -> None:
    unit, sheet = saltelli(40, 3), fake.Sheet()
    sheet.design(EVEN, unit, lambda u: 0.5, failed=np.flatnonzero(unit[:, 0] > 0.8).tolist(), seeds=SEEDS)
    found = estimates(written(tmp_path, sheet, "sobol", 40, scenarios=[{"label": EVEN}]))[0]
    assert "no fair sample" in found.reason and len(found.lost) == 1
    assert found.lost[0].startswith("lam from 0.1")
    assert "lost mostly at lam from 0.1" in indices.sentences([found])[0]


def morris_points(n: int) -> np.ndarray:
    from raysim.search.plans import designs

    return designs.morris(3, 4 * n, seed=0)[0]


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
        results = written(tmp_path / str(met), sheet, kind, 16, scenarios=[{"label": EVEN}])
        (found,) = (e for e in estimates(results) if e.points.scenario == EVEN)
        verdicts[met] = {r["symbol"]: r["verdict"] for r in found.rows}
        assert [r["symbol"] for r in found.rows if r["seldom"]] == ["theta"] * (met == 2)
        (exhibit,) = indices.exhibits(results, [found])
        assert exhibit.numbers is not None
        assert ("too seldom for a verdict" in str(exhibit.numbers.rows)) == (met == 2)
    assert verdicts[2] == verdicts[3] | {"theta": "undecided"} and verdicts[3]["theta"] == "matters"


def test_a_design_that_is_withheld_shows_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit, sheet = np.random.default_rng(1).integers(0, 4, size=(12, 3)) / 3, fake.Sheet()
    sheet.design(EVEN, unit, lambda u: 0.5 + 0.2 * u[0])
    results = written(tmp_path, sheet, "morris", 3, scenarios=[{"label": EVEN}])
    lost = Morris((), (), (), 2, 1, "11 % of the trajectories are lost")
    monkeypatch.setattr(sensitivity, "morris_effects", lambda *_, **__: lost)
    found = [e for e in estimates(results) if e.points.scenario == EVEN]
    (exhibit,) = indices.exhibits(results, found)
    assert "withheld: 11 % of the trajectories are lost" in exhibit.missing and not exhibit.panels
