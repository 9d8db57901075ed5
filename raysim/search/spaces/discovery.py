"""Discovery of every parameter that any branch of a define-by-run space reaches."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.search.spaces.factors import Factor, FactorTrial, two_distributions

RUNS = 2000  # runs of a space, which take about a second in all
MOST_WALKED_VALUES = 8  # an integer with at most so many values is walked like a choice


def discover(sample: Callable[[Any], Any], seed: int = 0) -> tuple[Factor, ...]:
    """Return every parameter that any branch of a define-by-run space reaches.

    Half of `RUNS` runs walk the choices systematically: first all first choices, then all combinations that
    differ in one choice, in two, and so on; a combination that led to a new parameter is followed up first.
    The other half draws the choices. Numbers are always drawn. So a branch behind a few choices is certainly
    found, and a branch behind a part of a number's range unless this part is narrow.

    Args:
        sample: The space: takes a trial, asks it for parameters.
        seed: Seed of the draws.

    Returns:
        The parameters, in the order in which they were met.

    Raises:
        UserError: One name has two distributions, a distribution is wrong, or the space asks for nothing.
    """
    rng = numpy_rng(seed, "discover")
    factors: dict[str, Factor] = {}
    queue: deque[tuple[int, ...]] = deque([()])
    for run in range(RUNS):
        prefix = queue.popleft() if queue and run % 2 == 0 else None
        trial = _ExploringTrial(prefix, rng)
        sample(trial)
        is_new = not set(trial.values) <= set(factors)
        for name, (factor, _) in trial.values.items():
            if factors.setdefault(name, factor) != factor:
                raise two_distributions(factors[name], factor)
        if prefix is not None:
            (queue.extendleft if is_new else queue.extend)(_neighbours(trial.walked, len(prefix)))
    if not factors:
        raise UserError("space(trial) asks for no parameter; a design needs at least one")
    return tuple(factors.values())


class _ExploringTrial(FactorTrial):
    """A trial that follows given choices, and then takes the first ones; without given choices it draws them.

    Numbers are drawn, and as often from the two ends of their range as from the rest.
    """

    def __init__(self, prefix: Sequence[int] | None, rng: np.random.Generator) -> None:
        self._prefix, self._rng = prefix, rng
        self.values: dict[str, tuple[Factor, Any]] = {}
        self.walked: list[tuple[int, int]] = []  # (the choice, how many there were)

    def _value(self, factor: Factor) -> Any:
        known_factor, value = self.values.get(factor.name, (factor, None))
        if known_factor != factor:
            raise two_distributions(known_factor, factor)
        if factor.name not in self.values:
            value = factor.value(self._coordinate(factor))
            self.values[factor.name] = factor, value
        return value

    def _coordinate(self, factor: Factor) -> float:
        count = factor.count
        if count is None or factor.log or (factor.kind != "categorical" and count > MOST_WALKED_VALUES):
            return float(self._rng.choice([0.0, 1.0, self._rng.random(), self._rng.random()]))
        step = len(self.walked)
        if self._prefix is None:
            choice = int(self._rng.integers(count))
        else:
            choice = self._prefix[step] if step < len(self._prefix) else 0
        self.walked.append((choice, count))
        return (choice + 0.5) / count


def _neighbours(walked: Sequence[tuple[int, int]], fixed: int) -> list[tuple[int, ...]]:
    """Return the walks that end with another choice than this walk, at any step after the first `fixed`.

    So every combination of choices is met once.
    """
    choices = [choice for choice, _ in walked]
    return [
        (*choices[:step], other)
        for step in range(fixed, len(walked))
        for other in range(walked[step][1])
        if other != choices[step]
    ]
