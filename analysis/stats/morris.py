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
    interval_union,
)


@dataclass(frozen=True)
class Morris:
    """Effects of every parameter over its whole range, in the outcome's unit.

    Attributes:
        mu_star: Mean absolute effect.
        mu: Mean effect with its sign; far from mu* where effects change their sign.
        sigma: Standard deviation of effects (curvature and interactions). It has no interval, because none of
            those tried covers.
        trajectories: Trajectories that were used.
        dropped: Trajectories with an outcome that is not finite.
        reason: Why the effects are withheld and empty; "" where they are not.
    """

    mu_star: tuple[Index, ...]
    mu: tuple[Index, ...]
    sigma: tuple[Index, ...]
    trajectories: int
    dropped: int
    reason: str


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
        Y: [n] outcomes; NaN or infinite where a run failed or diverged.
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
    _, dropped, reason = finite_groups(Y, len(names) + 1, "trajectories")
    effects = elementary_effects(U, Y, levels)
    effects = effects[np.isfinite(effects).all(axis=1)]
    if reason:
        return Morris((), (), (), len(effects), dropped, reason)
    sizes = np.abs(effects)
    mu_star = _means(sizes, names, confidence, seed, highest=float(sizes.max()))
    spread = effects.std(axis=0, ddof=1)
    sigma = tuple(Index(name, float(value)) for name, value in zip(names, spread, strict=True))
    return Morris(mu_star, _means(effects, names, confidence, seed), sigma, len(effects), dropped, "")


def elementary_effects(U: np.ndarray, Y: np.ndarray, levels: int = 4) -> np.ndarray:
    """Compute the change of the outcome over the whole range from each step.

    Args:
        U: [n, k].
        Y: [n].
        levels: Levels of the design.

    Returns:
        [N, k], one row per trajectory; not finite where the trajectory has an outcome that is not finite.

    Raises:
        ValueError: a trajectory does not step every coordinate once by the step.
    """
    points = np.asarray(U, float)
    k = points.shape[1]
    if len(points) != len(Y) or len(points) % (k + 1):
        raise ValueError(
            f"{len(points)} points and {len(Y)} outcomes are not whole trajectories of {k + 1} rows"
        )
    steps = np.diff(points.reshape(-1, k + 1, k), axis=1)  # [N, step, coordinate]
    changes = np.diff(np.asarray(Y, float).reshape(-1, k + 1), axis=1)
    taken = np.abs(steps) > 1e-9
    size = levels / (2 * levels - 2)
    if not (
        (taken.sum(axis=1) == 1).all()
        and (taken.sum(axis=2) == 1).all()
        and np.allclose(np.abs(steps[taken]), size)
    ):
        raise ValueError(f"the points are no trajectories of steps of {size:.3g}, one per parameter")
    lost = ~np.isfinite(changes).all(axis=1)
    effects = (
        np.einsum(
            "nsk,ns->nk", np.where(taken, np.sign(steps), 0.0), np.where(np.isfinite(changes), changes, 0.0)
        )
        / size
    )
    effects[lost] = np.nan
    return effects


def _means(
    x: np.ndarray, names: Sequence[str], confidence: float, seed: int, highest: float | None = None
) -> tuple[Index, ...]:
    """Means [k] of effects [N, k] with intervals.

    Args:
        x: [N, k] effects.
        names: The k parameters.
        confidence: Nominal coverage in (0, 1).
        seed: Seed of the resampling.
        highest: The largest effect of any parameter, where the effects are absolute ones.
    """
    n, value = len(x), x.mean(axis=0)
    if n < MIN_TRAJECTORIES:
        return tuple(Index(name, float(v)) for name, v in zip(names, value, strict=True))
    W = bootstrap_weights(n, seed)
    again = W @ x
    errors = np.sqrt(np.maximum(W @ x**2 - again**2, 0) / (n - 1))
    _, low, high = interval_union(value, x.std(axis=0, ddof=1) / np.sqrt(n), again, errors, n, confidence)
    if highest is not None:
        low = np.maximum(low, 0)
        changed = (x > 0).sum(axis=0)
        # Size of an effect where there is one; a parameter without any may have one as large as the largest.
        size = np.where(changed > 0, value * n / np.maximum(changed, 1), highest)
        high = np.maximum(high, change_rate_bound(changed, n, confidence) * size)
    return tuple(
        Index(name, float(v), float(lo), float(hi))
        for name, v, lo, hi in zip(names, value, low, high, strict=True)
    )
