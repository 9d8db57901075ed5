"""What a sweep runs, in which order: contrasts beside the rivals, then search, then the chosen configurations on fresh seeds. No ray.

The plan is a function of the space, the options and the finished rows alone: suggestions and pruning thresholds look at
completed batches only, and every sampler is seeded by its address. So a sweep that was killed is continued by asking the plan
again and handing it the rows that are already there.
"""

from __future__ import annotations

import itertools
import json
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna

from raysim.config import UserError, digest
from raysim.experiment import Experiment, at, override, paths, to_dict
from raysim.seeds import derive
from raysim.spaces import Space, changes_of, level_name, located

Row = dict[str, Any]
Kind = Literal["contrast", "rival", "search", "confirm", "stress"]
PHASES: tuple[Kind, ...] = ("contrast", "search", "confirm")  # rivals meet the contrasts on their seeds and validation, in their phase
BATCH = 4  # trials of a study that are suggested together; part of the study, never of the machine
KEEP = 0.5  # share of earlier trials that a trial must beat at a rung
FRESH = 1000  # fresh seeds are this far from the selection seeds
LASTING = ("diverged", "not possible", "out of time")  # failures that a second try would repeat
MARGIN = 1.2  # a phase is started only if its predicted time fits with this margin


@dataclass(frozen=True)
class Spec:
    """One trial: a configuration on a group of seeds."""

    number: int
    study: str
    scenario: str
    method: str
    kind: Kind
    label: str
    experiments: tuple[Experiment, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    factor: str | None = None
    level: str | None = None
    thresholds: Mapping[int, float] = field(default_factory=dict)
    limit_s: float | None = None

    @property
    def key(self) -> str:
        """The same trial in a resumed sweep."""
        return digest(
            {"kind": self.kind, "study": self.study, "label": self.label, "runs": [experiment.id for experiment in self.experiments]}
        )

    @property
    def test(self) -> bool:
        """Only chosen configurations meet the test split."""
        return self.kind == "confirm"


@dataclass(frozen=True)
class Options:
    """How large a sweep is.

    Attributes:
        trials: Search trials per study; None = as many as the time allows.
        seeds: Seeds per trial.
        minutes: Time for the whole sweep; None = no limit.
        contrasts: Whether the one-factor contrasts are run.
        slots: Trials that run at once; used to predict time, never to decide a result.
    """

    trials: int | None
    seeds: int
    minutes: float | None
    contrasts: bool
    slots: int


class Study:
    """A method in a scenario: Optuna's study, asked in batches; or an entry of a recipe, with its declared levels."""

    def __init__(self, space: Space, scenario: str, base: Experiment, options: Options, entry: str | None = None) -> None:
        self.space, self.scenario, self.base, self.options, self.entry = space, scenario, base, options, entry
        self.name = f"{space.name}{f' {entry}' if entry else ''} | {self.scenario}"
        grid = itertools.product(*space.tune.values()) if entry and base.method.trains else []
        self.levels = [dict(zip(space.tune, values, strict=True)) for values in grid]
        self.rows: list[Row] = []
        self.asked = 0
        self.open: set[str] = set()
        self.closed = space.sample is None
        self._trials: dict[str, optuna.trial.Trial] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = optuna.create_study(direction="maximize", sampler=optuna.samplers.RandomSampler(seed=0))
        self._anchors = deque(space.anchors)

    def group(self, changes: Mapping[str, Any], kind: Kind) -> tuple[Experiment, ...]:
        """The configuration on its seeds; a recipe may be tuned on some of them."""
        first = self.base.seed + (FRESH if kind == "confirm" else 0)
        tuning = kind == "search" and self.entry is not None
        seeds = min(self.options.seeds, self.space.tune_seeds or self.options.seeds) if tuning else self.options.seeds
        return tuple(override(self.base, {**changes, "seed": first + index}) for index in range(seeds))

    def ask(self, number: int) -> list[Spec]:
        """The next batch; all its trials see the same completed rows."""
        if not self.asked:
            self._learn_from_contrasts()
        thresholds = self._thresholds()
        size = BATCH if self.options.trials is None else min(BATCH, self.options.trials - self.asked)
        return [self._suggest(number + index, thresholds) for index in range(size)]

    def _suggest(self, number: int, thresholds: Mapping[int, float]) -> Spec:
        assert self.space.sample is not None
        seed = derive(self.base.seed, "search", self.name, self.asked) % 2**31
        self._study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=6, multivariate=True)
        label = f"tpe {self.asked}"
        if self._anchors:
            self._study.enqueue_trial(dict(self._anchors.popleft()))
            label = f"start {self.asked}"
        trial = self._study.ask()
        self.asked += 1
        try:
            params = dict(self.space.sample(trial))
            experiments = self.group(params, "search")
        except UserError as error:
            raise UserError(f"space '{self.space.name}': space(trial): {error}") from None
        except Exception as error:
            raise UserError(located(Path(self.space.sample.__code__.co_filename), error)) from None
        spec = Spec(number, self.name, self.scenario, self.base.method.name, "search", label, experiments, params, thresholds=thresholds)
        self._trials[spec.key] = trial
        return spec

    def _learn_from_contrasts(self) -> None:
        """Contrasts that lie inside the space are trials of the study too."""
        assert self.space.sample is not None
        for row in (row for row in self.rows if row["kind"] == "contrast"):
            values = to_dict(override(self.base, json.loads(row["params"])))
            fixed = optuna.trial.FixedTrial({path: at(values, path) for path in paths(values)})
            try:
                self.space.sample(fixed)
            except ValueError:  # a parameter that is no path of an experiment
                continue
            inside = set(json.loads(row["params"])) <= set(fixed.params) and all(
                space._contains(space.to_internal_repr(fixed.params[name])) for name, space in fixed.distributions.items()
            )
            if inside and row["state"] == "COMPLETE":
                self._study.add_trial(
                    optuna.trial.create_trial(params=fixed.params, distributions=fixed.distributions, value=row["objective"])
                )

    def tell(self, spec: Spec, row: Row) -> None:
        """Tell Optuna the truth: COMPLETE with its value, PRUNED with its rungs, FAIL without any."""
        self.rows.append(row)
        trial = self._trials.pop(spec.key, None)
        if trial is None:
            return
        for round_, value in json.loads(row["curve"]):
            trial.report(value, round_)
        state = optuna.trial.TrialState[row["state"]]
        self._study.tell(trial, row["objective"] if row["state"] == "COMPLETE" else None, state=state)

    def _thresholds(self) -> dict[int, float]:
        """At a quarter and half of the rounds: the median of the completed trials there."""
        total, every = self.base.total_rounds, self.base.evaluation.every
        rungs = sorted({max(every, round(total * part / every) * every) for part in (0.25, 0.5)} - {total})
        curves = [dict(json.loads(row["curve"])) for row in self.rows if row["state"] == "COMPLETE" and row["kind"] != "rival"]
        values = {rung: [curve[rung] for curve in curves if rung in curve] for rung in rungs}
        return {rung: float(np.quantile(found, 1 - KEEP)) for rung, found in values.items() if len(found) >= BATCH}

    def best(self) -> Row | None:
        """The best completed row by validation, of contrasts and search."""
        done = [row for row in self.rows if row["state"] == "COMPLETE" and row["kind"] in ("contrast", "search")]
        return max(done, key=lambda row: float(row["objective"])) if done else None


