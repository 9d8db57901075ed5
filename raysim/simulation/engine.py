"""The contract of an engine: the place where clients train."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from raysim.core.types import InitialState, MicroCohort, Score, ServerState, Split, Update
from raysim.simulation.worker import Worker

Result = TypeVar("Result")


class Engine(Protocol):
    """Trains and evaluates micro-cohorts. Every engine gives the same bits, in the order that was asked for.

    `experiment` is the experiment as canonical JSON without its resources (`raysim.experiment.identity`).
    """

    def initial(self, experiment: str) -> InitialState:
        """Return what the run starts from."""

    def train(
        self, experiment: str, state: ServerState, micro_cohorts: Sequence[MicroCohort]
    ) -> Iterable[Update]:
        """Yield one update per micro-cohort, each once. Large updates come as they are done."""

    def evaluate(
        self, experiment: str, state: ServerState, micro_cohorts: Sequence[MicroCohort], split: Split
    ) -> list[Score | None]:
        """Return one score per micro-cohort; None where there is no such model."""

    def run(
        self, experiment: str, function: Callable[[Worker, ServerState], Result], state: ServerState
    ) -> Result:
        """Return `function(worker, state)`, computed by one worker, where the images are."""

    def describe(self, vault: str) -> dict[str, Any]:
        """Return for run.json how large private states travel, where clients train on several hosts.

        Args:
            vault: The folder of large private states.
        """

    def close(self) -> None:
        """Give back processes and reserved resources."""
