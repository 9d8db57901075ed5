"""Plan of a stress run: its trials in their order, and what is left out when time is up.

The ends of every case come first, then the levels between them. So a run that ends early has a range for
every breaking point, and not half of the suite. This file does not import Ray.
"""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from raysim.core.errors import UserError
from raysim.experiment.overrides import override
from raysim.experiment.resources import Resources
from raysim.search.options import RunOptions
from raysim.search.plans.plan_checks import check_resources
from raysim.search.plans.protocol import WAIT
from raysim.search.plans.time_budget import TIME_MARGIN, TimeBudget
from raysim.search.seeds import drawn_seeds
from raysim.search.spaces.record import Overrides, Space
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow
from raysim.stress.cases import Case, Level
from raysim.stress.entries import entries_of, experiment_of, metric_of
from raysim.stress.suite import chosen_cases


class StressOptions(RunOptions):
    """Size of a stress run.

    Attributes:
        quick: Whether each case has two or three levels and small federations.
        cases: Names of the cases; none = all.
    """

    quick: bool = False
    cases: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class LevelTrials:
    """The trials of one level of a case for one space: they are started, or left out, together."""

    case: Case
    space: str
    level: Level
    specs: tuple[TrialSpec, ...]

    @property
    def budget_key(self) -> tuple[str, str]:
        """Case and space; all their levels share one budget of seconds."""
        return self.case.name, self.space


