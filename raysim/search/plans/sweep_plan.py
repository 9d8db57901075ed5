"""Plan of a sweep: declared trials, search, races, then confirmation on fresh seeds.

Or the points of a sensitivity design in place of all these. This file does not import Ray.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, get_args

from raysim.core.errors import UserError
from raysim.experiment.resources import Resources
from raysim.search.options import SweepOptions
from raysim.search.plans.confirmations import (
    confirmation_seconds,
    confirmation_trials,
    selected_configurations,
)
from raysim.search.plans.declared_trials import declared_trials, design_trials
from raysim.search.plans.planned_trial import PlannedTrial
from raysim.search.plans.protocol import WAIT
from raysim.search.plans.time_budget import TimeBudget, TrialTimes
from raysim.search.spaces.record import Space
from raysim.search.studies.study import Study, studies_of
from raysim.search.trial_spec import BATCH, TrialSpec
from raysim.storage.trials import TrialRow

Phase = Literal["declared", "search", "race", "confirm"]
PHASES: tuple[Phase, ...] = get_args(Phase)


class SweepPlan:
    """Plan of a sweep, as the protocol `raysim.search.plans.protocol.Plan` describes it.

    Attributes:
        studies: All studies, in the order of the spaces.
        phase: Phase of the trials that are handed out.
        queue: Trials that can be handed out now.
        running: Trials that were handed out and have not ended, by key.
        design: The sensitivity design for run.json; None without one.
    """

    def __init__(
        self,
        spaces: Sequence[Space],
        options: SweepOptions,
        stored: Mapping[str, TrialRow] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lay the plan out.

        Args:
            spaces: The spaces.
            options: How large the sweep is.
            stored: Rows by key that an earlier start has finished. The time limit drops none of these trials.
            clock: Returns seconds.

        Raises:
            UserError: A study is asked for twice, or the budget cannot hold the design.
        """
        self.options, self.stored = options, dict(stored or {})
        self.studies = [study for space in spaces for study in studies_of(space, options)]
        _check_studies(spaces, self.studies)
        self._by_name = {study.name: study for study in self.studies}
        self.phase: Phase = PHASES[0]
        self.queue: deque[TrialSpec] = deque()
        self.running: dict[str, TrialSpec] = {}
        self.finished: list[TrialRow] = []
        self.dropped_contrasts = 0
        self.design: dict[str, Any] | None = None
        self._time = TimeBudget(options.minutes, options.slots, clock)
        self._count = 0
        if options.design:
            trials, self.design = design_trials(self.studies, options)
            self._add(trials)
        else:
            self._add(declared_trials(self.studies, options.contrasts))
            for study in self.studies:
                self.finished += study.adopt(sorted(self.stored.values(), key=lambda row: row["trial"]))
        self._check_extension()

    @property
    def resources(self) -> Resources:
        """Resources of each trial."""
        return self.studies[0].base.resources

    @property
    def elapsed(self) -> float:
        """Seconds that the sweep has taken, over all its starts."""
        return self._time.elapsed

    def continue_from(self, elapsed: float) -> None:
        """Start to count time, from the seconds that earlier starts have taken."""
        self._time.continue_from(elapsed)

    @property
    def asked(self) -> dict[str, int]:
        """Study -> number of search trials so far."""
        return {study.name: study.asked for study in self.studies if study.search is not None}

    def next(self) -> TrialSpec | Literal["wait"] | None:
        """Return the next trial; `WAIT` while others must end first; None when everything is done."""
        while True:
            self._drop_trials_without_time()
            if self.queue:
                spec = self.queue.popleft()
                self.running[spec.key] = spec
                return spec
            if (self.phase == "search" and self._ask()) or (self.phase == "race" and self._ask_races()):
                continue
            if self.running:
                return WAIT
            if self.phase == "confirm":
                return None
            self.phase = PHASES[PHASES.index(self.phase) + 1]
            if self.phase == "confirm" and not self.options.design:
                self._add(confirmation_trials(self._by_name))

    def tell(self, spec: TrialSpec, row: TrialRow) -> None:
        """Take the row of a trial that has ended."""
        del self.running[spec.key]
        self.finished.append(row)
        self._by_name[spec.study].tell(spec, row)

    def seconds_left(self) -> float | None:
        """Return the predicted seconds until the end; None where nothing is known yet."""
        if self.phase != "confirm" and self._time.left is not None:
            return self._time.left
        times = self._times()
        if times.is_empty:
            return None
        seconds = sum(times.mean(spec.study) for spec in self.queue)
        seconds += sum(times.mean(spec.study) for spec in self.running.values()) / 2
        if self.phase != "confirm":
            seconds += sum(
                ((study.limit() or 0) - study.asked) * times.mean(study.name)
                for study in self.studies
                if not study.is_closed
            )
            seconds += confirmation_seconds(self._by_name, times, races_too=True)
        return seconds / self.options.slots

    def planned(self) -> dict[str, int | None]:
        """Return the number of trials by kind; None where the time decides it."""
        queued = [*self.queue, *self.running.values()]
        kinds = [*(row["kind"] for row in self.finished), *(spec.kind for spec in queued)]
        if self.options.design:
            return {"design": kinds.count("design")}
        declared: dict[str, int | None] = {"contrast": kinds.count("contrast"), "rival": kinds.count("rival")}
        if any(study.space.interactions for study in self.studies):
            declared["interaction"] = kinds.count("interaction")
        limits = [study.limit() for study in self.studies if study.search is not None]
        levels = sum(len(study.levels) for study in self.studies)
        search = None if None in limits else sum(limit or 0 for limit in limits) + levels
        selected = sum(len(selected_configurations(study, self._by_name)) for study in self.studies)
        return {**declared, "search": search, "confirm": selected}

    def _add(self, trials: Iterable[PlannedTrial]) -> None:
        for trial in trials:
            self.queue.append(trial.spec(self._count))
            self._count += 1

    def _add_batch(self, study: Study, specs: list[TrialSpec]) -> bool:
        """Add trials that must all end before the study is asked again; return whether there are any."""
        self._count += len(specs)
        study.pending |= {spec.key for spec in specs}
        self.queue.extend(specs)
        return bool(specs)

    def _ask(self) -> bool:
        """Ask every study whose last batch is complete for search trials; return whether any gave some."""
        gave_trials = False
        for study in self.studies:
            if study.is_closed or study.pending:
                continue
            limit = study.limit()
            if (limit is not None and study.asked >= limit) or self._search_time_is_over(study):
                study.is_closed = True
                continue
            specs = study.ask(self._count)
            study.is_closed = not specs
            gave_trials |= self._add_batch(study, specs)
        return gave_trials

    def _search_time_is_over(self, study: Study) -> bool:
        """Return whether there is no time for more search trials of a study.

        A resumed search first repeats all trials of its earlier starts, whatever the time.
        """
        stored_kinds = [row["kind"] for row in self.stored.values() if row["study"] == study.name]
        if self.options.minutes is None or study.asked < stored_kinds.count("search"):
            return False
        if "confirm" in stored_kinds:
            return True
        times = self._times()
        batch_seconds = sum(BATCH * times.mean(other.name) for other in self.studies if not other.is_closed)
        return not self._fits(batch_seconds, times)

    def _ask_races(self) -> bool:
        """Ask every study for another seed of its race; return whether any gave trials."""
        gave_trials = False
        for study in self.studies:
            if study.race.is_over or study.pending:
                continue
            specs = study.ask_race(self._count)
            has_begun = any(spec.key in self.stored for spec in specs)
            if not has_begun and self.options.minutes is not None:
                times = self._times()
                if not self._fits(len(specs) / self.options.seeds * times.mean(study.name), times):
                    study.race.is_over = True
                    continue
            gave_trials |= self._add_batch(study, specs)
        return gave_trials

    def _drop_trials_without_time(self) -> None:
        """Drop declared trials that would leave no time for the confirmations; the report says how many.

        Contrasts are also dropped if an earlier start has begun the search of their study, because that
        search did not see their results.
        """
        if self.phase != "declared" or not self.queue or self.queue[0].key in self.stored:
            return
        next_spec, times = self.queue[0], self._times()
        searched = {row["study"] for row in self.stored.values() if row["kind"] == "search" and row["space"]}
        no_time = not self._fits(times.mean(next_spec.study), times)
        if not no_time and not (next_spec.kind == "contrast" and next_spec.study in searched):
            return
        dropped_kinds = ("contrast", "interaction", "design") if no_time else ("contrast",)
        kept_specs = [
            spec
            for spec in self.queue
            if spec.key in self.stored
            or not (spec.kind in dropped_kinds and (no_time or spec.study in searched))
        ]
        self.dropped_contrasts += len(self.queue) - len(kept_specs)
        self.queue = deque(kept_specs)

    def _fits(self, trial_seconds: float, times: TrialTimes) -> bool:
        """Return whether trials of so many seconds, and then the confirmations, end before the time limit."""
        if self.options.minutes is None or times.is_empty:
            return True
        races_too = self.phase != "confirm"
        return self._time.fits(trial_seconds + confirmation_seconds(self._by_name, times, races_too))

    def _times(self) -> TrialTimes:
        """Return the seconds of complete trials; a resumed sweep knows those of its earlier starts too."""
        rows = {**self.stored, **{row["key"]: row for row in self.finished}}.values()
        return TrialTimes(row for row in rows if row["state"] == "COMPLETE" and row["kind"] != "race")

    def _check_extension(self) -> None:
        """Check that an extended search has points left.

        Raises:
            UserError: The grids of all studies are searched to their ends.
        """
        extended = self.options.extended
        searched = [study for study in self.studies if not study.is_closed and study.name in extended]
        # [-2] is the number of search trials before this extension
        exhausted = [study for study in searched if (study.limit() or 0) <= extended[study.name][-2]]
        if self.options.extend and searched and len(exhausted) == len(searched):
            raise UserError(
                f"--extend {self.options.extend}: every point of the grid has been searched; a wider range "
                "has more"
            )


def _check_studies(spaces: Sequence[Space], studies: Sequence[Study]) -> None:
    """Check that studies, resources and recipes can be in one sweep.

    Raises:
        UserError: They cannot.
    """
    names = [study.name for study in studies]
    if len(set(names)) < len(names):
        raise UserError(
            f"the study '{max(names, key=names.count)}' was asked for twice; name each space once"
        )
    if len({study.base.resources for study in studies}) > 1:
        raise UserError(
            "resources differ between the spaces; give them on the command line, for example "
            "resources.workers=1"
        )
    if len(spaces) > 1 and (recipes := [space.name for space in spaces if space.grid]):
        raise UserError(
            f"'{recipes[0]}' is a recipe: its table and figures are of one set of runs; run it in a "
            "sweep of its own"
        )
