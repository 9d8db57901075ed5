"""The search and its optimism gap, on paper."""

from __future__ import annotations

import pytest

from analysis.figures.searching import optimism, search
from tests.fakes.trials import confirm, sweep_of


def test_optimism_gap_uses_the_configuration_that_was_confirmed() -> None:
    base = {"method": "m", "scenario": "A", "study": "m | A", "state": "COMPLETE", "seeds": [1, 2]}
    trials = [
        {
            **base,
            "kind": "search",
            "label": "a",
            "params": '{"x": 1}',
            "objective": 0.9,
            "acc_personal_own": [0.9, 0.9],
        },
        {
            **base,
            "kind": "search",
            "label": "b",
            "params": '{"x": 2}',
            "objective": 0.8,
            "acc_personal_own": [0.7, 0.9],
        },
        {
            **confirm("m (tuned)", "A", [0.6, 0.7], [8, 9]),
            "params": '{"x": 2}',
            "acc_personal_own": [0.65, 0.75],
        },
    ]
    (row,) = optimism.table_optimism(sweep_of(trials))
    assert row["chosen"] == "b" and row["exact"]
    assert [row[k].mean for k in ("search", "validation", "test")] == pytest.approx([0.8, 0.7, 0.65])
    assert row["gap"].mean == pytest.approx(-0.05)


def test_best_so_far_counts_complete_trials_only() -> None:
    base = {"method": "m", "scenario": "A", "study": "m | A", "kind": "search", "label": "", "factor": None}
    states = [
        ("COMPLETE", 0.5),
        ("PRUNED", 0.9),
        ("FAIL", None),
        ("FAIL", float("nan")),
        ("COMPLETE", 0.4),
        ("COMPLETE", 0.6),
    ]
    rows = search.table_search(sweep_of([{**base, "state": s, "objective": v} for s, v in states]))
    assert [r["best"] for r in rows] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.6] and rows[3]["objective"] is None
