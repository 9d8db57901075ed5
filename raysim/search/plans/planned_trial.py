"""A trial as a part of the plan proposes it, before it has a number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raysim.search.studies.study import Study
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialKind


@dataclass(frozen=True, kw_only=True)
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

    def spec(self, number: int) -> TrialSpec:
        """Return the specification of the trial with its number in the order of the plan."""
        experiments = self.study.experiments(self.overrides, self.kind)
        return TrialSpec(
            number=number,
            study=self.study.name,
            scenario=self.study.scenario,
            method=experiments[0].method.name,
            kind=self.kind,
            label=self.label,
            experiments=experiments,
            params=dict(self.overrides),
            factor=self.factor,
            level=self.level,
            factor2=self.factor2,
            level2=self.level2,
            point=self.point,
            unit=self.unit,
        )
