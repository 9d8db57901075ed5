"""Pruning thresholds compare with completed batches only."""

from __future__ import annotations

import numpy as np
import pytest

from raysim.search.options import SweepOptions
from raysim.search.plans.protocol import WAIT
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.trial_spec import BATCH, TrialSpec
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
    first = [plan.next() for _ in range(BATCH)]
    assert plan.next() == WAIT and all(isinstance(spec, TrialSpec) and not spec.thresholds for spec in first)
    for spec in first:
        assert isinstance(spec, TrialSpec)
        plan.tell(spec, toy_row(spec))
    second = plan.next()
    assert isinstance(second, TrialSpec)
    values = [toy_value(spec) - 0.1 for spec in first if isinstance(spec, TrialSpec)]
    assert second.thresholds[5] == pytest.approx(np.median(values))
    assert set(second.thresholds) == {5, 10}
