"""Engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from raysim.core.types import Gallery, InitialState, MicroCohort, Score, ServerState, Split, Update


class Engine(Protocol):
    """Where clients are trained. Results come in the order of the micro-cohorts, with the same bits from every engine."""

    def initial(self, experiment: str) -> InitialState:
        """What the run starts from."""

    def serve(self, experiment: str, state: ServerState) -> ServerState:
        """The server's work on its own samples."""

    def train(self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort]) -> Iterable[Update]:
        """One update per micro-cohort, to be taken once: large ones come as they are done."""

    def evaluate(
        self, experiment: str, state: ServerState, cohorts: Sequence[MicroCohort], split: Split
    ) -> list[Score | None]:
        """One score per micro-cohort."""

    def gallery(self, experiment: str, state: ServerState) -> Gallery | None:
        """What the server's model attends to, where the method has pictures of it."""

    def close(self) -> None:
        """Give everything back."""