class StressPlan:
    """Plan of a stress run, as the protocol `raysim.search.plans.protocol.Plan` describes it.

    Attributes:
        cases: The cases as `run.json` has them, kept up to date.
        queue: Trials that can be handed out now.
        running: Trials that were handed out and have not ended, by key.
    """

    def __init__(
        self,
        spaces: Sequence[Space],
        options: StressOptions,
        stored: Mapping[str, TrialRow] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lay the plan out.

        Args:
            spaces: The spaces whose methods are stressed.
            options: How large the run is.
            stored: Rows by key that an earlier start has finished. Levels that have begun are finished while
                time is left.
            clock: Returns seconds.

        Raises:
            UserError: A case is unknown, resources differ, or a space sets its scenario, classifies pixels
                or is given twice.
        """
        self.options, self.stored = options, dict(stored or {})
        self.spaces = {space.name: space for space in spaces}
        if len(self.spaces) < len(spaces):
            raise UserError("a space was asked for twice; name each once")
        check_resources([space.base.resources for space in spaces])
        self.resources: Resources = spaces[0].base.resources
        self.cases: list[dict[str, Any]] = []
        self.queue: deque[TrialSpec] = deque()
        self.running: dict[str, TrialSpec] = {}
        self.finished: list[TrialRow] = []
        self._cases = chosen_cases(spaces[0], options.cases)
        self._levels = deque(_ends_first(self._lay_out()))
        self._total = sum(len(trials.specs) for trials in self._levels)
        self.superseded: list[TrialRow] = []
        self.budget = TimeBudget(options.minutes, options.slots, clock)

    @property
    def asked(self) -> Mapping[str, int]:
        """Study -> number of search trials: none, because nothing is searched."""
        return {}

    def specs(self) -> Iterator[TrialSpec]:
        """Yield every trial that is not finished, left out or running."""
        yield from self.queue
        for trials in self._levels:
            yield from trials.specs

    def next(self) -> TrialSpec | Literal["wait"] | None:
        """Return the next trial; `WAIT` while running trials decide what fits; None at the end."""
        while not self.queue and self._levels:
            trials = self._levels.popleft()
            has_begun = any(spec.key in self.stored for spec in trials.specs)
            if reason := "" if has_begun else self._lack_of_time(trials):
                self._leave_out(trials, reason)
            else:
                self.queue.extend(trials.specs)
        while self.queue:
            spec = self.queue.popleft()
            self.running[spec.key] = spec
            if spec.key in self.stored or self.budget.left != 0:
                return spec
            self.put_back(spec)
        return WAIT if self.running else None

    def tell(self, spec: TrialSpec, row: TrialRow) -> None:
        """Take the row of a trial that has ended."""
        del self.running[spec.key]
        self.finished.append(row)

    def put_back(self, spec: TrialSpec) -> None:
        """Take back a trial that the end of the time has interrupted; a resumed run goes on with it."""
        del self.running[spec.key]
        case = next(case for case in self.cases if case["name"] == spec.factor)
        reason = f"time: interrupted after the {self.options.minutes:g} minutes of the run"
        left = {"space": spec.space, "level": spec.level, "label": spec.label, "reason": reason}
        case["not_run"].append(left)

    def left_out(self) -> None:
        """Return nothing: each case says what was not run."""

    def progress(self) -> dict[str, Any]:
        """Return nothing: the cases are in the record from the start."""
        return {}

    def planned(self) -> dict[str, int | None]:
        """Return the number of trials."""
        return {"stress": self._total}

    def seconds_left(self) -> float | None:
        """Return the predicted seconds until the end; None where nothing is known yet."""
        left = self.budget.left
        mean = _mean_seconds(self.finished)
        if mean is None:
            return left
        trials = sum(1 for _ in self.specs()) + len(self.running) / 2
        predicted = trials * mean / self.options.slots
        return predicted if left is None else min(left, predicted)

    def _lack_of_time(self, trials: LevelTrials) -> str:
        """Return why there is no time for a level, or an empty text if there is.

        The first level of a case has no mean duration yet, so only the minutes of the run limit it.
        """
        rows = [row for row in self.finished if (row["factor"], _space_of(row["study"])) == trials.budget_key]
        budget, mean = self._budget(trials.case), _mean_seconds(rows)
        open_trials = len(trials.specs) + sum(
            (spec.factor, _space_of(spec.study)) == trials.budget_key for spec in self.running.values()
        )
        used = sum(row["wall_seconds"] for row in rows)
        if mean is not None and used + TIME_MARGIN * open_trials * mean > budget:
            return f"time: it would not fit the {budget:g} s of this case"
        if mean is None:
            mean = _mean_seconds([row for row in self.finished if _space_of(row["study"]) == trials.space])
        if not self.budget.fits([mean or 0.0] * (len(trials.specs) + len(self.running))):
            return f"time: it would not fit the {self.options.minutes:g} minutes of the run"
        return ""

    def _leave_out(self, trials: LevelTrials, reason: str) -> None:
        case = next(case for case in self.cases if case["name"] == trials.case.name)
        case["not_run"].append(
            {"space": trials.space, "level": trials.level.label, "label": "", "reason": reason}
        )

    def _budget(self, case: Case) -> float:
        return case.quick_seconds if self.options.quick else case.seconds

    def _lay_out(self) -> list[list[LevelTrials]]:
        """Return the trials of every case and space in the order of its levels, and fill `cases`."""
        laid_out: list[list[LevelTrials]] = []
        count = 0
        for case in self._cases:
            levels = [case.levels[i] for i in case.quick] if self.options.quick else list(case.levels)
            record = _case_record(case, levels, self._budget(case))
            self.cases.append(record)
            for space in () if case.skip_reason else self.spaces.values():
                entries = entries_of(case, space, self.options.quick)
                record["entries"][space.name] = list(entries)
                record["metrics"][space.name] = {label: metric_of(case, label) for label in entries}
                space_levels = []
                for level in levels:
                    specs, refusals = self._specs(count, case, level, space, entries)
                    count += len(specs)
                    record["not_run"] += refusals
                    if specs:
                        space_levels.append(
                            LevelTrials(case=case, space=space.name, level=level, specs=tuple(specs))
                        )
                laid_out.append(space_levels)
        return laid_out

    def _specs(
        self, number: int, case: Case, level: Level, space: Space, entries: Mapping[str, Overrides]
    ) -> tuple[list[TrialSpec], list[dict[str, str]]]:
        """Return the trials of the entries at a level, and for those that are not possible the reason."""
        specs: list[TrialSpec] = []
        refusals = []
        for label, changes in entries.items():
            try:
                specs.append(self._spec(number + len(specs), case, level, space, label, changes))
            except UserError as error:
                reason = f"not possible: {error}"
                refusals.append({"space": space.name, "level": level.label, "label": label, "reason": reason})
        return specs, refusals

    def _spec(
        self, number: int, case: Case, level: Level, space: Space, label: str, changes: Overrides
    ) -> TrialSpec:
        first = experiment_of(case, level, space, changes, self.options.quick)
        seeds = drawn_seeds(first.seed, "selection", self.options.seeds)
        return TrialSpec(
            number=number,
            study=f"{space.name} | {case.name} | {level.label}",
            scenario=first.scenario.label,
            method=first.method.name,
            kind="stress",
            label=label,
            experiments=tuple(override(first, {"seed": seed}) for seed in seeds),
            params=dict(changes),
            factor=case.name,
            level=level.label,
            space=space.name,
            limit_s=self._budget(case),
        )


def _case_record(case: Case, levels: Sequence[Level], budget: float) -> dict[str, Any]:
    """Return a case for run.json, before anything is laid out."""
    return {
        "name": case.name,
        "title": case.title,
        "axis": case.axis,
        "unit": case.unit,
        "log": case.log,
        "note": case.note,
        "skipped": case.skip_reason,
        "levels": [{"label": level.label, "x": level.x} for level in levels],
        "entries": {},
        "metrics": {},
        "seconds": budget,
        "not_run": [],
    }


def _ends_first(laid_out: Sequence[Sequence[LevelTrials]]) -> Iterator[LevelTrials]:
    """Yield the first level of every case, then the last one, then those between, the middle first."""
    for turn in range(max((len(levels) for levels in laid_out), default=0)):
        for levels in laid_out:
            if turn < len(levels):
                yield levels[_ends_first_order(len(levels))[turn]]


def _ends_first_order(n: int) -> list[int]:
    """Return the numbers below n in this order: 0, n - 1, then always the middle of the widest gap."""
    order = list(range(min(n, 1))) + ([n - 1] if n > 1 else [])
    while len(order) < n:
        low, high = max(itertools.pairwise(sorted(order)), key=lambda gap: gap[1] - gap[0])
        order.append((low + high) // 2)
    return order


def _mean_seconds(rows: Sequence[TrialRow]) -> float | None:
    return float(np.mean([row["wall_seconds"] for row in rows])) if rows else None


def _space_of(study: str) -> str:
    return study.split(" | ")[0]
