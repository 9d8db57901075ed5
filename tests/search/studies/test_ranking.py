"""Pruning thresholds compare with completed batches only, and prune as often early as late."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from raysim.search.options import SweepOptions
from raysim.search.plans.protocol import WAIT
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.studies.ranking import is_complete, objective_values, pruning_thresholds
from raysim.search.trial_spec import BATCH, TrialSpec
from raysim.storage.trials import TrialRow, complete_row
from tests.fakes.sweeps import (
    toy_row,
    toy_space,
    toy_value,
)


def test_rungs_compare_with_completed_batches_only() -> None:
    plan = SweepPlan(
        [toy_space(scenarios=({"scenario": "even"},), contrasts={})],
        SweepOptions(trials=2 * BATCH, seeds=1, minutes=None, contrasts=False, slots=BATCH),
    )
    anchor = plan.next()
    assert isinstance(anchor, TrialSpec) and plan.next() == WAIT
    plan.tell(anchor, toy_row(anchor))
    first = [plan.next() for _ in range(BATCH)]
    assert plan.next() == WAIT and all(isinstance(spec, TrialSpec) and not spec.thresholds for spec in first)
    for spec in first:
        assert isinstance(spec, TrialSpec)
        plan.tell(spec, toy_row(spec))
    second = plan.next()
    assert isinstance(second, TrialSpec)
    values = sorted(toy_value(spec) for spec in (anchor, *first) if isinstance(spec, TrialSpec))
    assert second.thresholds == {5: pytest.approx(np.median(values) - 0.1)}, "three reach the second rung"


def ended(curve: list[float], state: str) -> TrialRow:
    points = [[5 * (place + 1), value] for place, value in enumerate(curve)]
    return complete_row({"state": state, "curve": json.dumps(points)})


@pytest.mark.parametrize("contrasts", [0, 12])
@pytest.mark.parametrize("correlation", [0.3, 0.9])
def test_exchangeable_trials_are_pruned_as_often_early_as_late(contrasts: int, correlation: float) -> None:
    """20 searches of 76 trials that are all alike: no batch is pruned more often than another.

    Half are pruned at the first rung, and half of the rest at the second one. With thresholds of the complete
    trials alone, 79 % are pruned early and 94 % late, and 74 % and 86 % with contrasts before the search.
    """
    rng, pruned = np.random.default_rng(0), []
    for _ in range(60):
        rows = [ended(drawn_curve(rng, correlation), "COMPLETE") for _ in range(contrasts)]
        searched = []
        for _ in range(19):
            thresholds = pruning_thresholds(rows, 20, 5)
            batch = [pruned_at(drawn_curve(rng, correlation), thresholds) for _ in range(BATCH)]
            searched += [row["state"] == "PRUNED" for row in batch]
            rows += batch
        pruned.append(searched)
    early, late = np.array(pruned)[:, 16:36], np.array(pruned)[:, 56:]
    standard_error = (0.75 * 0.25 * 2 / early.size) ** 0.5
    assert abs(float(late.mean()) - float(early.mean())) < 3 * standard_error
    assert abs(float(late.mean()) - 0.75) < 3 * standard_error


def drawn_curve(rng: np.random.Generator, correlation: float) -> list[float]:
    """Return values at the two rungs and at the end, each of unit variance, correlated by skill."""
    skill = rng.normal() * correlation**0.5
    return list(skill + rng.normal(size=3) * (1 - correlation) ** 0.5)


def pruned_at(curve: list[float], thresholds: dict[int, float]) -> TrialRow:
    """Return the row of a trial that is stopped at the first rung where it is below the threshold."""
    for rung, place in ((5, 0), (10, 1)):
        if curve[place] < thresholds.get(rung, -np.inf):
            return ended(curve[: place + 1], "PRUNED")
    return ended(curve, "COMPLETE")


def test_a_lost_seed_counts_as_zero_in_every_accuracy() -> None:
    nan = float("nan")
    columns: dict[str, Any] = {
        "state": "COMPLETE",
        "objective": 0.4,
        "outcomes": ["complete", "diverged", "complete"],
        "acc_personal_global": [0.6, nan, 0.3],
        "acc_shared_own": [nan, nan, nan],
    }
    row = complete_row(columns)
    assert objective_values(row, ["acc_personal_own", "acc_personal_global"]) == pytest.approx([0.4, 0.3])
    assert is_complete(row, ["acc_personal_global"])
    assert not is_complete(row, ["acc_shared_own"]), "no seed has it: the method has no shared model"


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "the newest first"])
def test_of_equal_configurations_the_first_of_the_plan_wins_whichever_ended_first(order: int) -> None:
    """Else a worker that was lost, and repeated its trial, would change what is confirmed."""
    space = toy_space(scenarios=({"scenario": "even"},))
    plan = SweepPlan([space], SweepOptions(trials=1, seeds=1, minutes=None, race_seeds=0, slots=9))
    specs = []
    while isinstance(spec := plan.next(), TrialSpec):
        specs.append(spec)
    assert len(specs) > 2
    for spec in specs[::order]:
        plan.tell(spec, {**toy_row(spec), "objective": 0.5})
    best = plan.studies[0].best()
    assert best is not None and best["label"] == specs[0].label
