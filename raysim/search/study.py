"""A study: one method in one scenario, its trials in the order in which they are asked for, and Optuna's view of them. No ray.

What a study suggests is a function of the space, the options and the finished rows alone: suggestions and
pruning thresholds look at completed batches only, and every sampler is seeded by its address.
"""

from __future__ import annotations

import inspect
import itertools
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from raysim.core.config import digest
from raysim.core.errors import UserError
from raysim.core.seeds import derive, numpy_rng
from raysim.core.types import Row
from raysim.experiment.overrides import at, override, paths
from raysim.experiment.records import Experiment, to_dict
from raysim.search.designs import Factor, discover
from raysim.search.mistakes import located, place
from raysim.search.racing import RACE, survivors
from raysim.search.samplers import grid, sampler, sobol_point
from raysim.search.spaces import Space
from raysim.search.spec import BATCH, OBJECTIVE, OBJECTIVES, Kind, Options, Spec

KEEP = 0.5  # share of earlier trials that a trial must beat at a rung
FRESH = 1000  # fresh seeds are this far from the selection seeds
FRONT = 4  # other points of a Pareto front that meet the test split


class Study:
    """A method in a scenario: Optuna's study, asked in batches; or an entry of a recipe, with its declared levels; or a tuned rival."""

    def __init__(
        self,
        space: Space,
        scenario: str,
        base: Experiment,
        options: Options,
        entry: str | None = None,
        sample: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> None:
        self.space, self.scenario, self.base, self.options, self.entry, self.sample = (
            space,
            scenario,
            base,
            options,
            entry,
            sample,
        )
        self.name = f"{space.name}{f' {entry}' if entry else ''} | {self.scenario}"
        found = itertools.product(*space.tune.values()) if entry and not sample and base.method.trains else []
        self.levels = [dict(zip(space.tune, values, strict=True)) for values in found]
        self.rows: list[Row] = []
        self.asked = 0
        self.open: set[str] = set()
        self.closed = sample is None or options.design is not None
        self.raced: dict[str, Row] | None = None  # who starts in the race, by label; None before it
        self.race_over = options.race.seeds == 0 or self.closed
        self._trials: dict[str, optuna.trial.Trial] = {}
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        ways = optuna.study.StudyDirection
        directions = [ways.MAXIMIZE if OBJECTIVES[name] > 0 else ways.MINIMIZE for name in options.objectives]
        self._study = optuna.create_study(
            directions=directions, sampler=optuna.samplers.RandomSampler(seed=0)
        )
        self._learned = False
        self._enqueued: deque[Mapping[str, Any]] = deque(space.anchors if entry is None else ())
        if sample is None or options.design is not None:
            return
        if options.sampler == "grid":
            self._enqueued = deque(grid(self.draw, numpy_rng(base.seed, "grid", self.name)))
        elif self.rival and (known := self._known({})) is not None:
            self._enqueued.append(known.params)
        if options.sampler == "qmc":
            _ = self._factors  # a range that no sequence can cover is refused before anything runs

    @property
    def signature(self) -> str:
        """What the space's parameters and ranges are."""
        return "" if self.sample is None else _signature(self.sample)

    @property
    def rival(self) -> bool:
        """Whether this is a rival's own study: it gets as many trials as the method's."""
        return self.entry is not None and self.sample is not None

    def group(self, changes: Mapping[str, Any], kind: Kind) -> tuple[Experiment, ...]:
        """The configuration on its seeds; a recipe may be tuned on some of them."""
        first = self.base.seed + (FRESH if kind in ("confirm", "transfer") else 0)
        tuning = kind == "search" and self.entry is not None and self.sample is None
        seeds = (
            min(self.options.seeds, self.space.tune_seeds or self.options.seeds)
            if tuning
            else self.options.seeds
        )
        return tuple(override(self.base, {**changes, "seed": first + index}) for index in range(seeds))

    def limit(self) -> int | None:
        """Search trials in all; None = as many as the time allows. A rival has as many as the method has contrasts and trials."""
        limit = self.options.trials
        if self.name in self.options.extended:
            limit = self.options.extended[self.name][-1]
        elif limit is not None and self.rival and self.options.contrasts:
            limit += 1 + sum(map(len, self.space.contrasts.values()))
        if self.options.sampler != "grid":
            return limit
        left = self.asked + len(self._enqueued)
        return left if limit is None else min(limit, left)

    def ask(self, number: int) -> list[Spec]:
        """The next batch; all its trials see the same completed rows. Fewer, or none, when a grid or a stage ends."""
        if not self._learned and self.options.sampler != "grid":
            self._learn_from_contrasts()
        ends = [
            end
            for end in (*self.options.extended.get(self.name, ()), self.limit())
            if end is not None and end > self.asked
        ]
        size = min([BATCH, *(end - self.asked for end in ends)]) if ends or self.limit() is None else 0
        thresholds = self._thresholds()
        return [self._suggest(number + index, thresholds) for index in range(size)]

    @cached_property
    def _factors(self) -> tuple[Factor, ...]:
        return discover(self.draw)

    def draw(self, trial: Any) -> dict[str, Any]:
        """What the space says of a trial.

        Raises:
            UserError: its mistake, with file and line.
        """
        assert self.sample is not None
        path = Path(self.sample.__code__.co_filename)
        try:
            return dict(self.sample(trial))
        except UserError as error:
            raise UserError(
                f"{place(path, self.sample.__name__, error)}: {self.sample.__name__}(trial): {error}"
            ) from None
        except Exception as error:
            raise UserError(located(path, error)) from None

    def drawn(self, trial: Any, kind: Kind) -> tuple[dict[str, Any], tuple[Experiment, ...]]:
        """The same, and its experiments.

        Raises:
            UserError: a value that is not allowed, with file and line.
        """
        assert self.sample is not None
        params = self.draw(trial)
        try:
            return params, self.group(params, kind)
        except UserError as error:
            where = place(Path(self.sample.__code__.co_filename), self.sample.__name__, error)
            raise UserError(f"{where}: {self.sample.__name__}(trial): {error}") from None

    def _suggest(self, number: int, thresholds: Mapping[int, float]) -> Spec:
        how = self.options.sampler
        label = f"{how} {self.asked}"
        if self._enqueued:
            self._study.enqueue_trial(dict(self._enqueued.popleft()))
            label = label if how == "grid" else f"start {self.asked}"
        elif how == "qmc":
            self._study.enqueue_trial(
                sobol_point(self.draw, self._factors, self.asked, derive(self.base.seed, "search", self.name))
            )
        self._study.sampler = sampler(how, derive(self.base.seed, "search", self.name, self.asked) % 2**31)
        trial = self._study.ask()
        self.asked += 1
        params, experiments = self.drawn(trial, "search")
        spec = Spec(
            number,
            self.name,
            self.scenario,
            self.base.method.name,
            "search",
            label,
            experiments,
            params,
            space=self.signature,
            thresholds=thresholds,
        )
        self._trials[spec.key] = trial
        return spec

    def adopt(self, rows: Iterable[Row]) -> list[Row]:
        """Take over search rows of an earlier form of the space (a range was widened), in their order: what was run is known and counts.

        Rows that the space can no longer give are kept, and not learned from.
        """
        earlier = [
            row
            for row in rows
            if row["kind"] == "search" and row["study"] == self.name and row.get("space") != self.signature
        ]
        if self.sample is None:
            return []
        for row in earlier:
            self.asked += 1
            known = json.loads(row["params"])
            if self.options.sampler == "grid":
                self._enqueued = deque(point for point in self._enqueued if point != known)
            elif self._enqueued and row["label"].startswith("start"):
                self._enqueued.popleft()
            self.rows.append(row)
            fixed = self._known(known)
            if fixed is not None and self._whole(row):
                self._study.add_trial(_finished(fixed, self.values(row)))
        return earlier

    def _known(self, changes: Mapping[str, Any]) -> optuna.trial.FixedTrial | None:
        """The configuration as a trial of this space; None where it is none."""
        assert self.sample is not None
        try:
            values = to_dict(override(self.base, changes))
            fixed = optuna.trial.FixedTrial({path: at(values, path) for path in paths(values)})
            self.sample(fixed)
        except (ValueError, UserError):  # a parameter that is no path of an experiment
            return None
        inside = all(
            space._contains(space.to_internal_repr(fixed.params[name]))
            for name, space in fixed.distributions.items()
        )
        return fixed if inside and set(changes) <= set(fixed.params) else None

    def _learn_from_contrasts(self) -> None:
        """Contrasts that lie inside the space are trials of the study too."""
        self._learned = True
        for row in (row for row in self.rows if row["kind"] == "contrast" and self._whole(row)):
            known = self._known(json.loads(row["params"]))
            if known is not None:
                self._study.add_trial(_finished(known, self.values(row)))

    def tell(self, spec: Spec, row: Row) -> None:
        """Tell Optuna the truth: COMPLETE with its values, PRUNED with its rungs, FAIL without any."""
        self.rows.append(row)
        trial = self._trials.pop(spec.key, None)
        if trial is None:
            return
        if len(self.options.objectives) == 1:
            for round_, value in json.loads(row["curve"]):
                trial.report(value, round_)
        whole = self._whole(row)
        state = optuna.trial.TrialState["FAIL" if row["state"] == "COMPLETE" and not whole else row["state"]]
        self._study.tell(trial, self.values(row) if whole else None, state=state)

    def _whole(self, row: Row) -> bool:
        """Whether a row is complete, with a number for every objective: a method without a shared model has no shared accuracy."""
        return row["state"] == "COMPLETE" and bool(np.isfinite(self.values(row)).all())

    def values(self, row: Row) -> list[float]:
        """A complete row's objectives, over its seeds."""
        return [
            float(row["objective"] if name == OBJECTIVE else np.mean(row[name]))
            for name in self.options.objectives
        ]

    def value(self, row: Row) -> float:
        """The first objective, so that large is good."""
        return OBJECTIVES[self.options.objectives[0]] * self.values(row)[0]

    def _thresholds(self) -> dict[int, float]:
        """At a quarter and half of the rounds: the median of the completed trials there. None where that curve is not the whole aim."""
        if self.options.objectives != (OBJECTIVE,):
            return {}
        total, every = self.base.total_rounds, self.base.evaluation.every
        rungs = sorted({max(every, round(total * part / every) * every) for part in (0.25, 0.5)} - {total})
        curves = [
            dict(json.loads(row["curve"]))
            for row in self.rows
            if row["state"] == "COMPLETE" and row["kind"] in ("contrast", "search")
        ]
        values = {rung: [curve[rung] for curve in curves if rung in curve] for rung in rungs}
        return {
            rung: float(np.quantile(found, 1 - KEEP)) for rung, found in values.items() if len(found) >= BATCH
        }

    def _done(self) -> list[Row]:
        return [row for row in self.rows if row["kind"] in ("contrast", "search") and self._whole(row)]

    def best(self) -> Row | None:
        """Who leads the race after two seeds or more; else the best completed row of contrasts and search by validation."""
        if self.raced and len(left := self._left()) and min(len(self._seen()[label]) for label in left) > 1:
            return self.raced[left[0]]
        return max(self._done(), key=self.value, default=None)

    def front(self) -> list[Row]:
        """Other completed rows that no row beats in every objective, the best in the first objective first; at most `FRONT`."""
        if len(self.options.objectives) == 1:
            return []
        signs = np.array([OBJECTIVES[name] for name in self.options.objectives])
        rows = self._done()
        points = np.array([signs * self.values(row) for row in rows])
        dominated = [bool(((points >= own).all(1) & (points > own).any(1)).any()) for own in points]
        best = self.best()
        left = [
            row
            for row, lost in zip(rows, dominated, strict=True)
            if not lost and best is not None and row["params"] != best["params"]
        ]
        return sorted(left, key=lambda row: -self.value(row))[:FRONT]

    def race(self, number: int) -> list[Spec]:
        """One more seed for each configuration in question; none when the race is over."""
        rule = self.options.race
        if self.raced is None:
            firsts = {
                self.group(json.loads(row["params"]), "search")[0].id: row
                for row in sorted(self._done(), key=self.value)
            }
            best = sorted(firsts.values(), key=self.value, reverse=True)[: rule.candidates]
            self.raced = {row["label"]: row for row in best}
        left = self._left() if self._seen() else list(self.raced)
        rounds = max((len(seen) for seen in self._seen().values()), default=0)
        if len(left) < 2 or rounds >= rule.seeds:
            self.race_over = True
            return []
        specs = []
        for index, label in enumerate(left):
            params = json.loads(self.raced[label]["params"])
            runs = (override(self.base, {**params, "seed": self.base.seed + RACE + rounds}),)
            specs.append(
                Spec(
                    number + index,
                    self.name,
                    self.scenario,
                    self.base.method.name,
                    "race",
                    label,
                    runs,
                    params,
                )
            )
        return specs

    def _seen(self) -> dict[str, dict[int, float]]:
        """Candidate -> race seed -> value."""
        seen: dict[str, dict[int, float]] = {}
        for row in (row for row in self.rows if row["kind"] == "race" and row["label"] in (self.raced or {})):
            value = self.value(row) if self._whole(row) else float("nan")
            seen.setdefault(row["label"], {})[row["seeds"][0]] = value
        return {label: dict(sorted(found.items())) for label, found in seen.items()}

    def _left(self) -> list[str]:
        return survivors(self._seen(), replace(self.options.race, candidates=len(self.raced or {})))


def _finished(known: optuna.trial.FixedTrial, values: list[float]) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(params=known.params, distributions=known.distributions, values=values)


@lru_cache(maxsize=64)
def _signature(sample: Callable[[Any], Any]) -> str:
    """What a space's parameters and ranges are: another signature is another space."""
    try:
        return digest([factor.json() for factor in discover(sample)])
    except (
        Exception
    ):  # a range that depends on another parameter; a mistake, which the first suggestion tells with its line
        return digest(inspect.getsource(sample))


def studies(space: Space, options: Options) -> list[Study]:
    """One study per scenario; one per scenario and entry where the entries of a recipe, or a method's rivals, are tuned."""
    found = []
    for scenario, experiment in space.experiments().items():
        if space.tune:
            found += [
                Study(space, scenario, override(experiment, changes), options, entry)
                for entry, changes in space.grid.items()
            ]
            continue
        found.append(Study(space, scenario, experiment, options, sample=space.sample))
        if options.trials is not None and options.design is None:
            found += [
                Study(space, scenario, override(experiment, space.rivals[rival]), options, rival, sample)
                for rival, sample in space.rival_spaces.items()
            ]
    return found
