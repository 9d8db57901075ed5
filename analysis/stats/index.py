"""An index with its interval and verdict, and the interval itself: Student's t, as wide as resampling asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .intervals import NO_WIDTH

Verdict = Literal["matters", "does not matter", "undecided"]
TOTAL_LIMIT = 0.05  # a twentieth of the variance
MU_LIMIT = 0.01  # one point of accuracy over a whole range
LOST = 0.1  # share of blocks or trajectories without an outcome above which nothing is said
LEAST_BLOCKS = 14  # from which an interval is given: 16, a tenth of them lost; fewer cover too seldom
LEAST_TRAJECTORIES = 7  # eight, one of them lost
SELDOM = 3  # blocks that a branch should be met in, on average, for the intervals of what it holds to cover
RESAMPLES = 500


@dataclass(frozen=True)
class Index:
    """A number of a parameter (of two, joined by " x "); `low` and `high` are None where there is no interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def verdict(index: Index, limit: float) -> Verdict:
    """What the interval shows about an index beside a limit.

    Args:
        index: A total index, or a mu*.
        limit: `TOTAL_LIMIT` or `MU_LIMIT`.

    Returns:
        `matters` when the whole interval lies above the limit, `does not matter` when it lies below, else
        `undecided`; also where there is no interval, or one without width.
    """
    if index.low is None or index.high is None or index.high - index.low <= NO_WIDTH:
        return "undecided"
    return "matters" if index.low > limit else "does not matter" if index.high < limit else "undecided"


def active_shares(params: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """In what share of points or trials each parameter was asked for; 0 for all where there are none."""
    return {name: sum(name in point for point in params) / max(1, len(params)) for name in names}


def too_seldom(share: float, groups: int) -> bool:
    """Whether a parameter active in this share of points was met in too few blocks (or trajectories) for its interval to be relied on."""
    return share * groups < SELDOM


def finite_groups(Y: np.ndarray, size: int, what: str) -> tuple[np.ndarray, int, str]:
    """Outcomes by block or trajectory, without those that hold one that is not finite.

    Args:
        Y: [n], in the design's order.
        size: Rows of a block.
        what: `blocks` or `trajectories`, for the reason.

    Returns:
        The finite groups [N, size], how many were dropped, and why nothing can be said about them ("" if
        something can).

    Raises:
        ValueError: the outcomes are not whole groups.
    """
    if not len(Y) or len(Y) % size:
        raise ValueError(
            f"{len(Y)} outcomes are not whole {what} of {size} rows; give NaN for a row that failed"
        )
    groups = np.asarray(Y, float).reshape(-1, size)
    kept = groups[np.isfinite(groups).all(axis=1)]
    dropped = len(groups) - len(kept)
    reason = ""
    if dropped > LOST * len(groups):
        reason = (
            f"{dropped} of {len(groups)} {what} lost a row that failed or diverged; above "
            f"{100 * LOST:g} % the rest is no fair sample"
        )
    elif len(kept) < 2:
        reason = f"{len(kept)} {what} left; no estimate has a spread"
    return kept, dropped, reason


def weights(n: int, seed: int) -> np.ndarray:
    """Bootstrap weights [RESAMPLES, n]; rows sum to one."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n


def half_and_range(
    value: np.ndarray, error: np.ndarray, again: np.ndarray, errors: np.ndarray, n: int, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The interval that covers where each of three alone falls short: Student's t, symmetric bootstrap-t and percentiles.

    Args:
        value: [P] estimates.
        error: [P] their standard errors.
        again: [R, P] estimates of resamples.
        errors: [R, P] their standard errors.
        n: Independent groups.
        confidence: Nominal coverage in (0, 1).

    Returns:
        Half of the studentised width, and the union's lower and upper ends; each [P].
    """
    from scipy.special import stdtrit

    tail = (1 - confidence) / 2
    moved = np.abs(again - value)
    studentised = np.divide(moved, errors, out=np.zeros_like(moved), where=errors > NO_WIDTH)
    half = np.maximum(np.quantile(studentised, confidence, axis=0), stdtrit(n - 1, 1 - tail)) * error
    low, high = np.quantile(again, [tail, 1 - tail], axis=0)
    return half, np.minimum(value - half, low), np.maximum(value + half, high)


def at_most(moved: np.ndarray, n: int, confidence: float) -> np.ndarray:
    """How often an outcome may change when `moved` of `n` did, at most (Clopper and Pearson): a rare branch may not have been met."""
    from scipy.special import betaincinv

    seen = np.minimum(moved, n - 1)
    return np.where(moved >= n, 1.0, betaincinv(seen + 1, n - seen, 1 - (1 - confidence) / 2))
