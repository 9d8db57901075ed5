"""Sobol' indices of a Saltelli design: SALib's estimators with other intervals.

Point estimates equal `SALib.analyze.sobol.analyze` on finite outcomes (tested). The intervals of SALib are
not used: they are normal and too short with few blocks, and one NaN among the outcomes turns every total
index into 0 without a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .index import MIN_BLOCKS, Index, bootstrap_weights, change_rate_bound, finite_groups, interval_union


@dataclass(frozen=True)
class Sobol:
    """Indices of every parameter.

    Attributes:
        first: Share of the variance that a parameter explains alone.
        total: Share of the variance that a parameter explains with all its interactions.
        pairs: Share of the variance that two parameters explain together beyond what each explains alone.
        blocks: Blocks that were used.
        dropped: Blocks with an outcome that is not finite.
        reason: Why the indices are withheld and empty; "" where they are not.
    """

    first: tuple[Index, ...]
    total: tuple[Index, ...]
    pairs: tuple[Index, ...]
    blocks: int
    dropped: int
    reason: str


@dataclass(frozen=True)
class _Terms:
    """Terms to average over blocks: an index is (top - centre * shift) / variance of the means."""

    top: np.ndarray  # [N, P]
    shift: np.ndarray  # [N, P]
    centre: np.ndarray  # [N] mean of all rows of a block
    level: np.ndarray  # [N] mean of its rows A and B
    square: np.ndarray  # [N] mean of the squares of A and B

    def mean(self, W: np.ndarray) -> tuple[np.ndarray, ...]:
        """Compute weighted means; W [R, N]."""
        return W @ self.top, W @ self.shift, W @ self.centre, W @ self.level, W @ self.square

    def jackknife_means(self) -> tuple[np.ndarray, ...]:
        """Compute the means without each block in turn."""
        n = len(self.top)
        return tuple(
            (x.sum(axis=0) - x) / (n - 1)
            for x in (self.top, self.shift, self.centre, self.level, self.square)
        )

    def errors(self, W: np.ndarray, value: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """Compute standard errors [R, P] of resampled estimates by linearisation."""
        square = self.square[:, None]
        spread = W @ self.top**2 - 2 * value * (W @ (self.top * square)) + value**2 * (W @ square**2)
        spread -= (W @ self.top - value * (W @ square)) ** 2
        return np.sqrt(np.maximum(spread, 0) / (len(self.top) - 1)) / variance[:, None]


def sobol_indices(
    Y: np.ndarray, names: Sequence[str], second_order: bool = False, confidence: float = 0.9, seed: int = 0
) -> Sobol:
    """Estimate first-order, total and (optionally) second-order indices.

    Args:
        Y: [n] outcomes in the design's order; NaN or infinite where a run failed or diverged.
        names: The k parameters.
        second_order: Whether the design has the rows for pairs: n = N (2k + 2), else N (k + 2).
        confidence: Nominal coverage of the intervals, in (0, 1).
        seed: Seed of the resampling.

    Returns:
        The indices. Blocks with an outcome that is not finite are dropped and counted; above a tenth lost, or
        where the outcome does not vary, all indices are withheld with the reason.

    Raises:
        ValueError: the outcomes are not whole blocks.
    """
    k = len(names)
    rows, dropped, reason = finite_groups(Y, 2 * k + 2 if second_order else k + 2, "blocks")
    if not reason and np.ptp(rows) <= 1e-12:
        reason = "the outcome does not vary over the design: there is no variance to share out"
    if reason:
        return Sobol((), (), (), len(rows), dropped, reason)
    pairs = list(combinations(range(k), 2)) if second_order else []
    labels = [*names, *names, *(f"{names[i]} x {names[j]}" for i, j in pairs)]
    estimates = _estimate(rows - rows.mean(), k, pairs, confidence, seed)
    indices = [Index(label, *numbers) for label, numbers in zip(labels, estimates, strict=True)]
    return Sobol(
        tuple(indices[:k]), tuple(indices[k : 2 * k]), tuple(indices[2 * k :]), len(rows), dropped, ""
    )


def _terms(rows: np.ndarray, k: int, pairs: Sequence[tuple[int, int]]) -> _Terms:
    a, b, ab, ba = rows[:, :1], rows[:, -1:], rows[:, 1 : k + 1], rows[:, k + 1 : -1]
    step = ab - a
    top, shift = [b * step, 0.5 * step**2], [step, np.zeros_like(step)]
    if pairs:
        i, j = (list(side) for side in zip(*pairs, strict=True))
        both = step[:, i] + step[:, j]
        top.append(ba[:, i] * ab[:, j] - a * b - b * both)
        shift.append(ba[:, i] + ab[:, j] - a - b - both)
    ends = rows[:, [0, -1]]
    return _Terms(
        np.hstack(top), np.hstack(shift), rows.mean(axis=1), ends.mean(axis=1), (ends**2).mean(axis=1)
    )


def _ratio(means: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Compute indices [R, P] and variances [R] from means; without variance an index is 0."""
    top, shift, centre, level, square = means
    variance = np.maximum(square - level**2, 0)
    variance = np.where(variance > 1e-300, variance, np.inf)
    return (top - centre[:, None] * shift) / variance[:, None], variance


def _estimate(
    rows: np.ndarray, k: int, pairs: Sequence[tuple[int, int]], confidence: float, seed: int
) -> list[tuple[float, float | None, float | None]]:
    """Estimate (value, low, high) of every index."""
    n, terms = len(rows), _terms(rows, k, pairs)
    value = _ratio(terms.mean(np.full((1, n), 1 / n)))[0][0]
    if n < MIN_BLOCKS:
        return [(float(v), None, None) for v in value]
    jackknife, _ = _ratio(terms.jackknife_means())
    error = np.sqrt((n - 1) / n * ((jackknife - jackknife.mean(axis=0)) ** 2).sum(axis=0))
    W = bootstrap_weights(n, seed)
    again, variance = _ratio(terms.mean(W))
    half, low, high = interval_union(
        value, error, again, terms.errors(W, value=again, variance=variance), n, confidence
    )
    total = slice(k, 2 * k)
    low[total] = np.maximum(low[total], 0)
    changed = (np.abs(rows[:, 1 : k + 1] - rows[:, :1]) > 0).sum(axis=0)
    high[total] = np.maximum(high[total], _upper_ends(value[total], half[total], changed, n, confidence))
    unchanged = np.flatnonzero(changed == 0)  # a first-order index is at most the total index
    high[unchanged] = np.maximum(high[unchanged], high[total][unchanged])
    return [(float(v), float(lo), float(hi)) for v, lo, hi in zip(value, low, high, strict=True)]


def _upper_ends(
    value: np.ndarray, half: np.ndarray, changed: np.ndarray, n: int, confidence: float
) -> np.ndarray:
    """Upper ends of total indices, at most 1: on a logarithmic scale, and with the effect of rare branches.

    A total index is a mean of squares, mostly of a few large ones, so a small estimate is too small more
    often than too large.
    """
    relative = np.divide(half, value, out=np.zeros_like(value), where=value > 1e-300)
    # Share in a block that changed; a parameter without any such block may explain everything.
    share = np.where(changed > 0, value * n / np.maximum(changed, 1), 1.0)
    rare = change_rate_bound(changed, n, confidence) * share
    return np.minimum(1.0, np.maximum(value * np.exp(np.minimum(relative, 50)), rare))
