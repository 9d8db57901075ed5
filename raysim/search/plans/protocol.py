"""Plan: what a sweep or stress run hands out to Ray Tune, trial by trial. It does not import Ray.

A plan is a function of the spaces, the options and the finished rows alone. So a run that was killed is
continued by making the plan again with the rows that are on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, Protocol

from raysim.experiment.resources import Resources
from raysim.search.options import RunOptions
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow

WAIT: Final = "wait"  # no trial can be handed out before others have ended


class Plan(Protocol):
    """Trials in their order, the rows of those that have ended, and the time that they took."""

    @property
    def options(self) -> RunOptions:
        """Options of the run."""

    @property
    def resources(self) -> Resources:
        """Resources of each trial."""

    @property
    def stored(self) -> Mapping[str, TrialRow]:
        """Rows by key that an earlier start has finished."""

    @property
    def finished(self) -> list[TrialRow]:
        """Rows of the trials that have ended, those of earlier starts included."""

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken, over all its starts."""

    @property
    def asked(self) -> Mapping[str, int]:
        """Study -> number of search trials so far."""

    @property
    def dropped_contrasts(self) -> int:
        """Number of declared trials that were dropped for lack of time."""

    def continue_from(self, elapsed: float) -> None:
        """Start to count time, from the seconds that earlier starts have taken."""

    def next(self) -> TrialSpec | Literal["wait"] | None:
        """Return the next trial; `WAIT` while others must end first; None when everything is done."""

    def tell(self, spec: TrialSpec, row: TrialRow) -> None:
        """Take the row of a trial that has ended."""

    def planned(self) -> dict[str, int | None]:
        """Return the number of trials by kind; None where the time decides it."""
