"""Sobol' indices of a Saltelli design: SALib's estimators, our own intervals.

Point estimates equal `SALib.analyze.sobol.analyze` on finite outcomes (tested). SALib's own intervals are not
used: they are normal, fall short with few blocks, and one NaN among its outcomes turns every total index into
0 without a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .index import LEAST_BLOCKS, Index, at_most, finite_groups, half_and_range, weights


@dataclass(frozen=True)
class Sobol:
    """Indices of every parameter; empty where `reason` says why they are withheld."""

    first: tuple[Index, ...]  # share of the variance that the parameter explains alone
    total: tuple[Index, ...]  # share that is left when all others are known: with all its interactions
    pairs: tuple[Index, ...]  # share that two explain together beyond what each does alone
    blocks: int  # used
    dropped: int  # blocks with an outcome that is not finite
    reason: str


@dataclass(frozen=True)
class _Terms:
    """What the estimators average: an index is (mean of `top` - centre * mean of `shift`) / variance, all means over blocks."""

    top: np.ndarray  # [N, P]
    shift: np.ndarray  # [N, P]
    centre: np.ndarray  # [N] mean of all rows of a block
    level: np.ndarray  # [N] mean of A and B
    square: np.ndarray  # [N] mean of their squares

    def mean(self, W: np.ndarray) -> tuple[np.ndarray, ...]:
        """Weighted means; W [R, N]."""
        return W @ self.top, W @ self.shift, W @ self.centre, W @ self.level, W @ self.square

    def left_out(self) -> tuple[np.ndarray, ...]:
        """Means without each block in turn."""
        n = len(self.top)
        return tuple(
            (x.sum(axis=0) - x) / (n - 1)
            for x in (self.top, self.shift, self.centre, self.level, self.square)
        )

    def errors(self, W: np.ndarray, value: np.ndarray, variance: np.ndarray) -> np.ndarray:
        """[R, P] standard errors of resampled estimates by linearisation."""
        square = self.square[:, None]
        spread = W @ self.top**2 - 2 * value * (W @ (self.top * square)) + value**2 * (W @ square**2)
        spread -= (W @ self.top - value * (W @ square)) ** 2
        return np.sqrt(np.maximum(spread, 0) / (len(self.top) - 1)) / variance[:, None]


def sobol_indices(
    Y: np.ndarray, names: Sequence[str], second_order: bool = False, confidence: float = 0.9, seed: int = 0
) -> Sobol:
    """First-order, total and (optionally) second-order indices.

    Args:
        Y: [n] outcomes in the design's order; NaN or infinite where a run failed or diverged.
        names: The k parameters.
        second_order: Whether the design has the rows for pairs: n = N (2k + 2), else N (k + 2).
        confidence: Nominal coverage of the intervals, in (0, 1).
        seed: Of the resampling.

    Returns:
        The indices. Blocks with an outcome that is not finite are dropped and counted; above a tenth lost, or
        where the outcome does not vary, everything is withheld with the reason.

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
    found = _estimate(rows - rows.mean(), k, pairs, confidence, seed)
    indices = [Index(label, *numbers) for label, numbers in zip(labels, found, strict=True)]
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
    """Indices [R, P] and variances [R] from means; without variance an index is 0."""
    top, shift, centre, level, square = means
    variance = np.maximum(square - level**2, 0)
    variance = np.where(variance > 1e-300, variance, np.inf)
    return (top - centre[:, None] * shift) / variance[:, None], variance


def _estimate(
    rows: np.ndarray, k: int, pairs: Sequence[tuple[int, int]], confidence: float, seed: int
) -> list[tuple[float, float | None, float | None]]:
    """(value, low, high) of every index."""
    n, terms = len(rows), _terms(rows, k, pairs)
    value = _ratio(terms.mean(np.full((1, n), 1 / n)))[0][0]
    if n < LEAST_BLOCKS:
        return [(float(v), None, None) for v in value]
    apart, _ = _ratio(terms.left_out())
    error = np.sqrt((n - 1) / n * ((apart - apart.mean(axis=0)) ** 2).sum(axis=0))
    W = weights(n, seed)
    again, variance = _ratio(terms.mean(W))
    half, low, high = half_and_range(
        value, error, again, terms.errors(W, value=again, variance=variance), n, confidence
    )
    total = slice(k, 2 * k)
    low[total] = np.maximum(low[total], 0)
    moved = (np.abs(rows[:, 1 : k + 1] - rows[:, :1]) > 0).sum(axis=0)
    high[total] = np.maximum(high[total], _reach(value[total], half[total], moved, n, confidence))
    unmoved = np.flatnonzero(moved == 0)  # no more alone than with all others
    high[unmoved] = np.maximum(high[unmoved], high[total][unmoved])
    return [(float(v), float(lo), float(hi)) for v, lo, hi in zip(value, low, high, strict=True)]


def _reach(value: np.ndarray, half: np.ndarray, moved: np.ndarray, n: int, confidence: float) -> np.ndarray:
    """How far up total indices may lie, at most 1: the interval on a logarithmic scale, and what a branch seldom met could still do.

    A total index is a mean of squares, mostly of a few large ones: small estimates are too small more often
    than too large.
    """
    relative = np.divide(half, value, out=np.zeros_like(value), where=value > 1e-300)
    each = np.where(
        moved > 0, value * n / np.maximum(moved, 1), 1.0
    )  # of blocks that changed; 1 = as much as everything
    return np.minimum(
        1.0, np.maximum(value * np.exp(np.minimum(relative, 50)), at_most(moved, n, confidence) * each)
    )
