"""What a trial is, how large a sweep is, and which finished trials stand. No ray, no optuna."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from raysim.core.config import digest
from raysim.core.types import RESULTS, TRAFFIC
from raysim.experiment.records import Experiment
from raysim.search.racing import Race

if TYPE_CHECKING:
    from raysim.search.samplers import SamplerName


Kind = Literal[
    "contrast", "rival", "interaction", "design", "search", "race", "confirm", "transfer", "stress"
]
BATCH = 4  # search trials of a study that are suggested together; part of the study, never of the machine
OBJECTIVE = "acc_personal_own"
OBJECTIVES: dict[str, int] = {
    **dict.fromkeys(RESULTS, 1),
    **dict.fromkeys((*TRAFFIC, "flops"), -1),
}  # 1: large is good


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
    factor2: str | None = None
    level2: str | None = None
    point: int | None = None
    unit: tuple[float, ...] | None = None
    space: str = ""
    thresholds: Mapping[int, float] = field(default_factory=dict)
    limit_s: float | None = None

    @property
    def key(self) -> str:
        """The same trial in a resumed sweep."""
        return digest(
            {
                "kind": self.kind,
                "study": self.study,
                "label": self.label,
                "runs": [experiment.id for experiment in self.experiments],
            }
        )

    @property
    def test(self) -> bool:
        """Only chosen configurations meet the test split."""
        return self.kind in ("confirm", "transfer")


@dataclass(frozen=True)
class Options:
    """How large a sweep is.

    Attributes:
        trials: Search trials per study; None = as many as the time allows.
        seeds: Seeds per trial.
        minutes: Time for the whole sweep; None = no limit.
        contrasts: Whether the one-factor contrasts are run.
        slots: Trials that run at once; used to predict time, never to decide a result.
        sampler: How the space is searched.
        objectives: What is searched for; the first decides who wins, several make a Pareto front and switch
            pruning off.
        race: Extra seeds for the configurations in question.
        design: A designed sensitivity study in place of contrasts and search: "sobol" or "morris".
        budget: Its trials in each study.
        extend: Search trials per study that a finished sweep is to get on top.
        extended: Study -> its numbers of search trials when it was extended, the last being how many it is to
            have in all.
    """

    trials: int | None
    seeds: int
    minutes: float | None
    contrasts: bool
    slots: int
    sampler: SamplerName = "tpe"
    objectives: tuple[str, ...] = (OBJECTIVE,)
    race: Race = field(default_factory=Race)
    design: str | None = None
    budget: int = 0
    extend: int = 0
    extended: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
