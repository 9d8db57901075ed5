"""Designed experiments over a search space: which parameters it has, and points that Sobol indices or Morris effects are computed from.

A design lives on the unit cube [0, 1]^k, one coordinate per parameter that any branch of the space reaches. A
branch that does not ask for a parameter makes its coordinate inactive: it has no effect there, and the
function stays defined on the whole cube.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import optuna.distributions as dist

from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng

Kind = Literal["float", "int", "categorical"]
RUNS = 2000  # of a space, to find its parameters: a second in all
WALKED = 8  # an integer with at most so many values is walked like a choice
EDGE = 1e-9  # keeps 2/3 of three choices in the third one, whatever rounding did to 2/3
SPREAD = 2  # blocks or trajectories without which no estimate has a spread


@dataclass(frozen=True)
class Factor:
    """A parameter of a space, as one coordinate of the unit cube.

    `low`, `high`, `log` and `step` are those of `suggest_float` and `suggest_int` (None, None, False, None
    for a choice).
    """

    name: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def count(self) -> int | None:
        """How many values it has; None for a continuum."""
        if self.kind == "categorical":
            return len(self.choices)
        if self.low is None or self.high is None or self.step is None:
            return None
        return math.floor((self.high - self.low) / self.step + EDGE) + 1

    def value(self, u: float) -> Any:
        """The parameter at a coordinate.

        Args:
            u: In [0, 1]. Choices and steps have equal shares; ranges are linear, or linear in the logarithm.
        """
        if self.count is not None and not self.log:
            place = min(int(u * self.count + EDGE), self.count - 1)
            if self.kind == "categorical":
                return self.choices[place]
            assert self.low is not None and self.step is not None
            return (int if self.kind == "int" else float)(self.low + place * self.step)
        assert self.low is not None and self.high is not None
        if u <= 0 or u >= 1:  # to the last bit
            return self.low if u <= 0 else self.high
        half = 0.5 if self.kind == "int" else 0.0  # so that the outermost integers have whole shares too
        low, high = self.low - half, self.high + half
        value = low * (high / low) ** u if self.log else low + u * (high - low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.kind == "int" else value

    def json(self) -> dict[str, Any]:
        """As run.json holds it."""
        return {
            "path": self.name,
            "kind": self.kind,
            "low": self.low,
            "high": self.high,
            "log": self.log,
            "step": self.step,
            "choices": list(self.choices),
        }


def float_factor(name: str, low: float, high: float, step: float | None = None, log: bool = False) -> Factor:
    """What `suggest_float` describes, checked by Optuna's own rules."""
    found = _checked(name, lambda: dist.FloatDistribution(low, high, log, step))
    return Factor(name, "float", found.low, found.high, found.log, found.step)


def int_factor(name: str, low: int, high: int, step: int = 1, log: bool = False) -> Factor:
    """What `suggest_int` describes."""
    found = _checked(name, lambda: dist.IntDistribution(low, high, log, step))
    return Factor(name, "int", found.low, found.high, found.log, found.step)


def choice_factor(name: str, choices: Sequence[Any]) -> Factor:
    """What `suggest_categorical` describes."""
    return Factor(
        name, "categorical", choices=_checked(name, lambda: dist.CategoricalDistribution(choices)).choices
    )


