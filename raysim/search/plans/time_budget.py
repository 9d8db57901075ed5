"""Time of a sweep or stress run: what it has taken, its limit, and predictions by what trials took so far."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from raysim.storage.trials import TrialRow

TIME_MARGIN = 1.2  # trials are started only if this multiple of their predicted time is left


class TimeBudget:
    """The time of a run over all its starts.

    Args:
        minutes: Limit; None = no limit.
        slots: Trials that run at once.
        clock: Returns seconds.
    """

    def __init__(self, minutes: float | None, slots: int, clock: Callable[[], float]) -> None:
        self.seconds = None if minutes is None else minutes * 60
        self.slots, self._clock = slots, clock
        self._earlier, self._start = 0.0, clock()

    def continue_from(self, elapsed: float) -> None:
        """Start to count time, from the seconds that earlier starts have taken."""
        self._earlier, self._start = elapsed, self._clock()

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken."""
        return self._earlier + self._clock() - self._start

    @property
    def left(self) -> float | None:
        """Seconds until the limit; None without a limit."""
        return None if self.seconds is None else max(0.0, self.seconds - self.elapsed)

    def fits(self, trial_seconds: float) -> bool:
        """Return whether trials that take so many seconds one after the other end before the limit."""
        if self.seconds is None:
            return True
        return self.elapsed + TIME_MARGIN * trial_seconds / self.slots < self.seconds


class TrialTimes:
    """Seconds that trials took.

    Args:
        rows: Rows of the trials.
    """

    def __init__(self, rows: Iterable[TrialRow]) -> None:
        self._by_study: dict[str, list[float]] = {}
        for row in rows:
            self._by_study.setdefault(row["study"], []).append(row["wall_seconds"])
        self._all = [seconds for times in self._by_study.values() for seconds in times]

    @property
    def is_empty(self) -> bool:
        """Whether no trial has ended."""
        return not self._all

    def mean(self, study: str) -> float:
        """Return the mean of a study's trials; of all trials where the study has none; 0 without any."""
        times = self._by_study.get(study, self._all)
        return float(np.mean(times)) if times else 0.0
