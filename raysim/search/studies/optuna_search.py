"""Search of a study with Optuna. It does not import Ray.

A suggestion is a function of the space, the options and the finished rows alone: it looks at completed
batches only, and every sampler is seeded by its address.
"""

from __future__ import annotations

import json
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

import optuna
from optuna.trial import FixedTrial, Trial, TrialState

from raysim.core.errors import UserError
from raysim.core.seeds import derive, numpy_rng
from raysim.experiment.overrides import override, paths, value_at
from raysim.experiment.records import Experiment, to_dict
from raysim.search.options import OBJECTIVES, SweepOptions
from raysim.search.spaces.function import SpaceFunction
from raysim.search.studies.ranking import is_complete, objective_values
from raysim.search.studies.samplers import grid, make_sampler, sobol_point
from raysim.storage.trials import TrialRow


class Learned(TypedDict):
    """A configuration that a search knows from a trial that it did not suggest.

    Attributes:
        params: Overrides of the study's base.
        values: Its objectives.
        excess: By how much it breaks each constraint; nothing without constraints.
    """

    params: dict[str, Any]
    values: list[float]
    excess: NotRequired[dict[str, float]]


class OptunaSearch:
    """Optuna's study of one method in one scenario.

    Attributes:
        asked: Number of search trials so far.
        learned: The contrasts that the search has learned from when it began; None before. A resumed search
            learns the same ones, so that it suggests the same trials, also if contrasts came later.
        optuna_study: What Optuna knows: trials that are complete, pruned or failed.
    """

    def __init__(
        self,
        function: SpaceFunction,
        base: Experiment,
        name: str,
        options: SweepOptions,
        first_points: Sequence[Mapping[str, Any]],
        starts_at_base: bool,
        learned: Sequence[Learned] | None,
    ) -> None:
        """Create the study.

        Args:
            function: The space.
            base: The study's base experiment.
            name: Name of the study.
            options: The sampler and the objectives.
            first_points: Parameters of the first trials.
            starts_at_base: Whether the base experiment is the first trial, where it lies in the space.
            learned: What the search of an earlier start has learned; None where it has not begun.

        Raises:
            UserError: The sampler cannot cover the space.
        """
        self.function, self.base, self.name, self.options = function, base, name, options
        self.asked = 0
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.optuna_study = optuna.create_study(
            directions=["maximize" if OBJECTIVES[name] > 0 else "minimize" for name in options.objectives],
            sampler=optuna.samplers.RandomSampler(seed=0),
        )
        self.learned: list[Learned] | None = None
        self._learned_before = learned
        self._open_trials: dict[str, Trial] = {}  # by key of the trial's specification
        self._points: deque[Mapping[str, Any]] = deque(first_points)
        if options.design is not None:
            return
        if options.sampler == "grid":
            self._points = deque(grid(function.overrides, numpy_rng(base.seed, "grid", name)))
        elif starts_at_base and (point := self._point({})) is not None:
            self._points.append(point.params)
        if options.sampler == "qmc":
            _ = function.factors  # a range that no sequence can cover is refused before anything runs

    @property
    def grid_size(self) -> int | None:
        """Number of trials until the grid is searched; None for another sampler, which has no end."""
        return self.asked + len(self._points) if self.options.sampler == "grid" else None

    def suggest(self) -> tuple[Trial, str]:
        """Return the next trial, and its label, which ends with its place in the study."""
        sampler, place = self.options.sampler, self.asked
        label = f"{sampler} {place}"
        if self._points:
            self.optuna_study.enqueue_trial(dict(self._points.popleft()))
            label = label if sampler == "grid" else f"start {place}"
        elif sampler == "qmc":
            seed = derive(self.base.seed, "search", self.name)
            self.optuna_study.enqueue_trial(
                sobol_point(self.function.overrides, self.function.factors, place, seed)
            )
        seed = derive(self.base.seed, "search", self.name, place) % 2**31
        self.optuna_study.sampler = make_sampler(sampler, seed)
        self.asked += 1
        return self.optuna_study.ask(), label

    def remember(self, key: str, trial: Trial) -> None:
        """Keep a suggested trial under the key of its specification, until its result is told."""
        self._open_trials[key] = trial

    def tell(self, key: str, row: TrialRow) -> None:
        """Tell Optuna how a suggested trial ended: COMPLETE with its values, PRUNED with its rungs, or FAIL.

        A row of a trial that Optuna did not suggest is not told.
        """
        trial = self._open_trials.pop(key, None)
        if trial is None:
            return
        if len(self.options.objectives) == 1:
            for round_, value in json.loads(row["curve"]):
                trial.report(value, round_)
        complete = self._is_complete(row)
        if complete:
            for name, excess in self._excess(row).items():
                trial.set_constraint(name, excess)
        state = TrialState["FAIL" if row["state"] == "COMPLETE" and not complete else row["state"]]
        values = objective_values(row, self.options.objectives) if complete else None
        self.optuna_study.tell(trial, values, state=state)

    def adopt(self, row: TrialRow) -> None:
        """Count a search trial of an earlier form of the space; learn from it where it lies in this one."""
        self.asked += 1
        params = json.loads(row["params"])
        if self.options.sampler == "grid":
            self._points = deque(point for point in self._points if point != params)
        elif self._points and row["label"].startswith("start"):
            self._points.popleft()
        if (entry := self._entry(row)) is not None:
            self._learn(entry)

    def learn_contrasts(self, rows: Sequence[TrialRow]) -> None:
        """Add the contrasts that lie inside the space to Optuna's study, once; a grid learns nothing.

        Args:
            rows: The contrasts that have ended. An earlier start of the search decides instead, if there was
                one.
        """
        if self.learned is not None or self.options.sampler == "grid":
            return
        found = (entry for row in rows if (entry := self._entry(row)) is not None)
        self.learned = list(found if self._learned_before is None else self._learned_before)
        for entry in self.learned:
            self._learn(entry)

    def _is_complete(self, row: TrialRow) -> bool:
        """Return whether a trial is complete and has every objective and every constrained value."""
        values = self._excess(row).values()
        return is_complete(row, self.options.objectives) and all(map(math.isfinite, values))

    def _excess(self, row: TrialRow) -> dict[str, float]:
        """Return by how much a trial breaks each constraint; 0 or less where it meets it."""
        return {str(constraint): constraint.excess(row) for constraint in self.options.constraints}

    def _entry(self, row: TrialRow) -> Learned | None:
        """Return what can be learned from a row; None where it is not complete."""
        if not self._is_complete(row):
            return None
        entry: Learned = {
            "params": json.loads(row["params"]),
            "values": objective_values(row, self.options.objectives),
        }
        return {**entry, "excess": self._excess(row)} if self.options.constraints else entry

    def _learn(self, entry: Learned) -> None:
        """Add a configuration to Optuna's study, where it is a point of the space."""
        point = self._point(entry["params"])
        if point is not None:
            trial = optuna.trial.create_trial(
                params=point.params, distributions=point.distributions, values=entry["values"]
            )
            for name, excess in entry.get("excess", {}).items():
                trial.set_constraint(name, excess)
            self.optuna_study.add_trial(trial)

    def _point(self, overrides: Mapping[str, Any]) -> FixedTrial | None:
        """Return a configuration as a trial of this space; None where the space cannot give it."""
        try:
            values = to_dict(override(self.base, overrides))
            point = FixedTrial({path: value_at(values, path) for path in paths(values)})
            self.function.sample(point)
        except (ValueError, UserError):  # the space has a parameter that is no path of an experiment
            return None
        inside = all(
            distribution._contains(distribution.to_internal_repr(point.params[name]))
            for name, distribution in point.distributions.items()
        )
        return point if inside and set(overrides) <= set(point.params) else None
