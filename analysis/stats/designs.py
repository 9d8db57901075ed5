"""Indices from the points of a design: Morris' elementary effects, and Sobol' indices of a Saltelli design.

An elementary effect is the change of the outcome by one step of one parameter; it is averaged over the space.

Sobol' indices equal those of `SALib.analyze.sobol.analyze` on finite outcomes (tested). SALib's intervals are
not used: they are normal and too short with few blocks, and one NaN among the outcomes turns every total
index into 0 without a warning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np

from .index import Index, bootstrap_weights, finite_groups, indices, interval_union, mean_and_noise, rare_ends
from .judgements import NO_WIDTH

MIN_BLOCKS = 14  # needed for an interval: 16, a tenth of them lost; intervals from fewer cover too rarely
MIN_TRAJECTORIES = 7  # needed for an interval: eight, one of them lost
MOST_NOISE = 0.5  # share of the variance between points that may be run noise
Numbers = tuple[np.ndarray, np.ndarray, np.ndarray]  # [k] values, and lower and upper ends of their intervals


@dataclass(frozen=True)
class Morris:
    """Effects of every parameter over its whole range, in the outcome's unit.

    Attributes:
        mu_star: Mean absolute effect.
        mu: Mean effect with its sign; far from mu* where effects change their sign.
        sigma: Standard deviation of effects (curvature and interactions). It has no interval, because none of
            those tried covers.
        used: Trajectories that were used; `dropped` ones have an outcome that is not finite.
        reason: Why the effects are withheld and empty; "" where they are not.
        noise: The mean absolute effect that run noise alone would show; None where each point has one seed.
    """

    mu_star: tuple[Index, ...]
    mu: tuple[Index, ...]
    sigma: tuple[Index, ...]
    used: int
    dropped: int
    reason: str
    noise: float | None = None


def morris_effects(
    U: np.ndarray,
    Y: np.ndarray,
    names: Sequence[str],
    levels: int = 4,
    confidence: float = 0.9,
    seed: int = 0,
) -> Morris:
    """Estimate the effects mu*, mu and sigma.

    Args:
        U: [n, k] the design's points, n = N (k + 1).
        Y: [n, seeds] outcomes, or [n] of one seed; NaN or infinite where a run failed or diverged. Noise
            makes every mu* larger: by at most the mean size of its own steps, 2 sigma / sqrt(pi), which is
            taken off the lower end. With one seed it is not known; then the lower end is that of mu with
            its sign, which noise does not raise.
        names: The k parameters.
        levels: Levels of the design; a step is `levels / (2 levels - 2)` of the range.
        confidence: Nominal coverage of the intervals, in (0, 1).
        seed: Seed of the resampling.

    Returns:
        The effects. Trajectories with an outcome that is not finite are dropped and counted; above a tenth
        lost, all effects are withheld with the reason.

    Raises:
        ValueError: the points are not whole trajectories of this step.
    """
    mean, noise_n = mean_and_noise(Y)
    _, dropped, reason = finite_groups(mean, len(names) + 1, "trajectories")
    effects = elementary_effects(U, mean, levels)
    kept = np.isfinite(effects).all(axis=1)
    effects, null = effects[kept], None
    if reason:
        return Morris((), (), (), len(effects), dropped, reason)
    sizes = np.abs(effects)
    mu, star = _means(effects, confidence, seed), _means(sizes, confidence, seed, highest=float(sizes.max()))
    size_of_mean = np.maximum(mu[1], -mu[2])  # lower end; a mean size is at least the size of the mean
    if noise_n is None:
        star = star[0], np.minimum(star[1], np.maximum(0, size_of_mean)), star[2]
    else:
        of_point = noise_n.reshape(len(kept), -1)  # the noise of an effect is that of the ends of its step
        signs, size = _steps(U, levels)
        noise = np.einsum("nsk,ns->nk", signs**2, of_point[:, 1:] + of_point[:, :-1])[kept] / size**2
        noise = np.where(sizes > NO_WIDTH, noise, 0.0)  # identical runs have no noise between them
        null = float(np.sqrt(2 / np.pi * noise.mean()))
        if noise.max() > NO_WIDTH**2:
            square_high = _means(effects**2 - noise, confidence, seed)[2]
            star = _without_noise(star, size_of_mean, effects, noise, square_high)
    sigma = indices(names, effects.std(axis=0, ddof=1))
    return Morris(indices(names, *star), indices(names, *mu), sigma, len(effects), dropped, "", null)


def _without_noise(
    star: Numbers, size_of_mean: np.ndarray, effects: np.ndarray, noise: np.ndarray, square_high: np.ndarray
) -> Numbers:
    """Mu* without run noise.

    The mean size is at most the root of the mean square, from which the variance of the noise can be taken
    out (`square_high` is the upper end of what is left); and it is at least what was seen less the mean size
    of the noise alone, or the size of mu.
    """
    null = np.sqrt(2 / np.pi * noise.mean(axis=0))
    share = np.maximum(0, 1 - noise.mean(axis=0) / np.maximum((effects**2).mean(axis=0), 1e-300))
    value, low, high = star[0] * np.sqrt(share), *star[1:]
    least = np.maximum(np.maximum(0, low - null), np.minimum(low, size_of_mean))
    most = np.maximum(least, np.minimum(high, np.sqrt(np.maximum(0, square_high))))
    noisy = null > NO_WIDTH
    clipped = np.fmin(np.fmax(value, least), most)
    return np.where(noisy, clipped, value), np.where(noisy, least, low), np.where(noisy, most, high)


def elementary_effects(U: np.ndarray, Y: np.ndarray, levels: int = 4) -> np.ndarray:
    """Compute the change of the outcome over the whole range from each step of the points U, [n, k].

    Returns:
        [N, k], one row per trajectory; NaN where it has an outcome that is not finite.

    Raises:
        ValueError: a trajectory does not step every coordinate once by the step of these levels.
    """
    k = np.shape(U)[1]
    if len(U) != len(Y) or len(U) % (k + 1):
        counts = f"{len(U)} points and {len(Y)} outcomes"
        raise ValueError(f"{counts} are not whole trajectories of {k + 1} rows")
    changes = np.diff(np.asarray(Y, float).reshape(-1, k + 1), axis=1)
    finite, (signs, size) = np.isfinite(changes), _steps(U, levels)
    effects = np.einsum("nsk,ns->nk", signs, np.where(finite, changes, 0.0)) / size
    return np.where(finite.all(axis=1, keepdims=True), effects, np.nan)


def _steps(U: np.ndarray, levels: int) -> tuple[np.ndarray, float]:
    """Signs of the steps, [N, step, coordinate], 0 for a coordinate that does not change; and their size."""
    k, size = np.shape(U)[1], levels / (2 * levels - 2)
    steps = np.diff(np.reshape(U, (-1, k + 1, k)).astype(float), axis=1)
    taken = np.abs(steps) > 1e-9
    once = (taken.sum(axis=1) == 1).all() and (taken.sum(axis=2) == 1).all()
    if not (once and np.allclose(np.abs(steps[taken]), size)):
        raise ValueError(f"the points are no trajectories of steps of {size:.3g}, one per parameter")
    return np.where(taken, np.sign(steps), 0.0), size


def _means(x: np.ndarray, confidence: float, seed: int, highest: float | None = None) -> Numbers:
    """Means of effects [N, k] with intervals, whose ends are NaN with few trajectories.

    `highest` is the largest effect of any parameter, where the effects are absolute ones.
    """
    n, value = len(x), x.mean(axis=0)
    if n < MIN_TRAJECTORIES:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    W = bootstrap_weights(n, seed)
    again = W @ x
    errors = np.sqrt(np.maximum(W @ x**2 - again**2, 0) / (n - 1))
    _, low, high = interval_union(value, x.std(axis=0, ddof=1) / np.sqrt(n), again, errors, n, confidence)
    if highest is not None:
        rare = rare_ends(value, (x > NO_WIDTH).sum(axis=0), n, confidence, highest)
        low, high = np.maximum(low, 0), np.maximum(high, rare)
    return value, low, high


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
    noise, share = np.zeros(len(rows)), None
    if noise_n is not None:
        noise = noise_n.reshape(-1, size)[np.isfinite(mean.reshape(-1, size)).all(axis=1)].mean(axis=1)
    if not reason and np.ptp(rows) <= 1e-12:
        reason = "the outcome does not vary over the design: there is no variance to share out"
    elif not reason and noise_n is not None:
        share = float(noise.mean() / rows[:, [0, -1]].var())
        if share > MOST_NOISE:
            reason = f"run noise is {share:.0%} of the variance between points; it takes more seeds per point"
    if reason:
        return Sobol((), (), (), len(rows), dropped, reason, share)
    pairs = list(combinations(range(k), 2)) if second_order else []
    changed = np.abs(rows[:, 1 : k + 1] - rows[:, :1]) > NO_WIDTH  # identical runs have no noise between them
    terms = _terms(rows - rows.mean(), noise, changed, pairs)
    value, low, high = _estimate(terms, changed.sum(axis=0), confidence, seed)
    if noise_n is None:  # unknown noise raises a total index, but it is at least the first-order index
        low[k : 2 * k] = np.minimum(low[k : 2 * k], np.maximum(0, low[:k]))
    labels = [*names, *names, *(f"{names[i]} x {names[j]}" for i, j in pairs)]
    found = indices(labels, value, low, high)
    return Sobol(found[:k], found[k : 2 * k], found[2 * k :], len(rows), dropped, "", share)


def _terms(rows: np.ndarray, noise: np.ndarray, changed: np.ndarray, pairs: list[tuple[int, int]]) -> _Terms:
    k = changed.shape[1]
    a, b, ab, ba = rows[:, :1], rows[:, -1:], rows[:, 1 : k + 1], rows[:, k + 1 : -1]
    step = ab - a
    top, shift = [b * step, 0.5 * step**2 - changed * noise[:, None]], [step, np.zeros_like(step)]
    if pairs:
        i, j = np.transpose(pairs)
        both = step[:, i] + step[:, j]
        top.append(ba[:, i] * ab[:, j] - a * b - b * both)
        shift.append(ba[:, i] + ab[:, j] - a - b - both)
    ends = rows[:, [0, -1]]
    squares = (ends**2).mean(axis=1) - noise
    return _Terms(np.hstack(top), np.hstack(shift), rows.mean(axis=1), ends.mean(axis=1), squares)


def _estimate(terms: _Terms, changed: np.ndarray, confidence: float, seed: int) -> Sequence[np.ndarray]:
    """Estimate value, low and high of every index; with few blocks the ends are NaN.

    `changed` [k] is the number of blocks in which the outcome changes with a parameter.
    """
    n, total = len(terms.top), slice(len(changed), 2 * len(changed))
    value = terms.mean(np.full((1, n), 1 / n)).indices()[0][0]
    value[total] = np.maximum(value[total], 0)
    if n < MIN_BLOCKS:
        return value, np.full_like(value, np.nan), np.full_like(value, np.nan)
    jackknife, _ = terms.without_each().indices()
    error = np.sqrt((n - 1) / n * ((jackknife - jackknife.mean(axis=0)) ** 2).sum(axis=0))
    W = bootstrap_weights(n, seed)
    again, variance = terms.mean(W).indices()
    half, low, high = interval_union(value, error, again, terms.errors(W, again, variance), n, confidence)
    low[total] = np.maximum(low[total], 0)
    # a total index is a mean of squares, mostly of a few large ones: a small estimate is too small more often
    # than too large, so its upper end is also that on a logarithmic scale, and that with rare branches
    found = value[total]
    relative = np.divide(half[total], found, out=np.zeros_like(found), where=found > 1e-300)
    rare = rare_ends(found, changed, n, confidence, 1.0)
    above = np.maximum(found * np.exp(np.minimum(relative, 50)), rare)
    high[total] = np.maximum(high[total], np.minimum(1.0, above))
    unchanged = np.flatnonzero(changed == 0)  # a first-order index is at most the total index
    high[unchanged] = np.maximum(high[unchanged], high[total][unchanged])
    return value, low, high
