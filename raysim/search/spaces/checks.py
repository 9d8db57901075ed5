"""Checks of a space file before anything runs: every declared override applies, every figure can be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from raysim.core.errors import UserError
from raysim.core.plugins import error_with_line
from raysim.experiment.overrides import override, paths
from raysim.experiment.records import Experiment, to_dict
from raysim.search.spaces.record import Overrides, Space, level_overrides
from raysim.search.spaces.source_lines import line_of
from raysim.storage.report import figure_kinds

TRIED_POINTS = 16  # points of a search space that are tried


def check_declarations(path: Path, space: Space) -> None:
    """Check that every declared override and a few points of every search space can be applied.

    Raises:
        UserError: One of them cannot, with file and line.
    """
    for declaration, overrides in _declared_overrides(path, space):
        try:
            override(space.base, overrides)
        except UserError as error:
            raise UserError(f"{line_of(path, declaration, error)}: {declaration}: {error}") from None
    if space.sample is not None:
        _check_points(path, "space", space.sample, space.base)
    for label, sample in space.rival_spaces.items():
        _check_points(path, f"RIVAL_SPACES['{label}']", sample, override(space.base, space.rivals[label]))


def check_figures(space: Space) -> None:
    """Check that every figure of a recipe can be drawn.

    Raises:
        UserError: One cannot; the message names the space, the figure and what is allowed.
    """
    try:
        figures = figure_kinds().parse(space.figures, list(space.grid), f"space '{space.name}': FIGURES")
    except ValueError as error:
        raise UserError(str(error)) from None
    known = set(paths(to_dict(space.base)))
    known |= {
        path for overrides in space.grid.values() for path in paths(to_dict(override(space.base, overrides)))
    }
    for index, (_, figure, _) in enumerate(figures):
        axes = [figure["x"]] if isinstance(figure.get("x"), str) else list(figure.get("x") or [])
        for path in axes:
            if path not in known:
                raise UserError(
                    f"space '{space.name}': FIGURES[{index}]: x = '{path}' is no path of its experiments"
                )


def _declared_overrides(path: Path, space: Space) -> Iterator[tuple[str, Overrides]]:
    """Yield every declared override with the part of the file that declares it.

    Raises:
        UserError: A declaration does not agree with another one.
    """
    yield from ((f"SCENARIOS[{index}]", values) for index, values in enumerate(space.scenarios))
    yield from (
        (f"TUNE['{setting}']", {setting: level}) for setting, levels in space.tune.items() for level in levels
    )
    yield from _contrasts(path, space)
    yield from _interactions(path, space)
    if unknown_labels := [label for label in space.rival_spaces if label not in space.rivals]:
        label = unknown_labels[0]
        raise UserError(
            f"{line_of(path, 'RIVAL_SPACES', label)}: RIVAL_SPACES['{label}'] is no label of RIVALS; these "
            f"are {', '.join(space.rivals)}"
        )
    yield from ((f"ANCHORS[{index}]", values) for index, values in enumerate(space.anchors))
    yield from ((f"RIVALS['{label}']", values) for label, values in space.rivals.items())
    yield from ((f"GRID['{label}']", values) for label, values in space.grid.items())


def _contrasts(path: Path, space: Space) -> Iterator[tuple[str, Overrides]]:
    for factor, levels in space.contrasts.items():
        for level in levels:
            overrides = level_overrides(factor, level)
            if factor not in overrides:
                raise UserError(
                    f"{line_of(path, 'CONTRASTS', factor)}: CONTRASTS['{factor}']: the level {dict(level)} "
                    f"does not set {factor}"
                )
            yield f"CONTRASTS['{factor}']", overrides


def _interactions(path: Path, space: Space) -> Iterator[tuple[str, Overrides]]:
    for index, pair in enumerate(space.interactions):
        if unknown_factors := [factor for factor in pair if not space.contrasts.get(factor)]:
            factor = unknown_factors[0]
            raise UserError(
                f"{line_of(path, 'INTERACTIONS', factor)}: INTERACTIONS[{index}]: '{factor}' is no path of "
                f"CONTRASTS; these are {', '.join(space.contrasts)}"
            )
        yield (
            f"INTERACTIONS[{index}]",
            {
                setting: value
                for factor in pair
                for setting, value in level_overrides(factor, space.contrasts[factor][-1]).items()
            },
        )


def _check_points(path: Path, name: str, sample: Callable[[Any], Overrides], base: Experiment) -> None:
    """Check that a few points of a define-by-run space can be applied."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(TRIED_POINTS):
        try:
            params = dict(sample(study.ask()))
        except UserError:
            raise
        except Exception as error:
            raise UserError(error_with_line(path, error)) from None
        try:
            override(base, params)
        except UserError as error:
            raise UserError(f"{line_of(path, sample.__name__, error)}: {name}(trial): {error}") from None
