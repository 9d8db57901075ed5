"""The serial engine: everything in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from raysim.core.types import InitialState, MicroCohort, Score, ServerState, Split, Update
from raysim.experiment.resources import Resources
from raysim.simulation.device import device_of
from raysim.simulation.engine import Result
from raysim.simulation.worker import Worker, worker_of

CPU_ONLY = Resources(gpus=0)


class Serial:
    """Trains in this process: for a debugger, for one small run, and as the reference of the Ray engine.

    See `raysim.simulation.engine.Engine` for what each method returns.
    """

    def __init__(self, resources: Resources = CPU_ONLY) -> None:
        """Remember the resources.

        Args:
            resources: Above `gpus = 0` the GPU is used, where there is one.
        """
        self.resources = resources

    def worker(self, experiment: str) -> Worker:
        """Return the warm worker of an experiment on the device that the resources ask for."""
        return worker_of(experiment, device_of(self.resources))

    def initial(self, experiment: str) -> InitialState:
        """Return what the run starts from."""
        return self.worker(experiment).initial()

    def train(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort]
    ) -> Iterable[Update]:
        """Train one micro-cohort after the other, each when its update is asked for."""
        return (self.worker(experiment).train(state, cohort) for cohort in micro_cohorts)

    def evaluate(
        self, experiment: str, state: ServerState, micro_cohorts: Iterable[MicroCohort], split: Split
    ) -> list[Score | None]:
        """Score one micro-cohort after the other."""
        return [self.worker(experiment).evaluate(state, cohort, split) for cohort in micro_cohorts]

    def run(
        self, experiment: str, function: Callable[[Worker, ServerState], Result], state: ServerState
    ) -> Result:
        """Call the function here."""
        return function(self.worker(experiment), state)

    def describe(self, vault: str) -> dict[str, Any]:
        """Return nothing: all is in one process."""
        return {}

    def close(self) -> None:
        """Do nothing: there is nothing to give back."""
