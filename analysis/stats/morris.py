"""Morris' elementary effects: change of the outcome by one step of one parameter, averaged over the space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .index import (
    MIN_TRAJECTORIES,
    Index,
    bootstrap_weights,
    change_rate_bound,
    finite_groups,
    indices,
    interval_union,
)
from .pools import NO_WIDTH
from .run_noise import mean_and_noise

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
    effects = effects[kept]
    if reason:
        return Morris((), (), (), len(effects), dropped, reason)
    noise = None if noise_n is None else _noise_of_effects(np.asarray(U, float), noise_n, levels)[kept]
    if noise is not None:
        noise = np.where(np.abs(effects) > NO_WIDTH, noise, 0.0)  # identical runs have no noise between them
    sizes = np.abs(effects)
    mu, star = _means(effects, confidence, seed), _means(sizes, confidence, seed, highest=float(sizes.max()))
    size_of_mean = np.maximum(mu[1], -mu[2])  # lower end; a mean size is at least the size of the mean
    if noise is None:
        star = star[0], np.minimum(star[1], np.maximum(0, size_of_mean)), star[2]
    elif noise.max() > NO_WIDTH**2:
        star = _without_noise(star, size_of_mean, effects, noise, confidence, seed)
    null = None if noise is None else float(np.sqrt(2 / np.pi * noise.mean()))
    sigma = indices(names, effects.std(axis=0, ddof=1))
    return Morris(indices(names, *star), indices(names, *mu), sigma, len(effects), dropped, "", null)


def _noise_of_effects(U: np.ndarray, noise: np.ndarray, levels: int) -> np.ndarray:
    """Variance [N, k] that run noise gives to each effect: that of the two points of its step."""
    k = U.shape[1]
    taken = np.abs(np.diff(U.reshape(-1, k + 1, k), axis=1)) > 1e-9
    of_point = noise.reshape(-1, k + 1)
    of_step = of_point[:, 1:] + of_point[:, :-1]
    return np.einsum("nsk,ns->nk", taken, of_step) / (levels / (2 * levels - 2)) ** 2


def _without_noise(
    star: Numbers,
    size_of_mean: np.ndarray,
    effects: np.ndarray,
    noise: np.ndarray,
    confidence: float,
    seed: int,
) -> Numbers:
    """Mu* without run noise.

    The mean size is at most the root of the mean square, from which the variance of the noise can be taken
    out; and it is at least what was seen less the mean size of the noise alone, or the size of mu.
    """
    null = np.sqrt(2 / np.pi * noise.mean(axis=0))
    share = np.maximum(0, 1 - noise.mean(axis=0) / np.maximum((effects**2).mean(axis=0), 1e-300))
    square_high = _means(effects**2 - noise, confidence, seed)[2]
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
    points = np.asarray(U, float)
    k = points.shape[1]
    if len(points) != len(Y) or len(points) % (k + 1):
        counts = f"{len(points)} points and {len(Y)} outcomes"
        raise ValueError(f"{counts} are not whole trajectories of {k + 1} rows")
    steps = np.diff(points.reshape(-1, k + 1, k), axis=1)  # [N, step, coordinate]
    changes = np.diff(np.asarray(Y, float).reshape(-1, k + 1), axis=1)
    taken = np.abs(steps) > 1e-9
    size = levels / (2 * levels - 2)
    once = (taken.sum(axis=1) == 1).all() and (taken.sum(axis=2) == 1).all()
    if not (once and np.allclose(np.abs(steps[taken]), size)):
        raise ValueError(f"the points are no trajectories of steps of {size:.3g}, one per parameter")
    lost = ~np.isfinite(changes).all(axis=1)
    signs, changes = np.where(taken, np.sign(steps), 0.0), np.where(np.isfinite(changes), changes, 0.0)
    effects = np.einsum("nsk,ns->nk", signs, changes) / size
    effects[lost] = np.nan
    return effects


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
        low = np.maximum(low, 0)
        changed = (x > NO_WIDTH).sum(axis=0)
        # Size of an effect where there is one; a parameter without any may have one as large as the largest.
        size = np.where(changed > 0, value * n / np.maximum(changed, 1), highest)
        high = np.maximum(high, change_rate_bound(changed, n, confidence) * size)
    return value, low, high
