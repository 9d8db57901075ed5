"""Samplers of a search: TPE, a Gaussian process, a Sobol sequence, random draws, or a grid.

All are seeded by address. What decides a suggestion is set here, because Optuna's defaults change between
versions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from scipy.stats import qmc

from raysim.core.errors import UserError
from raysim.search.options import SamplerName
from raysim.search.spaces.factors import Factor, UnitTrial

STARTUP = 6  # finished trials before a model suggests
GRID_LEVELS = 3  # levels of a number on a grid
GUIDED = ("tpe", "gp")  # samplers that a constraint guides
MOST_GRID_POINTS = 5_000  # a larger grid would never be searched to its end


def make_sampler(name: SamplerName, seed: int) -> optuna.samplers.BaseSampler:
    """Return the sampler of one suggestion; points of a grid or a Sobol sequence are enqueued before it.

    Options of TPE that are not set here (gamma, weights ..) are deprecated: Optuna 6 fixes them.

    The Gaussian process models the parameters that all finished trials have; those of a branch are drawn.
    """
    if name == "tpe":
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=STARTUP,
            multivariate=True,
            group=False,
            constant_liar=True,
            n_ei_candidates=24,
        )
    if name == "gp":
        return optuna.samplers.GPSampler(
            seed=seed,
            n_startup_trials=STARTUP,
            deterministic_objective=False,
            independent_sampler=optuna.samplers.RandomSampler(seed=seed),
            warn_independent_sampling=False,
        )
    return optuna.samplers.RandomSampler(seed=seed)


def sobol_point(
    sample: Callable[[Any], Mapping[str, Any]], factors: Sequence[Factor], index: int, seed: int
) -> dict[str, Any]:
    """Return a point of a scrambled Sobol sequence over all parameters that a space can ask for.

    Args:
        sample: The space.
        factors: Its parameters.
        index: Place in the sequence.
        seed: Seed of the scrambling.

    Returns:
        The values of the parameters that the space asks for at this point.
    """
    unit = qmc.Sobol(len(factors), scramble=True, rng=np.random.default_rng(seed)).random_base2(
        max(1, index.bit_length())
    )[index]
    trial = UnitTrial(factors, unit.tolist())
    sample(trial)
    return dict(trial.params)


def grid(sample: Callable[[Any], Mapping[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Return every point of the grid of a define-by-run space, in random order.

    A number has `GRID_LEVELS` evenly spaced levels, a choice has all its values.

    Raises:
        UserError: The grid has more than `MOST_GRID_POINTS` points.
    """
    points: list[dict[str, Any]] = []
    path: list[int] | None = []
    while path is not None:
        trial = _GridTrial(path)
        sample(trial)
        points.append(trial.params)
        if len(points) > MOST_GRID_POINTS:
            raise UserError(
                f"--search grid: this space has more than {MOST_GRID_POINTS} points at {GRID_LEVELS} levels "
                "a number; search it with tpe or qmc"
            )
        path = trial.next_path()
    return [points[index] for index in rng.permutation(len(points))]


class _GridTrial:
    """A trial that follows a path through the levels, and takes the first level where the path ends."""

    def __init__(self, path: list[int]) -> None:
        self.path, self.sizes = list(path), list[int]()
        self.params: dict[str, Any] = {}

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._value(name, list(choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        levels = np.geomspace(low, high, GRID_LEVELS) if log else np.linspace(low, high, GRID_LEVELS)
        if step:
            levels = np.unique(low + np.round((levels - low) / step) * step)
        return float(self._value(name, [min(max(float(level), low), high) for level in levels]))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        levels = np.geomspace(low, high, GRID_LEVELS) if log else np.linspace(low, high, GRID_LEVELS)
        integers = {low + round((level - low) / step) * step for level in levels.tolist()}
        return int(self._value(name, sorted(integers)))

    def next_path(self) -> list[int] | None:
        """Return the next path in order; None after the last one."""
        path = self.path[: len(self.sizes)]
        while path and path[-1] + 1 == self.sizes[len(path) - 1]:
            path.pop()
        return [*path[:-1], path[-1] + 1] if path else None

    def _value(self, name: str, levels: list[Any]) -> Any:
        if name in self.params:
            return self.params[name]
        step = len(self.sizes)
        self.sizes.append(len(levels))
        if step == len(self.path):
            self.path.append(0)
        self.params[name] = levels[self.path[step]]
        return self.params[name]
