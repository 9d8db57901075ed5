"""The front of a search."""

from __future__ import annotations

from pathlib import Path

from analysis.figures.searching import optimism, pareto
from analysis.read.results import open_results
from tests.fakes import sensitivity as fake

EVEN, SKEWED = fake.SCENARIOS


def test_no_trial_of_the_front_is_beaten_and_confirmed_ones_are_marked(full_sweep: Path) -> None:
    results = open_results(full_sweep)
    rows = [row for row in pareto.table_pareto(results) if row["study"] == f"m | {EVEN}"]
    points = [(row["acc_personal_own"], -row["bytes_up"]) for row in rows]
    for row, mine in zip(rows, points, strict=True):
        beaten = any(
            all(o >= m for o, m in zip(other, mine, strict=True)) and other != mine for other in points
        )
        assert row["front"] == (not beaten)
    front = {row["label"] for row in rows if row["front"]}
    assert "tpe 4" in front and "tpe 5" not in front
    assert [row["label"] for row in rows if row["confirmed"] and row["front"]] == ["tpe 4"]
    exhibit, table = pareto.exhibit(results), pareto.table(results)
    assert exhibit and "bytes sent up (least)" in exhibit.caption
    assert table and "test: accuracy (personal, own distribution), %" in table.columns


def test_the_promise_of_a_tuned_rival_is_that_of_its_own_search(full_sweep: Path) -> None:
    rows = open_results(full_sweep).sql(optimism.QUERY)
    chosen = {(row["label"], row["scenario"]): row["chosen"] for row in rows if row["kind"] != "floor"}
    assert chosen["near", EVEN] == "tpe 1" and chosen["m", EVEN] == "tpe 4" and len(chosen) == 4
