"""Sobol' indices of a Saltelli design: SALib's estimators with other intervals.

Point estimates equal `SALib.analyze.sobol.analyze` on finite outcomes (tested). The intervals of SALib are
not used: they are normal and too short with few blocks, and one NaN among the outcomes turns every total
index into 0 without a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .index import (
    MIN_BLOCKS,
    MOST_NOISE,
    Index,
    bootstrap_weights,
    change_rate_bound,
    finite_groups,
    indices,
    interval_union,
)
from .pools import NO_WIDTH
from .run_noise import mean_and_noise


@dataclass(frozen=True)
class Sobol:
    """Indices of every parameter: shares of the variance.

    Attributes:
        first: What a parameter explains alone.
        total: What it explains with all its interactions.
        pairs: What two parameters explain together beyond what each explains alone.
        used: Blocks that were used; `dropped` ones have an outcome that is not finite.
        reason: Why the indices are withheld and empty; "" where they are not.
        noise: Share of the variance between points that is run noise; None where each point has one seed.
    """

    first: tuple[Index, ...]
    total: tuple[Index, ...]
    pairs: tuple[Index, ...]
    used: int
    dropped: int
    reason: str
    noise: float | None = None


class _Terms(NamedTuple):
    """Terms of blocks, or means of them: an index is (top - centre * shift) / variance of the means."""

    top: np.ndarray  # [N, P]
    shift: np.ndarray  # [N, P]
    centre: np.ndarray  # [N] mean of all rows of a block
    level: np.ndarray  # [N] mean of its rows A and B
    square: np.ndarray  # [N] mean of the squares of A and B, without the run noise

    def mean(self, W: np.ndarray) -> _Terms:
        """Compute weighted means; W [R, N]."""
        return _Terms(*(W @ x for x in self))

    def without_each(self) -> _Terms:
        """Compute the means without each block in turn."""
        return _Terms(*((x.sum(axis=0) - x) / (len(x) - 1) for x in self))

    def indices(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute indices [R, P] and variances [R] from means; without variance an index is 0."""
        variance = np.maximum(self.square - self.level**2, 0)
        variance = np.where(variance > 1e-300, variance, np.inf)
        return (self.top - self.centre[:, None] * self.shift) / variance[:, None], variance

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
        Y: [n, seeds] outcomes in the design's order, or [n] of one seed; NaN or infinite where a run failed
            or diverged. Run noise is variance between points too; it is estimated from the seeds and taken
            out. With one seed it is not known. Then the lower end of a total index is that of the
            first-order index, which noise does not raise.
        names: The k parameters.
        second_order: Whether the design has the rows for pairs: n = N (2k + 2), else N (k + 2).
        confidence: Nominal coverage of the intervals, in (0, 1).
        seed: Seed of the resampling.

    Returns:
        The indices. Blocks with an outcome that is not finite are dropped and counted; above a tenth lost,
        where the outcome does not vary, or where most of its variance is noise, all indices are withheld with
        the reason.

    Raises:
        ValueError: the outcomes are not whole blocks.
    """
    k = len(names)
    mean, noise_n = mean_and_noise(Y)
    size = 2 * k + 2 if second_order else k + 2
    rows, dropped, reason = finite_groups(mean, size, "blocks")
    noise, share = None, None
    if noise_n is not None:
        noise = noise_n.reshape(-1, size)[np.isfinite(mean.reshape(-1, size)).all(axis=1)].mean(axis=1)
    if not reason and np.ptp(rows) <= 1e-12:
        reason = "the outcome does not vary over the design: there is no variance to share out"
    elif not reason and noise is not None:
        share = float(noise.mean() / rows[:, [0, -1]].var())
        if share > MOST_NOISE:
            reason = f"run noise is {share:.0%} of the variance between points; it takes more seeds per point"
    if reason:
        return Sobol((), (), (), len(rows), dropped, reason, share)
    pairs = list(combinations(range(k), 2)) if second_order else []
    value, low, high = _estimate(rows - rows.mean(), noise, k, pairs, confidence, seed)
    if noise is None:  # unknown noise raises a total index, but it is at least the first-order index
        low[k : 2 * k] = np.minimum(low[k : 2 * k], np.maximum(0, low[:k]))
    labels = [*names, *names, *(f"{names[i]} x {names[j]}" for i, j in pairs)]
    found = indices(labels, value, low, high)
    return Sobol(found[:k], found[k : 2 * k], found[2 * k :], len(rows), dropped, "", share)


def _terms(rows: np.ndarray, noise: np.ndarray | None, k: int, pairs: Sequence[tuple[int, int]]) -> _Terms:
    taken_out = np.zeros(len(rows)) if noise is None else noise
    changed = np.abs(rows[:, 1 : k + 1] - rows[:, :1]) > NO_WIDTH  # identical runs have no noise between them
    a, b, ab, ba = rows[:, :1], rows[:, -1:], rows[:, 1 : k + 1], rows[:, k + 1 : -1]
    step = ab - a
    top, shift = [b * step, 0.5 * step**2 - changed * taken_out[:, None]], [step, np.zeros_like(step)]
    if pairs:
        i, j = (list(side) for side in zip(*pairs, strict=True))
        both = step[:, i] + step[:, j]
        top.append(ba[:, i] * ab[:, j] - a * b - b * both)
        shift.append(ba[:, i] + ab[:, j] - a - b - both)
    ends = rows[:, [0, -1]]
    squares = (ends**2).mean(axis=1) - taken_out
    return _Terms(np.hstack(top), np.hstack(shift), rows.mean(axis=1), ends.mean(axis=1), squares)


def _estimate(
    rows: np.ndarray,
    noise: np.ndarray | None,
    k: int,
    pairs: Sequence[tuple[int, int]],
    confidence: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate value, low and high of every index; with few blocks the ends are NaN."""
    n, terms = len(rows), _terms(rows, noise, k, pairs)
    value = terms.mean(np.full((1, n), 1 / n)).indices()[0][0]
    value[k : 2 * k] = np.maximum(value[k : 2 * k], 0)
    if n < MIN_BLOCKS:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    jackknife, _ = terms.without_each().indices()
    error = np.sqrt((n - 1) / n * ((jackknife - jackknife.mean(axis=0)) ** 2).sum(axis=0))
    W = bootstrap_weights(n, seed)
    again, variance = terms.mean(W).indices()
    half, low, high = interval_union(value, error, again, terms.errors(W, again, variance), n, confidence)
    total = slice(k, 2 * k)
    low[total] = np.maximum(low[total], 0)
    changed = (np.abs(rows[:, 1 : k + 1] - rows[:, :1]) > NO_WIDTH).sum(axis=0)
    high[total] = np.maximum(high[total], _upper_ends(value[total], half[total], changed, n, confidence))
    unchanged = np.flatnonzero(changed == 0)  # a first-order index is at most the total index
    high[unchanged] = np.maximum(high[unchanged], high[total][unchanged])
    return value, low, high


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
