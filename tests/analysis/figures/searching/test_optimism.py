"""The optimism of a search."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.searching import optimism
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS


def test_the_promise_of_a_tuned_rival_is_that_of_its_own_search(full_sweep: Path) -> None:
    rows = {(r["entry"], r["scenario"]): r for r in optimism.table_optimism(open_results(full_sweep))}
    assert rows["near", EVEN]["chosen"] == "tpe 1" and rows["near", EVEN]["study"] == f"m near | {EVEN}"
    assert rows["m", EVEN]["chosen"] == "tpe 4" and rows["m", EVEN]["test"].n == 4
    assert len(rows) == 4
