"""The reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from raysim.core.types import Gallery, InitialState, MicroCohort, Score, ServerState, Split, Update
from raysim.simulation.gallery import gallery
from raysim.simulation.worker import worker_of


class Serial:
    """Everything in this process: for a debugger, for one small run, and as the reference of the Ray engine."""

    def initial(self, experiment: str) -> InitialState:
        """See `Engine`."""
        return worker_of(experiment).initial()

    def serve(self, experiment: str, state: ServerState) -> ServerState:
        """See `Engine`."""
        return worker_of(experiment).serve(state)

    def train(self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort]) -> Iterable[Update]:
        """See `Engine`."""
        return (worker_of(experiment).train(state, cohort) for cohort in cohorts)

    def evaluate(
        self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort], split: Split
    ) -> list[Score | None]:
        """See `Engine`."""
        return [worker_of(experiment).evaluate(state, cohort, split) for cohort in cohorts]

    def gallery(self, experiment: str, state: ServerState) -> Gallery | None:
        """See `Engine`."""
        return gallery(worker_of(experiment), state)

    def close(self) -> None:
        """Nothing to give back."""
