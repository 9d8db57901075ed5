"""Stress plans that are played without training, on a clock that the test moves."""

from __future__ import annotations

from typing import Any

from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow, complete_row
from raysim.stress.plan import StressOptions, StressPlan


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def stress_options(**changes: Any) -> StressOptions:
    return StressOptions(**{"seeds": 2, "slots": 1, "quick": True, "cases": ("dirichlet",), **changes})


def stress_row(spec: TrialSpec, seconds: float = 10.0, state: str = "COMPLETE") -> TrialRow:
    return complete_row(
        {
            "key": spec.key,
            "study": spec.study,
            "factor": spec.factor,
            "level": spec.level,
            "label": spec.label,
            "state": state,
            "wall_seconds": seconds,
            "reason": "",
        }
    )


def play(
    plan: StressPlan, clock: Clock | None = None, seconds: float = 10.0, most: int = 10_000
) -> list[TrialSpec]:
    """Run one trial after the other, and return what was run."""
    done: list[TrialSpec] = []
    while len(done) < most and isinstance(spec := plan.next(), TrialSpec):
        if spec.key in plan.stored:
            plan.tell(spec, plan.stored[spec.key])
            continue
        if clock is not None:
            clock.now += seconds
        plan.tell(spec, stress_row(spec, seconds))
        done.append(spec)
    return done
