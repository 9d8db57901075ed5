"""Specification of a trial. It imports neither Ray nor Optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raysim.core.config import digest
from raysim.experiment.records import Experiment
from raysim.storage.trials import TrialKind

BATCH = 4  # search trials of a study that are suggested together; part of the study, never of the machine


@dataclass(frozen=True, kw_only=True)
class TrialSpec:
    """One trial: a configuration on a group of seeds.

    Attributes:
        study: Name of the study.
        scenario: Label of the scenario.
        method: Name of the method.
        kind: Why it is run.
        label: Name of the configuration in its study.
        experiments: The configuration on each of its seeds.
        params: Overrides of the study's base that make the configuration.
        factor: Path of the factor that a contrast moves; name of the case of a stress trial.
        level: Level of that factor; the scenario of the winner that a transfer trial uses.
        factor2: Second factor of an interaction.
        level2: Its level.
        point: Number of the point of a design.
        unit: Coordinates of that point in [0, 1].
        space: Signature of the search space that it was drawn from; name of the space of a stress trial.
        tuning: What stands behind the configuration of a confirm or transfer trial, as its row says it.
        thresholds: Round -> validation accuracy below which the trial is pruned there.
        limit_s: Seconds after which the trial fails; None = no limit.
        number: Place in the order of the plan; it is given when the trial is handed out.
    """

    study: str
    scenario: str
    method: str
    kind: TrialKind
    label: str
    experiments: tuple[Experiment, ...]
    params: Mapping[str, Any] = field(default_factory=dict)
    factor: str | None = None
    level: str | None = None
    factor2: str | None = None
    level2: str | None = None
    point: int | None = None
    unit: tuple[float, ...] | None = None
    space: str = ""
    tuning: str = ""
    thresholds: Mapping[int, float] = field(default_factory=dict)
    limit_s: float | None = None
    number: int = 0

    @property
    def key(self) -> str:
        """Digest that names the same trial in a resumed sweep."""
        return digest(
            {
                "kind": self.kind,
                "study": self.study,
                "label": self.label,
                "runs": [experiment.id for experiment in self.experiments],
            }
        )

    @property
    def opens_test(self) -> bool:
        """Whether the trial opens the test split: only selected configurations do."""
        return self.kind in ("confirm", "transfer")
