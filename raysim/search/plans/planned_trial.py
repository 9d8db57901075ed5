"""A trial as a part of the plan proposes it, before it has a number, and blocks of such trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from raysim.experiment.records import Experiment
from raysim.search.plans.stages import Stage
from raysim.search.studies.study import Study
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialKind


@dataclass(frozen=True, eq=False, kw_only=True)
class PlannedTrial:
    """A configuration of a study; the other attributes are those of `TrialSpec`."""

    study: Study
    kind: TrialKind
    label: str
    overrides: Mapping[str, Any]
    factor: str | None = None
    level: str | None = None
    factor2: str | None = None
    level2: str | None = None
    point: int | None = None
    unit: tuple[float, ...] | None = None
    tuning: str = ""

    @cached_property
    def experiments(self) -> tuple[Experiment, ...]:
        """The configuration on each of its seeds."""
        return self.study.experiments(self.overrides, self.kind)

    @cached_property
    def runs(self) -> tuple[str, ...]:
        """Ids of its runs, one per seed."""
        return tuple(experiment.id for experiment in self.experiments)

    @property
    def method(self) -> str:
        """Name of the method."""
        return self.experiments[0].method.name

    def spec(self, seeds: int) -> TrialSpec:
        """Return the specification of the trial on the first of its seeds, so many."""
        return TrialSpec(
            study=self.study.name,
            scenario=self.study.scenario,
            method=self.method,
            kind=self.kind,
            label=self.label,
            experiments=self.experiments[:seeds],
            params=dict(self.overrides),
            factor=self.factor,
            level=self.level,
            factor2=self.factor2,
            level2=self.level2,
            point=self.point,
            unit=self.unit,
            tuning=self.tuning,
        )


@dataclass(eq=False, kw_only=True)
class Block:
    """Trials that are started together or not at all: one level in all scenarios, for example.

    Attributes:
        stage: Their stage.
        name: The level, the rival, or the role of the configurations that are confirmed.
        trials: Those that are not started yet.
        seeds: Seeds of each; None before the first one is started.
    """

    stage: Stage
    name: str = ""
    trials: list[PlannedTrial]
    seeds: int | None = None
