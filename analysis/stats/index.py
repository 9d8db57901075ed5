"""A sensitivity index with its verdict, and its interval by Student's t and bootstrap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .pools import NO_WIDTH

Verdict = Literal["matters", "does not matter", "undecided"]
TOTAL_LIMIT = 0.05  # of a total index: a twentieth of the variance
MU_LIMIT = 0.01  # of mu*: one point of accuracy over a whole range
MAX_LOST_SHARE = 0.1  # share of blocks or trajectories without an outcome above which nothing is estimated
MIN_BLOCKS = 14  # needed for an interval: 16, a tenth of them lost; intervals from fewer cover too rarely
MIN_TRAJECTORIES = 7  # needed for an interval: eight, one of them lost
MIN_BLOCKS_PER_BRANCH = 3  # mean number of blocks with an active parameter that its interval needs to cover
MOST_NOISE = 0.5  # share of the variance between points that may be run noise
RESAMPLES = 500


@dataclass(frozen=True)
class Index:
    """A sensitivity index of a parameter, or of two parameters joined by " x ".

    `low` and `high` are the ends of its interval, None where there is none.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None


def indices(
    names: Sequence[str], value: np.ndarray, low: np.ndarray | None = None, high: np.ndarray | None = None
) -> tuple[Index, ...]:
    """Indices from arrays [k]; an end that is not finite is none."""
    none = np.full(len(names), np.nan)
    ends = np.stack([none if low is None else low, none if high is None else high], axis=1)
    return tuple(
        Index(name, float(v), *(float(end) if np.isfinite(end) else None for end in pair))
        for name, v, pair in zip(names, value, ends, strict=True)
    )


def verdict(index: Index, limit: float) -> Verdict:
    """Compare a total index with `TOTAL_LIMIT`, or a mu* with `MU_LIMIT`.

    Returns:
        `matters` when the whole interval lies above the limit, `does not matter` when it lies below, else
        `undecided`. Without an interval, or with one of no width, it is `undecided` too.
    """
    if index.low is None or index.high is None or index.high - index.low <= NO_WIDTH:
        return "undecided"
    return "matters" if index.low > limit else "does not matter" if index.high < limit else "undecided"


def active_shares(params: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, float]:
    """Share of points or trials in which each parameter was active; 0 for all without points."""
    return {name: sum(name in point for point in params) / max(1, len(params)) for name in names}


def rarely_active(share: float, groups: int) -> bool:
    """Whether a parameter was active in too few blocks (or trajectories) for its interval to be relied on.

    `share` is the share of the points in which it was active, `groups` the number of blocks.
    """
    return share * groups < MIN_BLOCKS_PER_BRANCH


def finite_groups(Y: np.ndarray, size: int, what: str) -> tuple[np.ndarray, int, str]:
    """Outcomes [n] by block or trajectory (`what`) of this size, without groups that lost one.

    Returns:
        The finite groups [N, size], the number of dropped groups, and why nothing can be estimated, if so.

    Raises:
        ValueError: the outcomes are not whole groups.
    """
    if not len(Y) or len(Y) % size:
        problem = f"{len(Y)} outcomes are not whole {what} of {size} rows"
        raise ValueError(f"{problem}; give NaN for a row that failed")
    groups = np.asarray(Y, float).reshape(-1, size)
    kept = groups[np.isfinite(groups).all(axis=1)]
    dropped = len(groups) - len(kept)
    reason = ""
    if dropped > MAX_LOST_SHARE * len(groups):
        reason = (
            f"{dropped} of {len(groups)} {what} lost a row that failed or diverged; above "
            f"{100 * MAX_LOST_SHARE:g} % the rest is no fair sample"
        )
    elif len(kept) < 2:
        reason = f"{len(kept)} {what} left; no estimate has a spread"
    return kept, dropped, reason


def bootstrap_weights(n: int, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Bootstrap weights [resamples, n] of n groups; each row sums to one."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=resamples) / n


def interval_union(
    value: np.ndarray, error: np.ndarray, again: np.ndarray, errors: np.ndarray, n: int, confidence: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Union of three intervals that cover too rarely alone: Student's t, symmetric bootstrap-t, percentiles.

    Of [P] estimates from n groups with their standard errors, and of [R, P] resamples with theirs.

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


def change_rate_bound(changed: np.ndarray, n: int, confidence: float) -> np.ndarray:
    """Upper bound of the rate at which an outcome changes, seen in `changed` of n groups (Clopper, Pearson).

    A branch that is rarely active may be missing from the design, so zero changes do not mean a rate of zero.
    """
    from scipy.special import betaincinv

    seen = np.minimum(changed, n - 1)
    return np.where(changed >= n, 1.0, betaincinv(seen + 1, n - seen, 1 - (1 - confidence) / 2))