def _checked(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


class _Suggesting(ABC):
    """Optuna's three questions, asked as one: the value of a factor."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """A number of a range."""
        return float(self._answer(float_factor(name, low, high, step, log)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer of a range."""
        return int(self._answer(int_factor(name, low, high, step, log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of several values."""
        return self._answer(choice_factor(name, choices))

    @abstractmethod
    def _answer(self, factor: Factor) -> Any:
        """The value of a factor."""


class UnitTrial(_Suggesting):
    """Answers a space's questions from one point of the unit cube."""

    def __init__(self, factors: Sequence[Factor], u: Sequence[float]) -> None:
        """Stand at a point.

        Args:
            factors: The space's parameters, from `discover`.
            u: One coordinate in [0, 1] per factor.

        Raises:
            UserError: there is not one coordinate per factor.
        """
        if len(factors) != len(u):
            raise UserError(
                f"a point of {len(u)} coordinates for {len(factors)} parameters; one per parameter is needed"
            )
        self._at = {factor.name: (factor, float(x)) for factor, x in zip(factors, u, strict=True)}
        self.params: dict[str, Any] = {}

    @property
    def active(self) -> tuple[str, ...]:
        """The parameters that were asked for, in order."""
        return tuple(self.params)

    def _answer(self, factor: Factor) -> Any:
        if factor.name not in self._at:
            raise UserError(
                f"space(trial) asks for '{factor.name}', which no explored branch reached; known: "
                f"{sorted(self._at)}"
            )
        known, u = self._at[factor.name]
        if known != factor:
            raise _two(known, factor)
        self.params[factor.name] = known.value(u)
        return self.params[factor.name]


class _Walker(_Suggesting):
    """Follows prescribed choices, then the first ones (or any, without a prescription); of numbers, ends are drawn as often as the rest."""

    def __init__(self, prefix: Sequence[int] | None, rng: np.random.Generator) -> None:
        self._prefix, self._rng = prefix, rng
        self.values: dict[str, tuple[Factor, Any]] = {}
        self.taken: list[tuple[int, int]] = []  # (the choice taken, how many there were)

    def _answer(self, factor: Factor) -> Any:
        known, value = self.values.get(factor.name, (factor, None))
        if known != factor:
            raise _two(known, factor)
        if factor.name not in self.values:
            value = factor.value(self._coordinate(factor))
            self.values[factor.name] = factor, value
        return value

    def _coordinate(self, factor: Factor) -> float:
        count = factor.count
        if count is None or factor.log or (factor.kind != "categorical" and count > WALKED):
            return float(self._rng.choice([0.0, 1.0, self._rng.random(), self._rng.random()]))
        number = len(self.taken)
        place = (
            int(self._rng.integers(count))
            if self._prefix is None
            else self._prefix[number]
            if number < len(self._prefix)
            else 0
        )
        self.taken.append((place, count))
        return (place + 0.5) / count


def _two(one: Factor, other: Factor) -> UserError:
    shown = [
        each.choices if each.kind == "categorical" else (each.low, each.high, each.step, each.log)
        for each in (one, other)
    ]
    return UserError(
        f"space(trial): '{one.name}' has two distributions, {one.kind} {shown[0]} and {other.kind} "
        f"{shown[1]}; give each a name of its own"
    )


def discover(sample: Callable[[Any], Any], seed: int = 0) -> tuple[Factor, ...]:
    """Every parameter that any branch of a define-by-run space reaches.

    Half of `RUNS` runs walk the choices systematically: first all first choices, then all that differ in one
    choice, in two, and so on, what led to something new before the rest; the other half draws them. Numbers
    are drawn. So a branch behind a few choices is found surely, one behind a number's range unless it is
    narrow.

    Args:
        sample: The space: takes a trial, asks it for parameters.
        seed: Of the numbers drawn.

    Returns:
        The parameters, in the order in which they were met.

    Raises:
        UserError: one name has two distributions, a distribution is wrong, or the space asks for nothing.
    """
    rng = numpy_rng(seed, "discover")
    found: dict[str, Factor] = {}
    queue: deque[tuple[int, ...]] = deque([()])
    for run in range(RUNS):
        prefix = queue.popleft() if queue and run % 2 == 0 else None
        walker = _Walker(prefix, rng)
        sample(walker)
        fresh = not set(walker.values) <= set(found)
        for name, (factor, _) in walker.values.items():
            if found.setdefault(name, factor) != factor:
                raise _two(found[name], factor)
        if prefix is not None:
            (queue.extendleft if fresh else queue.extend)(_neighbours(walker.taken, len(prefix)))
    if not found:
        raise UserError("space(trial) asks for no parameter; a design needs at least one")
    return tuple(found.values())


def _neighbours(taken: Sequence[tuple[int, int]], fixed: int) -> list[tuple[int, ...]]:
    """What differs from these choices in one after the first `fixed`, up to there: so every combination is met once."""
    places = [place for place, _ in taken]
    return [
        (*places[:n], other)
        for n in range(fixed, len(taken))
        for other in range(taken[n][1])
        if other != places[n]
    ]


def sobol(k: int, budget: int, seed: int, second_order: bool = False) -> tuple[np.ndarray, int]:
    """Saltelli's design: blocks of rows A, A with one coordinate of B each, (B with one of A each,) B; SALib's order of rows.

    A and B are the halves of one Latin hypercube in 2k dimensions. Blocks of a Sobol' sequence are not used:
    with few of them their errors are shared, and no resampling of blocks sees that (`docs/sensitivity.md`).

    Args:
        k: Parameters, at least 1.
        budget: Rows at most.
        seed: Of the points.
        second_order: Also the rows that indices of pairs need.

    Returns:
        U: [n, k] in [0, 1].
        N: Blocks; n = N (k + 2), or N (2k + 2).

    Raises:
        UserError: the budget is less than two blocks.
    """
    size = 2 * k + 2 if second_order else k + 2
    blocks = _affordable("sobol", k, budget, size, "blocks")
    from scipy.stats import qmc

    base = qmc.LatinHypercube(2 * k, rng=numpy_rng(seed, "sobol")).random(blocks)
    a, b = base[:, :k], base[:, k:]
    design = np.empty((blocks, size, k))
    design[:, 0], design[:, -1] = a, b
    for j in range(k):
        design[:, 1 + j] = np.where(np.arange(k) == j, b, a)
        if second_order:
            design[:, 1 + k + j] = np.where(np.arange(k) == j, a, b)
    return design.reshape(-1, k), blocks


def morris(k: int, budget: int, seed: int, levels: int = 4) -> tuple[np.ndarray, int]:
    """Morris' trajectories (SALib's): k + 1 rows each, every coordinate stepped once, up or down, by `levels / (2 levels - 2)`.

    Args:
        k: Parameters, at least 1.
        budget: Rows at most.
        seed: Of the trajectories.
        levels: Even; a parameter of more values than levels is met at some of them only.

    Returns:
        U: [n, k] in [0, 1].
        N: Trajectories; n = N (k + 1).

    Raises:
        UserError: the budget is less than two trajectories, or `levels` is odd or under 2.
    """
    if levels < 2 or levels % 2:
        raise UserError(f"morris: levels = {levels}; an even number of at least 2 is needed")
    count = _affordable("morris", k, budget, k + 1, "trajectories")
    from SALib.sample.morris import sample

    problem = {"num_vars": k, "names": [str(j) for j in range(k)], "bounds": [[0.0, 1.0]] * k}
    points = sample(problem, count, num_levels=levels, seed=numpy_rng(seed, "morris"))
    return np.clip(points, 0.0, 1.0), count


def _affordable(kind: str, k: int, budget: int, size: int, what: str) -> int:
    if k < 1:
        raise UserError(f"{kind}: a design of {k} parameters; at least 1 is needed")
    if budget < SPREAD * size:
        raise UserError(
            f"{kind}: a budget of {budget} rows; {k} parameters need at least {SPREAD * size} ({SPREAD} "
            f"{what} of {size} rows)"
        )
    return budget // size
