"""Agreement of scenarios on the ranks of choices, and importances over the trials of a search."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import stats as sensitivity
from analysis.figures.choices import ranks
from analysis.read.results import Results, open_results
from analysis.stats import Index
from analysis.verdicts import verdict_tables
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS


def judged(folder: Path, sheet: fake.Sheet) -> Results:
    results = open_results(fake.write(folder, sheet))
    verdict_tables(results)
    return results


def both(noise: float, scale: float) -> fake.Sheet:
    sheet = fake.Sheet(noise=noise)
    for scenario in fake.SCENARIOS:
        sheet.contrasts(scenario, 0.6, scale)
    return sheet


def test_choices_are_ranked_by_a_size_without_noise(tmp_path: Path) -> None:
    results = judged(tmp_path, both(0.002, 1.0))
    rows, (pair,) = ranks.table_ranks(results)
    size = {r["symbol"]: r["size"] for r in rows if r["scenario"] == EVEN}
    assert list(size) == ["lam", "h", "fusion"]  # lam: sqrt((0 + 2 * 2 + 6 * 6) / 3) points, h: 3 / sqrt(2)
    assert size["lam"] == pytest.approx(0.0365, abs=0.003) and size["h"] == pytest.approx(0.0212, abs=0.003)
    assert size["fusion"] < 0.003
    assert pair["tau"] == 1 and pair["verdict"] == "alike" and pair["seeds"] == 4
    exhibit, table = ranks.exhibit(results, rows), ranks.table(results, [pair])
    assert exhibit is not None and exhibit.panels and table is not None and table.rows[0][-1].text == "alike"
    assert "The choices rank alike under " in ranks.sentences([pair])[0]


def test_rankings_of_noise_are_undecided(tmp_path: Path) -> None:
    _, (pair,) = ranks.table_ranks(judged(tmp_path, both(0.03, 0.0)))
    assert pair["verdict"] == "undecided" and ranks.sentences([pair]) == [
        "Nothing shows that two scenarios rank the choices alike, or that they do not."
    ]
    some = [{**pair, "verdict": "alike"}, {**pair, "seeds": 2}]
    assert ranks.sentences(some)[0].endswith(
        "1 other pair of scenarios is undecided. It takes 4 seeds for a verdict; 2 ran."
    )
    assert pair["low"] < 0 < pair["high"]


def test_a_choice_with_a_level_that_diverged_has_the_largest_effect(tmp_path: Path) -> None:
    sheet = both(0.002, 1.0)
    for row in sheet.rows:
        if row["scenario"] == EVEN and row["factor"] == "method.h":
            row |= {"state": "FAIL", "reason": "diverged: loss is NaN", "acc_personal_own": None}
    rows, _ = ranks.table_ranks(judged(tmp_path, sheet))
    found = [(r["symbol"], r["rank"]) for r in rows if r["scenario"] == EVEN]
    assert found == [("h", 1), ("lam", 2), ("fusion", 3)] and rows[0]["size"] == 1.0


@pytest.mark.parametrize(
    ("r2", "reason"), [(0.9, ""), (0.5, "the surrogate's held-out R2 is 0.50, under 0.8")]
)
def test_importances_are_labelled_diagnostics_or_withheld(
    full_sweep: Path, monkeypatch: pytest.MonkeyPatch, r2: float, reason: str
) -> None:
    columns = (
        {"fANOVA": (Index("method.lam", 0.9),), "permutation": (Index("method.lam", 0.7, 0.6, 0.8),)}
        if not reason
        else {}
    )
    made = sensitivity.Importances(columns, r2, 30, {}, {"method.lam": 1.0}, reason)
    monkeypatch.setattr(sensitivity, "importances", lambda *_, **__: made)
    results = open_results(full_sweep)
    shown = ranks.exhibit_importances(results)
    assert shown is not None and "no verdict" in shown.title
    if reason:
        assert f"withheld, {reason}" in shown.missing
    else:
        assert (
            "diagnostics of an adaptive search" in shown.caption
            and "held-out R2 0.90" in shown.caption
            and shown.panels
            and shown.numbers is not None
        )
    results.meta["status"] = "running"
    running = ranks.exhibit_importances(results)
    assert running is not None and running.missing == "It is computed when the sweep has ended."
