"""Trials that are declared, not searched: levels of recipes, contrasts, rivals, interactions, and designs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.search.options import SweepOptions
from raysim.search.plans import designs
from raysim.search.plans.planned_trial import PlannedTrial
from raysim.search.spaces.factors import UnitTrial
from raysim.search.spaces.record import level_name, level_overrides
from raysim.search.studies.study import Study


def declared_trials(studies: Sequence[Study], with_contrasts: bool) -> Iterator[PlannedTrial]:
    """Yield the levels of recipes, then anchors, rivals, contrasts and interactions.

    Anchors and rivals of all scenarios come first, then level by level over all scenarios. So a sweep that
    ends early has whole levels.

    Args:
        studies: All studies of the sweep.
        with_contrasts: Whether anything but the levels of recipes is run.
    """
    for study in studies:
        for level in study.levels:
            label = ", ".join(f"{path}={value}" for path, value in level.items())
            yield PlannedTrial(study=study, kind="search", label=label, overrides=level)
    main_studies = [study for study in studies if study.is_main and with_contrasts]
    for study in main_studies:
        yield PlannedTrial(study=study, kind="contrast", label="anchor", overrides={})
    for study in main_studies:
        for label, overrides in study.space.rivals.items():
            yield PlannedTrial(study=study, kind="rival", label=label, overrides=overrides)
    for factor, levels in _levels_by_factor(main_studies).items():
        for level in levels:
            for study in main_studies:
                if level in study.space.contrasts.get(factor, ()):
                    name = level_name(factor, level)
                    yield PlannedTrial(
                        study=study,
                        kind="contrast",
                        label=f"{factor}={name}",
                        overrides=level_overrides(factor, level),
                        factor=factor,
                        level=name,
                    )
    for study in main_studies:
        for first, second in study.space.interactions:
            yield _interaction(study, first, second)


def _levels_by_factor(studies: Sequence[Study]) -> dict[str, list[Any]]:
    """Return the levels of every factor that any of the studies moves; a level is there once."""
    factors: dict[str, list[Any]] = {}
    for study in studies:
        for factor, levels in study.space.contrasts.items():
            listed = factors.setdefault(factor, [])
            listed += [level for level in levels if level not in listed]
    return factors


def _interaction(study: Study, first: str, second: str) -> PlannedTrial:
    """Return the trial that moves two factors together, each to its last level."""
    levels = [study.space.contrasts[factor][-1] for factor in (first, second)]
    names = [level_name(factor, level) for factor, level in zip((first, second), levels, strict=True)]
    return PlannedTrial(
        study=study,
        kind="interaction",
        label=f"{first}={names[0]} & {second}={names[1]}",
        overrides={**level_overrides(first, levels[0]), **level_overrides(second, levels[1])},
        factor=first,
        level=names[0],
        factor2=second,
        level2=names[1],
    )


def design_trials(
    studies: Sequence[Study], options: SweepOptions
) -> tuple[list[PlannedTrial], dict[str, Any]]:
    """Return the trials of a sensitivity design, point by point over the scenarios, and its record.

    Raises:
        UserError: A space has no parameters with ranges, or the budget is too small.
    """
    seed = studies[0].base.seed
    record: dict[str, Any] = {
        "kind": str(options.design),
        "budget": options.budget,
        "seed": seed,
        "second_order": False,
        "levels": designs.LEVELS,
        "factors": {},
        "N": {},
    }
    trials: list[list[PlannedTrial]] = []
    for study in studies:
        if study.function is None:
            raise UserError(
                f"'{study.space.name}' has no space(trial): a design needs parameters with ranges"
            )
        factors = study.function.factors
        unit_NK, blocks = _points(str(options.design), len(factors), options.budget, seed)
        record["factors"][study.name] = [factor.json() for factor in factors]
        record["N"][study.name] = blocks
        trials.append(
            [
                PlannedTrial(
                    study=study,
                    kind="design",
                    label=f"{options.design} {point}",
                    overrides=_overrides_at(study, UnitTrial(factors, unit)),
                    point=point,
                    unit=tuple(float(u) for u in unit),
                )
                for point, unit in enumerate(unit_NK)
            ]
        )
    longest = max(map(len, trials))
    in_turn = [rows[point] for point in range(longest) for rows in trials if point < len(rows)]
    return in_turn, record


def _overrides_at(study: Study, trial: UnitTrial) -> Mapping[str, Any]:
    return study.drawn_experiments(trial, "design")[0]


def _points(kind: str, k: int, budget: int, seed: int) -> tuple[np.ndarray, int]:
    return designs.sobol(k, budget, seed) if kind == "sobol" else designs.morris(k, budget, seed)
