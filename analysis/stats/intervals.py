"""Student's t: intervals and p values of an estimate with its standard error, and intervals of plain means.

Accuracies and their differences have the noise of the whole study: see `comparisons`. The plain means are
those of other values: ratios of cost, masks of images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .pools import NO_WIDTH

Ends = tuple[float, float] | tuple[None, None]


def interval(centre: float, se: float | None, df: float | None, confidence: float) -> Ends:
    """Ends of the interval of an estimate; none without a standard error, or with one of no width."""
    if se is None or df is None or se <= NO_WIDTH:
        return None, None
    half = float(quantile(df, confidence)) * se
    return centre - half, centre + half


def quantile(df: float | np.ndarray, confidence: float) -> np.ndarray:
    """Half width of a t interval, in standard errors."""
    from scipy.special import stdtrit

    return stdtrit(np.minimum(df, 1e6), 0.5 + confidence / 2)


def p_value(centre: float, se: float | None, df: float | None) -> float | None:
    """Two-sided p value of zero; None without a standard error."""
    from scipy.special import stdtr

    if se is None or df is None or se <= NO_WIDTH:
        return None
    return float(2 * stdtr(min(df, 1e6), -abs(centre) / se))


@dataclass(frozen=True)
class Interval:
    """The mean of `n` values with the ends of its interval; None with one value."""

    mean: float
    low: float | None
    high: float | None
    n: int


def t_interval(values: Sequence[float], confidence: float = 0.9) -> Interval | None:
    """Interval of the mean of the finite values; None when there is none. `confidence` is in (0, 1)."""
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
    """Interval of the mean of `ours - theirs` over what both have; None where that is nothing."""
    shared = [key for key in ours if ours[key] is not None and theirs.get(key) is not None]
    return t_interval([ours[key] - theirs[key] for key in shared], confidence)
