"""The search and its optimism gap, on paper."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analysis.figures.searching import optimism, search
from analysis.read.results import Results
from analysis.verdicts import verdict_tables
from tests.fakes.trials import confirm, written

BASE: dict[str, Any] = {
    "method": "m",
    "scenario": "A",
    "study": "m | A",
    "kind": "search",
    "runs": ["x", "y"],
}


def test_optimism_gap_uses_the_configuration_that_was_confirmed(tmp_path: Path) -> None:
    complete = {**BASE, "state": "COMPLETE", "seeds": [1, 2], "factor": None}
    trials = [
        {**complete, "label": "a", "params": '{"x": 1}', "objective": 0.9, "acc_personal_own": [0.9, 0.9]},
        {**complete, "label": "b", "params": '{"x": 2}', "objective": 0.8, "acc_personal_own": [0.7, 0.9]},
        {
            **confirm("m (tuned)", "A", [0.6, 0.7], [8, 9]),
            "params": '{"x": 2}',
            "acc_personal_own": [0.65, 0.75],
        },
    ]
    results = written(tmp_path, trials)
    verdict_tables(results)
    rows = results.sql(optimism.QUERY)
    assert {row["chosen"] for row in rows} == {"b"}
    assert {row["stage"]: row["mean"] for row in rows} == pytest.approx(
        {"search": 0.8, "validation": 0.7, "test": 0.65}
    )


def test_the_floors_of_the_same_seeds_stand_beside_each_stage(whole: Results) -> None:
    rows = [row for row in whole.sql(optimism.QUERY) if row["kind"] == "floor"]
    places = [(row["scenario"], row["label"], row["stage"]) for row in rows]
    assert len(places) == len(set(places)) == 2 * 2 * 3  # scenarios, floors, stages
    assert {(row["stage"], row["x"], row["seeds"]) for row in rows} == {
        ("search", 0, 3),
        ("validation", 1, 5),
        ("test", 2, 5),
    }


def test_best_so_far_counts_complete_trials_only(tmp_path: Path) -> None:
    states = [("COMPLETE", 0.5), ("PRUNED", 0.9), ("FAIL", None), ("FAIL", float("nan")), ("COMPLETE", 0.4)]
    states.append(("COMPLETE", 0.6))
    trials = [
        {**BASE, "state": s, "objective": v, "label": f"tpe {i}", "seeds": [1, 2], "factor": None}
        for i, (s, v) in enumerate(states)
    ]
    rows = written(tmp_path, trials).sql(search.QUERY)
    assert [row["best"] for row in rows] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6] and rows[3]["objective"] is None


def test_a_trial_of_one_seed_has_no_bar_and_one_of_three_has_one(whole: Results) -> None:
    rows = [row for row in whole.sql(search.QUERY) if row["state"] == "COMPLETE"]
    assert all(row["low"] < row["objective"] < row["high"] for row in rows if row["seeds"] > 1)
    exhibit = search.exhibit_search(whole)
    assert exhibit.panels and "interval over seeds (bar; none with one seed)" in exhibit.caption
