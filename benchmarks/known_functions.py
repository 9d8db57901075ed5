"""Functions on the unit cube whose sensitivity indices are known in closed form.

Ishigami's and Sobol's g are those of the literature. `conditional` has a switch that chooses which of two
parameters acts, each in half of the space; `rare` has the switch at 1 in 8. `half_inert` has three parameters
that do nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LEVELS = 4  # of a coordinate in a Morris design


@dataclass(frozen=True)
class KnownFunction:
    """A function on the unit cube with its indices in closed form."""

    name: str
    k: int
    f: Callable[[np.ndarray], np.ndarray]
    variance: float
    first: tuple[float, ...]
    total: tuple[float, ...]


def ishigami() -> KnownFunction:
    """Ishigami and Homma (1990) with a = 7, b = 0.1."""
    a, b, pi = 7.0, 0.1, np.pi
    v1, v2, v13 = 0.5 * (1 + b * pi**4 / 5) ** 2, a**2 / 8, b**2 * pi**8 * 8 / 225
    v = v1 + v2 + v13

    def f(u: np.ndarray) -> np.ndarray:
        x = pi * (2 * u - 1)
        return np.sin(x[:, 0]) + a * np.sin(x[:, 1]) ** 2 + b * x[:, 2] ** 4 * np.sin(x[:, 0])

    return KnownFunction("ishigami", 3, f, v, (v1 / v, v2 / v, 0.0), ((v1 + v13) / v, v2 / v, v13 / v))


def sobol_g() -> KnownFunction:
    """Saltelli and Sobol' (1995) with a = 0, 0.5, 3, 9, 99, 99."""
    a = np.array([0.0, 0.5, 3.0, 9.0, 99.0, 99.0])
    partial_variances = 1 / (3 * (1 + a) ** 2)
    v = float(np.prod(1 + partial_variances) - 1)
    total = tuple(
        float(partial_variances[j] * np.prod(np.delete(1 + partial_variances, j)) / v) for j in range(6)
    )
    return KnownFunction(
        "sobol g",
        6,
        lambda u: np.prod((np.abs(4 * u - 2) + a) / (1 + a), axis=1),
        v,
        tuple((partial_variances / v).tolist()),
        total,
    )


def conditional(name: str, p: float) -> KnownFunction:
    """A switch u0: the outcome is 2 u1 where u0 < p, else u2 + 0.3."""
    (m1, v1), (m2, v2) = (1.0, 4 / 12), (0.8, 1 / 12)
    apart, q = p * (1 - p) * (m1 - m2) ** 2, 1 - p
    v = p * v1 + q * v2 + apart
    total = ((apart + p * q * (v1 + v2)) / v, p * v1 / v, q * v2 / v)
    return KnownFunction(
        name,
        3,
        lambda u: np.where(u[:, 0] < p, 2 * u[:, 1], u[:, 2] + 0.3),
        v,
        (apart / v, p * p * v1 / v, q * q * v2 / v),
        total,
    )


def half_inert() -> KnownFunction:
    """A line, a curve and an interaction beside three parameters without effect, v = 2 u - 1."""
    v = 1 / 3 + 1.4**2 * 4 / 45 + 0.6**2 / 9
    first, both = (1 / 3 / v, 1.4**2 * 4 / 45 / v, 0.0), 0.6**2 / 9 / v

    def f(u: np.ndarray) -> np.ndarray:
        x = 2 * u - 1
        return x[:, 0] + 1.4 * x[:, 1] ** 2 + 0.6 * x[:, 0] * x[:, 2]

    total = (first[0] + both, first[1], both)
    return KnownFunction("half inert", 6, f, v, (*first, 0.0, 0.0, 0.0), (*total, 0.0, 0.0, 0.0))


FUNCTIONS = (ishigami(), sobol_g(), conditional("conditional", 0.5), conditional("rare", 0.125))


def exact_mu_star(function: KnownFunction) -> np.ndarray:
    """Exact mu* of every parameter, over every step on the grid of levels. [k]"""
    grid = np.array(list(itertools.product(np.linspace(0, 1, LEVELS), repeat=function.k)))
    size = LEVELS / (2 * LEVELS - 2)
    answers = []
    for j in range(function.k):
        low = grid[grid[:, j] <= 1 - size + 1e-9]
        high = low.copy()
        high[:, j] += size
        answers.append(np.abs(function.f(high) - function.f(low)).mean() / size)
    return np.array(answers)
