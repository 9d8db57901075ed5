"""Names of scenarios."""

from __future__ import annotations

import pytest

from raysim.core.errors import UserError
from raysim.search.options import SweepOptions
from raysim.search.plans.sweep_plan import SweepPlan
from tests.fakes.sweeps import (
    toy_space,
)


def test_scenarios_that_share_a_label_are_told_apart() -> None:
    scenarios = (
        {"scenario": "even", "scenario.clients": 5},
        {"scenario": "even", "scenario.clients": 6, "task.classes": 12},
        {"scenario": "domain", "scenario.clients": 6},
    )
    assert list(toy_space(scenarios=scenarios).experiments()) == [
        "even, all classes, 5 clients",
        "even, 12 classes, 6 clients",
        "domain per client",
    ]
    with pytest.raises(UserError, match="two are called"):
        toy_space(scenarios=({"scenario": "even"}, {"scenario": "even", "scenario.clients": 5})).experiments()
    with pytest.raises(UserError, match="asked for twice"):
        SweepPlan(
            [toy_space(), toy_space()], SweepOptions(trials=1, seeds=1, minutes=None, contrasts=True, slots=1)
        )
