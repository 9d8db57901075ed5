"""Plan of a sweep: declared trials, search, races, then confirmation on fresh seeds.

Or the points of a sensitivity design in place of all these. The order of the stages, and the time that each
keeps for those behind it, stand in `raysim.search.plans.stages`. This file does not import Ray.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Literal, get_args

from raysim.experiment.resources import Resources
from raysim.search.options import SweepOptions
from raysim.search.plans.agenda import Agenda
from raysim.search.plans.confirmations import (
    confirmation_blocks,
    declared_trials_of,
    selected_configurations,
    transfer_blocks,
)
from raysim.search.plans.declared_trials import declared_blocks, design_blocks
from raysim.search.plans.left_out import left_out
from raysim.search.plans.plan_checks import check_extension, check_studies
from raysim.search.plans.planned_trial import Block, PlannedTrial
from raysim.search.plans.protocol import WAIT
from raysim.search.plans.search_queue import SearchQueue, stage_of
from raysim.search.plans.stages import Stage
from raysim.search.plans.time_budget import TimeBudget, TrialTimes
from raysim.search.spaces.record import Space
from raysim.search.studies.optuna_search import Learned
from raysim.search.studies.study import Study, replaces, studies_of
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow

Phase = Literal["declared", "search", "race", "confirm", "rest"]
PHASES: tuple[Phase, ...] = get_args(Phase)
DECLARED: tuple[Stage, ...] = (
    "anchor",
    "design",
    "level",
    "anchor seeds",
    "contrast",
    "rival",
    "interaction",
    "seeds",
)
LEAST_LEFT = 0.2  # share of its predicted seconds that a trial has still to go while it has not ended
# stages whose declared trials are started in a phase
STARTED: dict[Phase, tuple[Stage, ...]] = {
    "declared": DECLARED,
    "search": DECLARED,
    "race": DECLARED,
    "confirm": ("confirm", "transfer"),
    "rest": (*DECLARED, "confirm", "transfer"),
}


@dataclass(frozen=True, kw_only=True)
class Running:
    """A trial that was handed out.

    Attributes:
        spec: Its specification.
        stage: Its stage.
        started: Time of the clock.
        seconds: Predicted seconds.
        trial: The planned trial; None of a search or race.
    """

    spec: TrialSpec
    stage: Stage
    started: float
    seconds: float
    trial: PlannedTrial | None


class SweepPlan:
    """Plan of a sweep, as the protocol `raysim.search.plans.protocol.Plan` describes it.

    Attributes:
        studies: All studies, in the order of the spaces.
        phase: Phase of the trials that are handed out.
        stage: Stage of the last trial that was handed out.
        over: Whether nothing more is handed out: all has run, or the time is used up.
        agenda: Declared trials that are not started.
        searches: Search trials and race seeds.
        running: Trials that were handed out and have not ended, by key.
        superseded: Rows that a row of the same trial on more seeds has replaced.
        design: The sensitivity design for run.json; None without one.
    """

    def __init__(
        self,
        spaces: Sequence[Space],
        options: SweepOptions,
        stored: Mapping[str, TrialRow] | None = None,
        learned: Mapping[str, Sequence[Learned]] | None = None,
        superseded: Mapping[str, int] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lay the plan out.

        Args:
            spaces: The spaces.
            options: How large the sweep is.
            stored: Rows by key that an earlier start has finished. The time limit drops none of these trials.
            learned: Study -> what its search has learned from contrasts in an earlier start.
            superseded: Numbers by key of the rows of an earlier start that others have replaced.
            clock: Returns seconds.

        Raises:
            UserError: A study is asked for twice, or the budget cannot hold the design.
        """
        self.options, self.stored = options, dict(stored or {})
        searched = {row["study"] for row in self.stored.values() if row["kind"] == "search"}
        known = {name: entries for name, entries in (learned or {}).items() if name in searched}
        self.studies = [study for space in spaces for study in studies_of(space, options, known)]
        check_studies(spaces, self.studies)
        self._by_name = {study.name: study for study in self.studies}
        self.phase: Phase = PHASES[0]
        self.stage: Stage = "anchor"
        self.over = False
        self.running: dict[str, Running] = {}
        self.finished: list[TrialRow] = []
        self.superseded: list[TrialRow] = []
        self.design: dict[str, Any] | None = None
        self.budget = TimeBudget(options.minutes, options.slots, clock)
        self.agenda = Agenda(self._by_name, options, self.stored, self.budget)
        self.searches = SearchQueue(self._by_name, options, self.stored, self.agenda)
        self._times_of = -1  # number of rows by which times were predicted last
        self._numbers = {**(superseded or {}), **{key: row["trial"] for key, row in self.stored.items()}}
        self._taken = set(self._numbers.values())
        if options.design:
            blocks, self.design = design_blocks(self.studies, options)
            self.agenda.add(blocks)
        else:
            self.agenda.add(declared_blocks(self.studies, options.contrasts))
            for study in self.studies:
                self.finished += study.adopt(sorted(self.stored.values(), key=lambda row: row["trial"]))
        check_extension(self.studies, options)

    @property
    def resources(self) -> Resources:
        """Resources of each trial."""
        return self.studies[0].base.resources

    @property
    def asked(self) -> dict[str, int]:
        """Study -> number of search trials so far."""
        return {study.name: study.asked for study in self.studies if study.search is not None}

    def next(self) -> TrialSpec | Literal["wait"] | None:
        """Return the next trial; `WAIT` while others must end first; None when everything is done."""
        while True:
            self._update_times()
            if found := self.agenda.next(STARTED[self.phase], self.phase in ("confirm", "rest")):
                return self._start(*found)
            if spec := self.searches.next():
                return self._start(stage_of(spec), spec, None)
            if (self.phase == "search" and self.searches.ask()) or (
                self.phase == "race" and self.searches.ask_races()
            ):
                continue
            if self.running:
                return WAIT
            if self.phase == PHASES[-1]:
                self.over = True
                return None
            self.phase = PHASES[PHASES.index(self.phase) + 1]
            self.agenda.keeps_floors = self.phase not in ("confirm", "rest")
            if self.phase == "confirm" and not self.options.design:
                self.agenda.add(confirmation_blocks(self._by_name))
                self.agenda.add(transfer_blocks(self._by_name))

    def tell(self, spec: TrialSpec, row: TrialRow) -> None:
        """Take the row of a trial that has ended."""
        ended = self.running.pop(spec.key)
        self.superseded += [other for other in self.finished if replaces(row, other)]
        self.finished = [*(other for other in self.finished if not replaces(row, other)), row]
        self._by_name[spec.study].tell(spec, row)
        self.agenda.tell(row)
        if ended.trial is not None and len(row["seeds"]) < len(ended.trial.experiments):
            whole = replace(ended.trial)
            stage: Stage = "anchor seeds" if ended.stage == "anchor" else "seeds"
            self.agenda.add([Block(stage=stage, name=whole.label, trials=[whole])])

    def put_back(self, spec: TrialSpec) -> None:
        """Take back a trial that the end of the time has interrupted; it has no row."""
        ended = self.running.pop(spec.key)
        if ended.trial is not None:
            self.agenda.put_back(ended.stage, ended.trial, len(spec.experiments))
        else:
            self.searches.give_up(spec)

    def left_out(self) -> dict[str, Any] | None:
        """Return what was planned and has not run; None where nothing is left."""
        return left_out(self)

    def progress(self) -> dict[str, Any]:
        """Return what `run.json` says of the state of the plan, beside the counts."""
        learned = {
            study.name: study.search.learned
            for study in self.studies
            if study.search is not None and study.search.learned is not None
        }
        return {"stage": self.stage, "learned": learned}

    def seconds_left(self) -> float | None:
        """Return the predicted seconds until the end; None where nothing is known yet."""
        if self.budget.left is not None and self.phase != "rest":
            return self.budget.left
        self._update_times()
        return None if self.agenda.times.count == 0 else self.seconds_of_the_rest() / self.options.slots

    def seconds_of_the_rest(self) -> float:
        """Return the predicted seconds, one after the other, of all that is not finished."""
        agenda = self.agenda
        seconds = sum(agenda.busy) + sum(
            agenda.cost(trial) for block in agenda.blocks for trial in block.trials
        )
        if self.phase in ("confirm", "rest"):
            return seconds
        seconds += sum(agenda.confirmation_seconds())
        return seconds + sum(
            self.missing_searches(study) * self.searches.seconds(study, self.options.seeds)
            for study in self.studies
        )

    def missing_searches(self, study: Study) -> int:
        """Return how many search trials a study lacks until it is tuned."""
        asked = sum(row["kind"] == "search" for row in study.rows)
        return max(0, declared_trials_of(study) - asked) if study.search is not None else 0

    def planned(self) -> dict[str, int | None]:
        """Return the number of trials by kind; None where the time decides it."""
        counts = self.agenda.counts
        if self.options.design:
            return {"design": counts.get("design", 0)}
        declared: dict[str, int | None] = {
            "contrast": counts.get("anchor", 0) + counts.get("contrast", 0),
            "rival": counts.get("rival", 0),
        }
        if any(study.space.interactions for study in self.studies):
            declared["interaction"] = counts.get("interaction", 0)
        limits = [study.limit() for study in self.studies if study.search is not None]
        search = None if None in limits else sum(limit or 0 for limit in limits) + counts.get("level", 0)
        confirm = counts.get("confirm") or sum(
            len(selected_configurations(study, self._by_name)) for study in self.studies
        )
        return {**declared, "search": search, "confirm": confirm}

    def _start(self, stage: Stage, spec: TrialSpec, trial: PlannedTrial | None) -> TrialSpec:
        """Hand a trial out; its number is the one that it had in an earlier start, or the first free one.

        So a trial that a kill interrupted gets its number back: equal configurations are ranked by numbers.
        """
        is_stored = spec.key in self.stored
        free = next(number for number in count() if number not in self._taken)
        spec = replace(spec, number=self._numbers.get(spec.key, free))
        self._taken.add(spec.number)
        self.stage = stage
        per_seed = self.agenda.times.seconds(spec.study, spec.method, spec.label)
        self.running[spec.key] = Running(
            spec=spec,
            stage=stage,
            started=self.budget.clock(),
            seconds=0.0 if is_stored else per_seed * len(spec.experiments),
            trial=trial,
        )
        return spec

    def _update_times(self) -> None:
        """Predict again by all that has ended; a resumed sweep knows the trials of its earlier starts too."""
        if self._times_of != len(self.finished) + len(self.superseded):
            rows = {**self.stored, **{row["key"]: row for row in self.finished}}.values()
            self.agenda.times = TrialTimes(row for row in rows if row["state"] == "COMPLETE")
            self._times_of = len(self.finished) + len(self.superseded)
        now = self.budget.clock()
        self.agenda.busy = [
            max(trial.seconds - (now - trial.started), LEAST_LEFT * trial.seconds)
            for trial in self.running.values()
        ]
