"""Response curves: intervals over blocks, and which choices have a curve."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.choices import indices, responses
from analysis.pages.sensitivity_page import _with_anchors
from analysis.read.results import open_results
from analysis.verdicts import verdict_tables
from tests.fakes import sensitivity as fake
from tests.fakes.designs import design_meta, saltelli

EVEN, SKEWED = fake.SCENARIOS


def test_binned_responses_have_intervals_over_blocks(tmp_path: Path) -> None:
    sheet = fake.Sheet(noise=0.0)
    sheet.design(EVEN, saltelli(16, 3), lambda u: 0.4 + 0.3 * u[0])
    rows = responses.table_binned(
        results := open_results(fake.write(tmp_path, sheet, design=design_meta("sobol", 16))),
        indices.points_of(results),
    )
    lam = [r for r in rows if r["symbol"] == "lam"]
    assert (
        len(lam) == responses.BINS
        and all(r["blocks"] <= 16 for r in rows)
        and sum(r["points"] for r in lam) == 80
    )
    assert [r["mean"] for r in lam] == sorted(r["mean"] for r in lam)
    asked = next(r for r in rows if r["symbol"] == "theta")
    assert sum(r["points"] for r in rows if r["symbol"] == "theta") < 80 and asked["low"] is not None


def test_curves_need_three_values_and_plain_numbers(full_sweep: Path) -> None:
    results = open_results(full_sweep)
    verdict_tables(results)
    rows = responses.table_responses(_with_anchors(results))
    lam = [r for r in rows if r["symbol"] == "lam" and r["scenario"] == EVEN]
    assert [r["x"] for r in lam] == [0.005, 0.02, 0.1, 0.5] and [r["anchor"] for r in lam] == [
        False,
        True,
        False,
        False,
    ]
    assert {r["symbol"] for r in rows} == {"lam", "h"}
    assert (
        responses.number("5.0, s=1.0") is None
        and responses.number(True) is None
        and responses.number("1e-3") == 0.001
    )
