"""Time of a sweep or stress run: what it has taken, its limit, and predictions by what trials took so far."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from raysim.storage.trials import TrialRow

TIME_MARGIN = 1.2  # trials are started only if this multiple of their predicted time is left
END_SECONDS = 8.0  # from the last trial to the last report: processes end, tables are written
REPORT_SECONDS = 10.0  # least time that is kept for the last report
FEW = 4  # below so many trials their least time counts, from here on their median
RECENT = 6  # trials that show how busy the machine is now


class TimeBudget:
    """The time of a run over all its starts, each from the start of its command to the end of its report.

    Args:
        minutes: Limit; None = no limit.
        slots: Trials that run at once.
        clock: Returns seconds.
    """

    def __init__(self, minutes: float | None, slots: int, clock: Callable[[], float]) -> None:
        self.seconds = None if minutes is None else minutes * 60
        self.slots, self.clock = slots, clock
        self._earlier, self._start = 0.0, clock()
        self._report_seconds = REPORT_SECONDS

    def count_from(self, start: float, earlier: float) -> None:
        """Count time from the start of the command, and add the seconds that earlier starts have taken.

        Args:
            start: Time of the clock at the start of the command.
            earlier: Seconds of the earlier starts.
        """
        self._earlier, self._start = earlier, start

    def keep_for_report(self, seconds: float) -> None:
        """Keep the time of the last report, by the CPU time of the last page; never less than the least."""
        self._report_seconds = max(REPORT_SECONDS, TIME_MARGIN * seconds)

    @property
    def elapsed(self) -> float:
        """Seconds that the run has taken."""
        return self._earlier + self.clock() - self._start

    @property
    def left(self) -> float | None:
        """Seconds until trials must have ended, so that the report is in time; None without a limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.seconds - END_SECONDS - self._report_seconds - self.elapsed)

    def fits(
        self,
        trials: Sequence[float],
        behind: Sequence[float] = (),
        busy: Sequence[float] = (),
        margin: float = TIME_MARGIN,
    ) -> bool:
        """Return whether trials end before the limit, each started as soon as a slot is free.

        Args:
            trials: Predicted seconds of each trial.
            behind: Predicted seconds of the trials that time is kept for.
            busy: Predicted seconds that the running trials still take.
            margin: Multiple of the predicted time that must be left.
        """
        if self.left is None:
            return True
        if self.left == 0:
            return False
        ends = sorted([*busy, *[0.0] * (self.slots - len(busy))])
        for seconds in (*trials, *behind):
            heapq.heappush(ends, heapq.heappop(ends) + seconds)
        return margin * max(ends) <= self.left


class TrialTimes:
    """Predicted seconds of a trial on one seed, from the trials that have ended.

    The start-up of a process is no cost of a trial. Of similar trials the median counts, of few ones the
    least, so that a slow first one decides nothing. If the last trials took longer than the others of their
    method, the machine has become busier, and all predictions grow by this factor.

    Args:
        rows: Rows of the trials, in the order in which they ended.
    """

    def __init__(self, rows: Iterable[TrialRow]) -> None:
        self._by_group: dict[tuple[str, ...], list[float]] = {}
        ended: list[tuple[tuple[str, ...], float]] = []
        seen: set[str] = set()
        for row in rows:
            new = set(row["runs"] or ()) - seen
            seen |= new
            if not new:  # all its runs were finished by other trials
                continue
            seconds = max(0.0, row["wall_seconds"] - (row["startup_seconds"] or 0.0)) / len(new)
            for group in _groups(row["study"], row["method"], row["label"]):
                self._by_group.setdefault(group, []).append(seconds)
            ended.append((_method_group(row["study"], row["method"]), seconds))
        ratios = [
            seconds / typical
            for group, seconds in ended
            if len(self._by_group[group]) >= FEW and (typical := _typical(self._by_group[group])) > 0
        ]
        self.pace = float(np.median(ratios[-RECENT:])) if len(ratios) >= FEW else 1.0

    @property
    def count(self) -> int:
        """Number of trials that have ended."""
        return len(self._by_group.get(("all",), ()))

    def knows(self, study: str, label: str) -> bool:
        """Return whether a trial of this label has ended, in any scenario."""
        return _groups(study, "", label)[0] in self._by_group

    def seconds(self, study: str, method: str, label: str = "") -> float:
        """Return the predicted seconds on one seed; 0 while nothing is known.

        Args:
            study: Name of the study.
            method: Name of the method that is trained.
            label: Label of the trial.
        """
        for group in _groups(study, method, label):
            if found := self._by_group.get(group):
                return self.pace * _typical(found)
        return 0.0


def _groups(study: str, method: str, label: str) -> list[tuple[str, ...]]:
    """Return the groups of similar trials, the most similar ones first."""
    space = study.partition(" | ")[0]
    return [
        ("label", space, label),
        ("study and method", study, method),
        _method_group(study, method),
        ("method", method),
        ("space", space),
        ("all",),
    ]


def _method_group(study: str, method: str) -> tuple[str, ...]:
    return "space and method", study.partition(" | ")[0], method


def _typical(seconds: Sequence[float]) -> float:
    return float(np.median(seconds) if len(seconds) >= FEW else min(seconds))
