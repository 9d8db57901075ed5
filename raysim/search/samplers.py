"""How a study is searched, by name: TPE, a Sobol sequence, at random, or a grid. All are seeded by address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import optuna
from scipy.stats import qmc

from raysim.core.errors import UserError
from raysim.search.designs import Factor, UnitTrial

SamplerName = Literal["tpe", "qmc", "random", "grid"]
SAMPLERS: tuple[SamplerName, ...] = ("tpe", "qmc", "random", "grid")
POINTS = 3  # levels of a number on a grid
MOST = 5_000  # points of a grid; beyond, nobody would wait for its end


def sampler(name: SamplerName, seed: int) -> optuna.samplers.BaseSampler:
    """The sampler of one suggestion; points of a grid and of a Sobol sequence are enqueued, and leave nothing to it."""
    if name == "tpe":
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=6, multivariate=True)
    return optuna.samplers.RandomSampler(seed=seed)


def sobol_point(
    sample: Callable[[Any], Mapping[str, Any]], factors: Sequence[Factor], index: int, seed: int
) -> dict[str, Any]:
    """Point `index` of a scrambled Sobol sequence over all parameters that the space can ask for; those that it does ask for there."""
    unit = qmc.Sobol(len(factors), scramble=True, rng=np.random.default_rng(seed)).random_base2(
        max(1, index.bit_length())
    )[index]
    trial = UnitTrial(factors, unit.tolist())
    sample(trial)
    return dict(trial.params)


def grid(sample: Callable[[Any], Mapping[str, Any]], rng: np.random.Generator) -> list[dict[str, Any]]:
    """Every point of the grid of a define-by-run space, in random order: `POINTS` evenly spaced levels of a number, all of a choice.

    Raises:
        UserError: the grid has more than `MOST` points.
    """
    found: list[dict[str, Any]] = []
    path: list[int] | None = []
    while path is not None:
        walk = _Walk(path)
        sample(walk)
        found.append(walk.params)
        if len(found) > MOST:
            raise UserError(
                f"--search grid: this space has more than {MOST} points at {POINTS} levels a number; "
                "search it with tpe or qmc"
            )
        path = walk.following()
    return [found[index] for index in rng.permutation(len(found))]


class _Walk:
    """A trial that follows a path through the levels, and takes the first level where the path ends."""

    def __init__(self, path: list[int]) -> None:
        self.path, self.sizes = list(path), list[int]()
        self.params: dict[str, Any] = {}

    def _take(self, name: str, levels: list[Any]) -> Any:
        if name in self.params:
            return self.params[name]
        step = len(self.sizes)
        self.sizes.append(len(levels))
        if step == len(self.path):
            self.path.append(0)
        self.params[name] = levels[self.path[step]]
        return self.params[name]

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        return self._take(name, list(choices))

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        levels = np.geomspace(low, high, POINTS) if log else np.linspace(low, high, POINTS)
        if step:
            levels = np.unique(low + np.round((levels - low) / step) * step)
        return float(self._take(name, [min(max(float(level), low), high) for level in levels]))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        levels = np.geomspace(low, high, POINTS) if log else np.linspace(low, high, POINTS)
        return int(
            self._take(name, sorted({low + round((level - low) / step) * step for level in levels.tolist()}))
        )

    def following(self) -> list[int] | None:
        """The next path in order; None after the last."""
        path = self.path[: len(self.sizes)]
        while path and path[-1] + 1 == self.sizes[len(path) - 1]:
            path.pop()
        return [*path[:-1], path[-1] + 1] if path else None
