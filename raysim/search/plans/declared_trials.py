"""Trials that are declared, not searched: levels of recipes, contrasts, rivals, interactions, and designs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.search.options import SweepOptions
from raysim.search.plans import designs
from raysim.search.plans.planned_trial import Block, PlannedTrial
from raysim.search.spaces.factors import UnitTrial
from raysim.search.spaces.record import level_name, level_overrides
from raysim.search.studies.study import ANCHOR, Study


def declared_blocks(studies: Sequence[Study], with_contrasts: bool) -> Iterator[Block]:
    """Yield the anchors, the levels of recipes, contrasts, rivals and interactions.

    Args:
        studies: All studies of the sweep.
        with_contrasts: Whether contrasts, rivals and interactions are run.
    """
    main_studies = [study for study in studies if study.is_main]
    yield Block(stage="anchor", trials=[_anchor(study) for study in main_studies])
    for study in studies:
        yield Block(
            stage="level",
            name=study.name,
            trials=[
                PlannedTrial(study=study, kind="search", label=recipe_label(level), overrides=level)
                for level in study.levels
            ],
        )
    if not with_contrasts:
        return
    for factor, level in _levels_in_turn(main_studies):
        yield Block(
            stage="contrast",
            name=f"{factor}={level_name(factor, level)}",
            trials=[
                _contrast(study, factor, level)
                for study in main_studies
                if level in study.space.contrasts.get(factor, ())
            ],
        )
    for label in dict.fromkeys(label for study in main_studies for label in study.space.rivals):
        yield Block(
            stage="rival",
            name=label,
            trials=[
                PlannedTrial(
                    study=study, kind="rival", label=label, overrides=dict(study.space.rivals[label])
                )
                for study in main_studies
                if label in study.space.rivals
            ],
        )
    pairs = [pair for study in main_studies for pair in study.space.interactions]
    for first, second in dict.fromkeys(pairs):
        yield Block(
            stage="interaction",
            name=f"{first} & {second}",
            trials=[
                _interaction(study, first, second)
                for study in main_studies
                if (first, second) in study.space.interactions
            ],
        )


def recipe_label(level: Mapping[str, Any]) -> str:
    """Return the label of a declared level of a recipe."""
    return ", ".join(f"{path}={value}" for path, value in level.items())


def _anchor(study: Study) -> PlannedTrial:
    return PlannedTrial(study=study, kind="contrast", label=ANCHOR, overrides={})


def _contrast(study: Study, factor: str, level: Any) -> PlannedTrial:
    name = level_name(factor, level)
    return PlannedTrial(
        study=study,
        kind="contrast",
        label=f"{factor}={name}",
        overrides=level_overrides(factor, level),
        factor=factor,
        level=name,
    )


def _levels_in_turn(studies: Sequence[Study]) -> Iterator[tuple[str, Any]]:
    """Yield factor and level: of every factor the first level, then the second, and so on.

    The factors of the methods come first: they are the choices that a paper leaves open. A level is there
    once.
    """
    factors: dict[str, list[Any]] = {}
    for study in studies:
        for factor, levels in study.space.contrasts.items():
            listed = factors.setdefault(factor, [])
            listed += [level for level in levels if level not in listed]
    ordered = sorted(factors, key=lambda factor: not factor.startswith("method."))
    for place in range(max(map(len, factors.values()), default=0)):
        for factor in ordered:
            if place < len(factors[factor]):
                yield factor, factors[factor][place]


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


def design_blocks(studies: Sequence[Study], options: SweepOptions) -> tuple[list[Block], dict[str, Any]]:
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
    points = [[rows[point] for rows in trials if point < len(rows)] for point in range(longest)]
    return [Block(stage="design", trials=point) for point in points], record


def _overrides_at(study: Study, trial: UnitTrial) -> Mapping[str, Any]:
    return study.drawn_experiments(trial, "design")[0]


def _points(kind: str, k: int, budget: int, seed: int) -> tuple[np.ndarray, int]:
    return designs.sobol(k, budget, seed) if kind == "sobol" else designs.morris(k, budget, seed)
