"""Do two scenarios rank the choices alike: one size per choice, and Kendall's tau with an interval.

The size of a choice is the root mean square of its effects over its levels, without the part that noise adds.
So it does not grow with the number of levels, as the largest effect does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

LEAST_SEEDS = 4  # three seeds give no verdict
LEAST_CHOICES = 3
DRAWS = 1000
Effects = Sequence[tuple[float, float]]  # estimate and standard error of each level of a choice


@dataclass(frozen=True)
class Agreement:
    """Kendall's tau of two rankings of the same choices, from -1 (reversed) to 1 (the same order).

    Its interval is None with fewer than `LEAST_CHOICES` choices. The verdict is `alike` when the interval
    lies above zero, `opposite` below; with fewer seeds than `LEAST_SEEDS` it is `undecided`.
    """

    tau: float
    low: float | None
    high: float | None
    verdict: Literal["alike", "opposite", "undecided"]


def effect_size(effects: Effects) -> float:
    """Root mean square of a choice's true effects; 0 where the noise is larger than what is seen."""
    return float(np.sqrt(max(0.0, _squares(effects))))


def agreement(
    a: Sequence[Effects], b: Sequence[Effects], seeds: int, confidence: float = 0.9, seed: int = 0
) -> Agreement:
    """Compare two rankings.

    Noise moves tau towards zero. So the interval holds the percentiles of redrawn effects and their mirror
    image about the estimate, and each end that lies away from zero is moved out by how well a ranking agrees
    with its own redrawn effects: with much noise it ends at -1 and 1.

    Args:
        a: For each choice, the effects of its levels in one scenario.
        b: The same choices in another scenario.
        seeds: Number of seeds of the effects.
        confidence: Nominal coverage in (0, 1).
        seed: Of the draws.
    """
    sizes = [np.array([_squares(effects) for effects in side])[None] for side in (a, b)]
    tau = float(_kendall(*sizes)[0])
    if len(a) < LEAST_CHOICES:
        return Agreement(tau, None, None, "undecided")
    rng = np.random.default_rng(seed)
    drawn = [_drawn(side, rng) for side in (a, b)]
    low, high = np.quantile(_kendall(*drawn), [(1 - confidence) / 2, (1 + confidence) / 2])
    low, high = min(low, 2 * tau - high), max(high, 2 * tau - low)
    alike = [_kendall(again, size).mean() for again, size in zip(drawn, sizes, strict=True)]
    fidelity = float(np.sqrt(max(0.05, alike[0] * alike[1]))) if min(alike) > 0 else 0.05
    low = max(-1.0, float(low / fidelity if low < 0 else low))
    high = min(1.0, float(high / fidelity if high > 0 else high))
    if seeds < LEAST_SEEDS or low <= 0 <= high:
        return Agreement(tau, low, high, "undecided")
    return Agreement(tau, low, high, "alike" if low > 0 else "opposite")


def _squares(effects: Effects) -> float:
    """Mean square of the true effects, without bias; it may be below zero."""
    return float(np.mean([estimate**2 - error**2 for estimate, error in effects]))


def _drawn(side: Sequence[Effects], rng: np.random.Generator) -> np.ndarray:
    """Mean squares of redrawn effects, [draws, choices]; the redrawn noise is taken out too."""
    columns = []
    for effects in side:
        estimates, errors = np.array(effects, float).T
        again = estimates + errors * rng.normal(size=(DRAWS, len(estimates)))
        columns.append((again**2 - 2 * errors**2).mean(axis=1))
    return np.stack(columns, axis=1)


def _kendall(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kendall's tau-b of each row, [rows]; 0 where all sizes are equal."""
    i, j = np.triu_indices(a.shape[1], 1)
    s, t = np.sign(a[:, i] - a[:, j]), np.sign(b[:, i] - b[:, j])
    scale = np.sqrt((s**2).sum(axis=1) * (t**2).sum(axis=1))
    return np.divide((s * t).sum(axis=1), scale, out=np.zeros(np.broadcast(s, t).shape[0]), where=scale > 0)
