"""Morris' elementary effects: what one step of one parameter does to the outcome, averaged over where it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .index import LEAST_TRAJECTORIES, Index, at_most, finite_groups, half_and_range, weights


@dataclass(frozen=True)
class Morris:
    """Effects of every parameter over its whole range, in the outcome's unit; empty where `reason` says why they are withheld."""

    mu_star: tuple[Index, ...]  # mean size of an effect
    mu: tuple[Index, ...]  # mean effect with its sign: far from mu* where effects change their sign
    sigma: tuple[
        Index, ...
    ]  # standard deviation of effects: bends and interactions; without interval, none that was tried covers
    trajectories: int  # used
    dropped: int  # trajectories with an outcome that is not finite
    reason: str


def morris_effects(
    U: np.ndarray,
    Y: np.ndarray,
    names: Sequence[str],
    levels: int = 4,
    confidence: float = 0.9,
    seed: int = 0,
) -> Morris:
    """Effects mu*, mu and sigma.

    Args:
        U: [n, k] the design's points, n = N (k + 1).
        Y: [n] outcomes; NaN or infinite where a run failed or diverged.
        names: The k parameters.
        levels: Of the design: a step is `levels / (2 levels - 2)` of the range.
        confidence: Nominal coverage of the intervals, in (0, 1).
        seed: Of the resampling.

    Returns:
        The effects. Trajectories with an outcome that is not finite are dropped and counted; above a tenth
        lost, everything is withheld with the reason.

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
    """Change of the outcome over the whole range, as each step shows it.

    Args:
        U: [n, k].
        Y: [n].
        levels: Of the design.

    Returns:
        [N, k], one row per trajectory; not finite in a trajectory that has an outcome that is not.

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
    """Means [k] of effects [N, k] with intervals; with the largest effect of any parameter, x are sizes."""
    n, value = len(x), x.mean(axis=0)
    if n < LEAST_TRAJECTORIES:
        return tuple(Index(name, float(v)) for name, v in zip(names, value, strict=True))
    W = weights(n, seed)
    again = W @ x
    errors = np.sqrt(np.maximum(W @ x**2 - again**2, 0) / (n - 1))
    _, low, high = half_and_range(value, x.std(axis=0, ddof=1) / np.sqrt(n), again, errors, n, confidence)
    if highest is not None:
        low = np.maximum(low, 0)
        moved = (x > 0).sum(axis=0)
        each = np.where(
            moved > 0, value * n / np.maximum(moved, 1), highest
        )  # where never met: as large as the largest
        high = np.maximum(high, at_most(moved, n, confidence) * each)
    return tuple(
        Index(name, float(v), float(lo), float(hi))
        for name, v, lo, hi in zip(names, value, low, high, strict=True)
    )
