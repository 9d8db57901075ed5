"""Options of a sweep, checked field by field. Messages name the options as users type them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from raysim.core.columns import RESULT_COLUMNS, TRAFFIC_COLUMNS
from raysim.core.config import Config, suggest
from raysim.core.errors import UserError
from raysim.core.machine import usable_cores
from raysim.experiment.resources import Resources
from raysim.search.constraints import Constraint
from raysim.search.racing import RaceRule
from raysim.search.seeds import MOST_SEEDS

SamplerName = Literal["tpe", "gp", "qmc", "random", "grid"]
DesignName = Literal["sobol", "morris"]
OBJECTIVE = "acc_personal_own"
OBJECTIVES: dict[str, int] = {
    **dict.fromkeys(RESULT_COLUMNS, 1),
    **dict.fromkeys((*TRAFFIC_COLUMNS, "flops"), -1),
}  # 1: large is good, -1: small is good


class RunOptions(Config):
    """Options that a sweep and a stress run have in common.

    Attributes:
        seeds: Seeds per trial.
        minutes: Time for the whole run; None = no limit.
        slots: Trials that run at once; used to predict time, never to decide a result.
        constraints: Limits that the chosen configurations of a search must meet; none of a stress run.
    """

    model_config = ConfigDict(populate_by_name=True)

    seeds: int = Field(validation_alias="--seeds", ge=1, le=MOST_SEEDS)
    minutes: float | None = Field(None, validation_alias="--minutes", gt=0)
    slots: int = Field(1, ge=1)
    constraints: tuple[Constraint, ...] = ()


class SweepOptions(RunOptions):
    """Size of a sweep, and how it searches.

    Attributes:
        trials: Search trials per study; None = as many as the time allows.
        contrasts: Whether the one-factor contrasts are run.
        sampler: How the space is searched.
        objectives: Names of `OBJECTIVES`. The first one decides which configuration wins; several make a
            Pareto front and switch pruning off.
        race_seeds: Largest number of extra seeds for configurations that the search leaves undecided; 0 = no
            race.
        design: Sensitivity design that is run in place of contrasts and search; None = none.
        budget: Trials of the design in each study.
        extend: Search trials per study that a finished sweep gets in addition.
        extended: Study -> its numbers of search trials: for each extension, how many it had before and after.
            The last number is how many it has in all.
    """

    trials: int | None = Field(None, validation_alias="--trials", ge=0)
    contrasts: bool = True
    sampler: SamplerName = Field("tpe", validation_alias="--search")
    objectives: tuple[str, ...] = Field((OBJECTIVE,), validation_alias="--objectives", min_length=1)
    race_seeds: int = Field(0, validation_alias="--race", ge=0, le=MOST_SEEDS)
    design: DesignName | None = Field(None, validation_alias="--design")
    budget: int = Field(0, validation_alias="--budget", ge=0)
    extend: int = Field(0, validation_alias="--extend", ge=0)
    extended: Mapping[str, tuple[int, ...]] = {}

    @property
    def race(self) -> RaceRule:
        """Rule of the races."""
        return RaceRule(seeds=self.race_seeds)

    @field_validator("objectives")
    @classmethod
    def check_objectives(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        """Check that every objective is known and given once."""
        for name in objectives:
            if name not in OBJECTIVES:
                known = list(OBJECTIVES)
                raise ValueError(
                    f"unknown objective '{name}'{suggest(name, known)} Known: {', '.join(known)}"
                )
        if len(set(objectives)) < len(objectives):
            raise ValueError("each objective may be given once")
        return objectives

    @field_validator("race_seeds")
    @classmethod
    def check_race(cls, seeds: int) -> int:
        """Check that a race has seeds enough for a test."""
        if seeds == 1:
            raise ValueError("one seed decides nothing; it should be 0, or 2 and more")
        return seeds

    @field_validator("budget")
    @classmethod
    def check_budget(cls, budget: int, info: ValidationInfo) -> int:
        """Check that a budget belongs to a design."""
        if budget and info.data.get("design") is None:
            raise ValueError(
                "it is the number of trials of a design; add --design morris or --design sobol, or leave it "
                "out"
            )
        return budget


def trial_slots(workers: int | None, resources: Resources) -> int:
    """Return how many trials run at once.

    Args:
        workers: Client actors in all; None = one per core, and enough for one trial.
        resources: What one trial needs.

    Raises:
        UserError: They are too few for one trial.
    """
    total = workers if workers is not None else max(resources.workers, usable_cores())
    if total < resources.workers:
        raise UserError(
            f"--workers {total}: a trial needs resources.workers = {resources.workers}; give at least as "
            f"many, or resources.workers={total}"
        )
    return total // resources.workers
