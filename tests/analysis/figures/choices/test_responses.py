"""Response curves: intervals over blocks, and which choices have a curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from analysis.figures.choices import indices, responses
from analysis.figures.rows import is_plain_number
from analysis.read.results import open_results
from analysis.verdicts import verdict_tables
from tests.fakes import answers
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
    lam = [r for r in rows if r["path"] == "method.lam"]
    assert (
        len(lam) == responses.BINS
        and all(r["blocks"] <= 16 for r in rows)
        and sum(r["points"] for r in lam) == 80
    )
    assert [r["mean"] for r in lam] == sorted(r["mean"] for r in lam)
    asked = next(r for r in rows if r["path"] == "method.theta")
    assert sum(r["points"] for r in rows if r["path"] == "method.theta") < 80 and asked["low"] is not None


def test_curves_need_three_values_and_plain_numbers(full_sweep: Path, tmp_path: Path) -> None:
    results = open_results(full_sweep)
    verdict_tables(results)
    rows = responses.table_responses(results)
    lam = [r for r in rows if r["path"] == "method.lam" and r["scenario"] == EVEN]
    assert [r["x"] for r in lam] == [0.005, 0.02, 0.1, 0.5]
    assert [(r["mean"], r["low"]) == (0, None) for r in lam] == [False, True, False, False]  # the anchor
    assert {r["path"] for r in rows} == {"method.lam", "method.h"}
    levels = ("1e-3", "0.5", "5.0, s=1.0", "True", "nan", "0.020")  # only the first two are other numbers
    rows = [answers.verdict(level=level, estimate=0.01) for level in levels]
    rows.append(answers.verdict("choice", "diverges", level="0.9"))
    found = responses.table_responses(open_results(answers.write(tmp_path / "r", rows)))
    assert [r["x"] for r in found] == [0.001, 0.02, 0.5]
    factors = [
        {"path": "method.lam", "symbol": "lam", "anchor": anchor, "levels": []} for anchor in ("0.02", True)
    ]
    for factor, many in zip(factors, (3, 0), strict=True):  # a number as text is one, a truth value is none
        shown = open_results(answers.write(tmp_path / str(many), rows, factors=[factor]))
        assert len(responses.table_responses(shown)) == many
    assert not is_plain_number(True) and not is_plain_number("1e-3") and is_plain_number(4)


def test_bins_hold_equal_values_together_and_as_many_points_as_they_can() -> None:
    few = [list(inside) for inside in responses._bins(np.array([2.0, 1.0, np.nan, 2.0]))]
    assert few == [[1], [0, 3]] and not [*responses._bins(np.ones(4))]
    x = np.repeat(np.arange(20.0), [9, *[1] * 19])
    many = [set(x[inside]) for inside in responses._bins(x)]
    assert sum(map(len, many)) == 20 and 1 < len(many) <= responses.BINS
