"""Student's t intervals of means that are no accuracies of configurations: ratios of cost, masks of images.

Accuracies and their differences have the noise of the whole study: see `comparisons`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .student import quantile


@dataclass(frozen=True)
class Interval:
    """The mean of `n` values with the ends of its interval; None with one value."""

    mean: float
    low: float | None
    high: float | None
    n: int


def t_interval(values: Sequence[float], confidence: float = 0.9) -> Interval | None:
    """Compute Student's t interval of the mean.

    Args:
        values: NaN and None are left out.
        confidence: Coverage in (0, 1).

    Returns:
        The interval, or None when no value is finite.
    """
    finite = [float(v) for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return None
    mean, n = float(np.mean(finite)), len(finite)
    if n == 1:
        return Interval(mean, None, None, 1)
    half = float(quantile(n - 1, confidence)) * float(np.std(finite, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired(
    ours: Mapping[int, float], theirs: Mapping[int, float], confidence: float = 0.9
) -> Interval | None:
    """Compute the interval of the mean of `ours - theirs` over what both have; None where that is nothing."""
    shared = [key for key in ours if ours[key] is not None and theirs.get(key) is not None]
    return t_interval([ours[key] - theirs[key] for key in shared], confidence)
