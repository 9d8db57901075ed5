"""Factors: the parameters of a search space as coordinates of the unit cube.

A space can reach several branches. A branch that does not ask for a parameter makes its coordinate inactive:
the coordinate has no effect there, and the space stays defined on the whole cube [0, 1]^k.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import optuna.distributions as dist

from raysim.core.errors import UserError

FactorKind = Literal["float", "int", "categorical"]
EDGE = 1e-9  # keeps 2/3 of three choices in the third one, in spite of rounding errors


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A parameter of a space, as one coordinate of the unit cube.

    Attributes:
        name: Name in the space, often a dotted path.
        kind: Type of its values.
        low: Lower end, as in `suggest_float` and `suggest_int`; None for a choice.
        high: Upper end; None for a choice.
        log: Whether the range is logarithmic.
        step: Distance between values; None for a continuum or a choice.
        choices: Values of a choice.
    """

    name: str
    kind: FactorKind
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def count(self) -> int | None:
        """Number of values; None for a continuum."""
        if self.kind == "categorical":
            return len(self.choices)
        if self.low is None or self.high is None or self.step is None:
            return None
        return math.floor((self.high - self.low) / self.step + EDGE) + 1

    def value(self, u: float) -> Any:
        """Return the parameter at a coordinate.

        Args:
            u: Coordinate in [0, 1]. Choices and steps have equal shares of it; ranges are linear, or linear
                in the logarithm.
        """
        if self.count is not None and not self.log:
            place = min(int(u * self.count + EDGE), self.count - 1)
            if self.kind == "categorical":
                return self.choices[place]
            assert self.low is not None and self.step is not None
            return (int if self.kind == "int" else float)(self.low + place * self.step)
        assert self.low is not None and self.high is not None
        if u <= 0 or u >= 1:  # the ends exactly
            return self.low if u <= 0 else self.high
        half = 0.5 if self.kind == "int" else 0.0  # gives the outermost integers whole shares too
        low, high = self.low - half, self.high + half
        value = low * (high / low) ** u if self.log else low + u * (high - low)
        value = min(max(value, self.low), self.high)
        return round(value) if self.kind == "int" else value

    def json(self) -> dict[str, Any]:
        """Return the factor as run.json holds it."""
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
    """Return the factor that `suggest_float` describes, checked by Optuna's own rules."""
    checked = _checked(name, lambda: dist.FloatDistribution(low, high, log, step))
    return Factor(
        name=name, kind="float", low=checked.low, high=checked.high, log=checked.log, step=checked.step
    )


def int_factor(name: str, low: int, high: int, step: int = 1, log: bool = False) -> Factor:
    """Return the factor that `suggest_int` describes."""
    checked = _checked(name, lambda: dist.IntDistribution(low, high, log, step))
    return Factor(
        name=name, kind="int", low=checked.low, high=checked.high, log=checked.log, step=checked.step
    )


def choice_factor(name: str, choices: Sequence[Any]) -> Factor:
    """Return the factor that `suggest_categorical` describes."""
    checked = _checked(name, lambda: dist.CategoricalDistribution(choices))
    return Factor(name=name, kind="categorical", choices=checked.choices)


def _checked(name: str, make_distribution: Callable[[], Any]) -> Any:
    try:
        return make_distribution()
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None


class FactorTrial(ABC):
    """A trial that a space can ask for parameters, as Optuna's; subclasses return the value of a factor."""

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number of a range."""
        return float(self._value(float_factor(name, low, high, step, log)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """Return an integer of a range."""
        return int(self._value(int_factor(name, low, high, step, log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of several values."""
        return self._value(choice_factor(name, choices))

    @abstractmethod
    def _value(self, factor: Factor) -> Any:
        """Return the value of a factor."""


class UnitTrial(FactorTrial):
    """A trial at one point of the unit cube."""

    def __init__(self, factors: Sequence[Factor], u: Sequence[float]) -> None:
        """Describe the point.

        Args:
            factors: The space's parameters, from `discover`.
            u: One coordinate in [0, 1] per factor.

        Raises:
            UserError: There is not one coordinate per factor.
        """
        if len(factors) != len(u):
            raise UserError(
                f"a point of {len(u)} coordinates for {len(factors)} parameters; one per parameter is needed"
            )
        self._coordinates = {factor.name: (factor, float(x)) for factor, x in zip(factors, u, strict=True)}
        self.params: dict[str, Any] = {}

    @property
    def active(self) -> tuple[str, ...]:
        """The parameters that the space asked for, in order."""
        return tuple(self.params)

    def _value(self, factor: Factor) -> Any:
        if factor.name not in self._coordinates:
            raise UserError(
                f"space(trial) asks for '{factor.name}', which no explored branch reached; known: "
                f"{sorted(self._coordinates)}"
            )
        known_factor, u = self._coordinates[factor.name]
        if known_factor != factor:
            raise two_distributions(known_factor, factor)
        self.params[factor.name] = known_factor.value(u)
        return self.params[factor.name]


def two_distributions(first: Factor, second: Factor) -> UserError:
    """Return the error for a name that a space uses with two distributions."""
    ranges = [
        factor.choices if factor.kind == "categorical" else (factor.low, factor.high, factor.step, factor.log)
        for factor in (first, second)
    ]
    return UserError(
        f"space(trial): '{first.name}' has two distributions, {first.kind} {ranges[0]} and {second.kind} "
        f"{ranges[1]}; give each a name of its own"
    )
