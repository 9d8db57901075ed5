"""Plan: what a sweep or stress run hands out to Ray Tune, trial by trial. It does not import Ray.

A plan is a function of the spaces, the options and the finished rows alone. So a run that was killed is
continued by making the plan again with the rows that are on disk.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol

from raysim.experiment.resources import Resources
from raysim.search.options import RunOptions
from raysim.search.plans.time_budget import TimeBudget
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
    def budget(self) -> TimeBudget:
        """Time that the run has taken over all its starts, and its limit."""

    @property
    def asked(self) -> Mapping[str, int]:
        """Study -> number of search trials so far."""

    @property
    def superseded(self) -> list[TrialRow]:
        """Rows that a later row of the same trial has replaced."""

    def next(self) -> TrialSpec | Literal["wait"] | None:
        """Return the next trial; `WAIT` while others must end first; None when everything is done."""

    def tell(self, spec: TrialSpec, row: TrialRow) -> None:
        """Take the row of a trial that has ended."""

    def planned(self) -> dict[str, int | None]:
        """Return the number of trials by kind; None where the time decides it."""

    def put_back(self, spec: TrialSpec) -> None:
        """Take back a trial that the end of the time has interrupted; it has no row."""

    def left_out(self) -> dict[str, Any] | None:
        """Return what was planned and has not run, as `raysim.search.plans.left_out` describes it."""

    def progress(self) -> Mapping[str, Any]:
        """Return what `run.json` says of the state of the plan, beside the counts."""