def settled(row: Row) -> bool:
    """Whether a finished trial stands: one that failed for a passing reason (memory, disk, a killed process) is run again."""
    return row["state"] != "FAIL" or str(row["reason"]).startswith(LASTING)


class Plan:
    """Hands out specs and takes rows; knows what is finished, running and still to come."""

    WAIT = "wait"
    asked: Mapping[str, int] = {}

    def __init__(
        self,
        spaces: list[Space],
        options: Options,
        stored: Mapping[str, Row] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Lay the plan out.

        Args:
            spaces: What is studied.
            options: How large the sweep is.
            stored: Rows by key that an earlier start has finished: time decides nothing about them.
            clock: Seconds.

        Raises:
            UserError: a study is asked for twice.
        """
        self.options, self.clock = options, clock
        self.stored = dict(stored or {})
        self.studies = [study for space in spaces for study in studies(space, options)]
        self.resources = self.studies[0].base.resources
        names = [study.name for study in self.studies]
        if len(set(names)) < len(names):
            raise UserError(f"the study '{max(names, key=names.count)}' was asked for twice; name each space once")
        if len(spaces) > 1 and (recipes := [space.name for space in spaces if space.grid]):
            raise UserError(f"'{recipes[0]}' is a recipe: its table and figures are of one set of runs; run it in a sweep of its own")
        self.phase: Kind = "contrast"
        self.queue: deque[Spec] = deque()
        self.running: dict[str, Spec] = {}
        self.finished: list[Row] = []
        self.dropped = 0
        self._count = 0
        self._started = clock()
        self._elapsed_before = 0.0
        self._queue_contrasts()

    def continue_from(self, elapsed: float) -> None:
        """Count time that an earlier, interrupted start of this sweep has used."""
        self._elapsed_before = elapsed

    @property
    def elapsed(self) -> float:
        """Seconds this sweep has taken, over all its starts."""
        return self._elapsed_before + self.clock() - self._started

    def next(self) -> Spec | str | None:
        """The next trial; `WAIT` while others must finish first; None when everything is done."""
        while True:
            self._drop_what_does_not_fit()
            if self.queue:
                spec = self.queue.popleft()
                self.running[spec.key] = spec
                return spec
            if self.phase == "search" and self._ask():
                continue
            if self.running:
                return self.WAIT
            if self.phase == "confirm":
                return None
            self.phase = PHASES[PHASES.index(self.phase) + 1]
            if self.phase == "confirm":
                self._queue_confirmations()

    def tell(self, spec: Spec, row: Row) -> None:
        """A trial has ended."""
        del self.running[spec.key]
        self.finished.append(row)
        study = next(study for study in self.studies if study.name == spec.study)
        study.open.discard(spec.key)
        study.tell(spec, row)

    def seconds_left(self) -> float | None:
        """A prediction for people: of what is queued and running, or of the time limit."""
        if self.phase != "confirm" and self.options.minutes is not None:
            return max(0.0, self.options.minutes * 60 - self.elapsed)
        trials = len(self.queue) + len(self.running) / 2
        if self.phase != "confirm":
            trials += sum((self.options.trials or 0) - study.asked for study in self.studies if not study.closed)
            trials += sum(len(self._chosen(study)) for study in self.studies)
        each = self._seconds_per_trial()
        return None if each is None else trials * each / self.options.slots

    def planned(self) -> dict[str, int | None]:
        """Numbers of trials by kind, as declared."""
        queued = [*self.queue, *self.running.values()]
        first = {
            kind: sum(row["kind"] == kind for row in self.finished) + sum(spec.kind == kind for spec in queued)
            for kind in ("contrast", "rival")
        }
        sampled, levels = sum(study.space.sample is not None for study in self.studies), sum(len(study.levels) for study in self.studies)
        search = None if sampled and self.options.trials is None else (self.options.trials or 0) * sampled + levels
        return {**first, "search": search, "confirm": sum(len(self._chosen(study)) for study in self.studies)}

    def _queue_contrasts(self) -> None:
        """Every scenario's anchor and rivals first, then level by level over all scenarios, so that an early end leaves whole levels."""
        for study in self.studies:
            for level in study.levels:
                self._add(study, "search", ", ".join(f"{path}={value}" for path, value in level.items()), level)
        studies = [study for study in self.studies if study.space.sample is not None and self.options.contrasts]
        for study in studies:
            self._add(study, "contrast", "anchor", {})
        for study in studies:
            for label, changes in study.space.rivals.items():
                self._add(study, "rival", label, changes)
        factors = {factor: levels for study in studies for factor, levels in study.space.contrasts.items()}
        for factor, levels in factors.items():
            for level in levels:
                for study in studies:
                    if level in study.space.contrasts.get(factor, ()):
                        name = level_name(factor, level)
                        self._add(study, "contrast", f"{factor}={name}", changes_of(factor, level), factor, name)

    def _add(
        self, study: Study, kind: Kind, label: str, changes: Mapping[str, Any], factor: str | None = None, level: str | None = None
    ) -> None:
        experiments = study.group(changes, kind)
        method = experiments[0].method.name
        self.queue.append(Spec(self._count, study.name, study.scenario, method, kind, label, experiments, dict(changes), factor, level))
        self._count += 1

    def _ask(self) -> bool:
        """Ask studies whose last batch is complete; whether any gave trials."""
        asked = False
        for study in self.studies:
            if study.closed or study.open:
                continue
            known = [row["kind"] for row in self.stored.values() if row["study"] == study.name]
            late = study.asked >= known.count("search") and ("confirm" in known or not self._fits(BATCH * len(self.studies)))
            if (self.options.trials is not None and study.asked >= self.options.trials) or (self.options.minutes is not None and late):
                study.closed = True
                continue
            specs = study.ask(self._count)
            self._count += len(specs)
            study.open |= {spec.key for spec in specs}
            self.queue.extend(specs)
            asked = True
        return asked

    def _chosen(self, study: Study) -> list[tuple[str, dict[str, Any]]]:
        """What meets the test split: the winner, the anchor and the rivals; or a recipe's grid."""
        best = study.best()
        if study.entry is not None:
            tried = sum(row["kind"] == "search" and settled(row) for row in study.rows)
            words = "tuned" if best is not None and tried == len(study.levels) else "untuned"
            return [(f"{study.entry} ({words})", dict(json.loads(best["params"])) if best is not None else {})]
        if study.space.sample is None:
            return [(label, dict(changes)) for label, changes in study.space.grid.items()]
        name = study.base.method.name
        params = dict(json.loads(best["params"])) if best is not None else {}
        chosen = [] if best is None else [(f"{name} (tuned)", params)]
        if params or best is None:
            chosen.append((f"{name} (untuned)", {}))
        return chosen + [(f"{label} (untuned)", dict(changes)) for label, changes in study.space.rivals.items()]

    def _queue_confirmations(self) -> None:
        for study in self.studies:
            for label, changes in self._chosen(study):
                self._add(study, "confirm", label, changes)

    def _drop_what_does_not_fit(self) -> None:
        """With a time limit, contrasts that would take the time of the confirmations are not run; the report says how many."""
        if self.phase == "contrast" and self.queue and not self._fits(self.options.slots):
            kept = [spec for spec in self.queue if spec.kind != "contrast" or spec.key in self.stored]
            self.dropped += len(self.queue) - len(kept)
            self.queue = deque(kept)

    def _fits(self, trials: int) -> bool:
        each = self._seconds_per_trial()
        if self.options.minutes is None or each is None:
            return True
        waiting = trials + sum(len(self._chosen(study)) for study in self.studies)
        return self.elapsed + MARGIN * waiting * each / self.options.slots < self.options.minutes * 60

    def _seconds_per_trial(self) -> float | None:
        done = [row["wall_seconds"] for row in self.finished if row["state"] == "COMPLETE"]
        return float(np.mean(done)) if done else None


def studies(space: Space, options: Options) -> list[Study]:
    """One study per scenario; one per scenario and entry where the entries of a recipe are tuned."""
    found = []
    for scenario, experiment in space.experiments().items():
        entries = space.grid.items() if space.tune else [(None, {})]
        found += [Study(space, scenario, override(experiment, changes), options, entry) for entry, changes in entries]
    return found
