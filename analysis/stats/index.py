"""A sensitivity index with its verdict and interval; run noise of a design, and where points were lost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .judgements import NO_WIDTH

Verdict = Literal["matters", "does not matter", "undecided"]
TOTAL_LIMIT = 0.05  # of a total index: a twentieth of the variance
MU_LIMIT = 0.01  # of mu*: one point of accuracy over a whole range
MAX_LOST_SHARE = 0.1  # share of blocks or trajectories without an outcome above which nothing is estimated
MIN_BLOCKS_PER_BRANCH = 3  # mean number of blocks with an active parameter that its interval needs to cover
RESAMPLES = 500
THIRDS = 3  # of a range, in which lost points are counted
RARE = 0.01  # probability of calling any chance cluster a range that diverges, over all thirds


@dataclass(frozen=True)
class Index:
    """A sensitivity index of a parameter, or of two parameters joined by " x ".

    `low` and `high` are the ends of its interval, None where there is none.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class LostRange:
    """A third of a parameter's range (its ends are shares) in which clearly more points were lost."""

    name: str
    low: float
    high: float
    lost: int
    points: int


def indices(names: Sequence[str], value: np.ndarray, *ends: np.ndarray) -> tuple[Index, ...]:
    """Indices from arrays [k] of values, and of lower and upper ends, where there are any that are finite."""
    return tuple(
        Index(name, float(v), *(float(end) if np.isfinite(end) else None for end in pair))
        for name, v, *pair in zip(names, value, *ends, strict=True)
    )


def verdict(index: Index, limit: float) -> Verdict:
    """Return whether the whole interval of an index lies above the limit (`matters`), or below.

    The limit is `TOTAL_LIMIT` or `MU_LIMIT`. Without an interval, or with one of no width, it is `undecided`.
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
        raise ValueError(
            f"{len(Y)} outcomes are not whole {what} of {size} rows; give NaN for a row that failed"
        )
    groups = np.asarray(Y, float).reshape(-1, size)
    kept = groups[np.isfinite(groups).all(axis=1)]
    dropped, reason = len(groups) - len(kept), ""
    if dropped > MAX_LOST_SHARE * len(groups):
        reason = (
            f"{dropped} of {len(groups)} {what} lost a row that failed or diverged; above "
            f"{100 * MAX_LOST_SHARE:g} % the rest is no fair sample"
        )
    elif len(kept) < 2:
        reason = f"{len(kept)} {what} left; no estimate has a spread"
    return kept, dropped, reason


def bootstrap_weights(n: int, seed: int) -> np.ndarray:
    """Bootstrap weights [RESAMPLES, n] of n groups; each row sums to one."""
    return np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES) / n


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


def rare_ends(value: np.ndarray, changed: np.ndarray, n: int, confidence: float, most: float) -> np.ndarray:
    """Upper ends of mean sizes of effects, from the upper bound (Clopper, Pearson) of how often there is one.

    One was seen in `changed` of n groups. A branch that is rarely active may be missing from the design, so
    zero changes do not mean a rate of zero; a parameter without any may have effects of the size `most`.
    """
    from scipy.special import betaincinv

    seen = np.minimum(changed, n - 1)
    rate = np.where(changed >= n, 1.0, betaincinv(seen + 1, n - seen, 1 - (1 - confidence) / 2))
    return rate * np.where(changed > 0, value * n / np.maximum(changed, 1), most)


def mean_and_noise(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean outcome of each point, and the variance that run noise gives to that mean.

    Args:
        Y: [n] outcomes of one seed, or [n, seeds]; NaN or infinite where a run was lost. What a seed adds to
            all points is no noise: it cancels in every difference.

    Returns:
        [n] means over the seeds that were kept, and [n] variances; None with one seed, which shows no noise.
    """
    y = np.asarray(Y, float)
    if y.ndim == 1 or y.shape[1] == 1:
        return y.reshape(-1), None
    kept = np.isfinite(y)
    count = kept.sum(axis=1)
    whole = y[kept.all(axis=1)]
    of_seed = (whole - whole.mean(axis=1, keepdims=True)).mean(axis=0) if len(whole) else 0.0
    y = np.where(kept, y - of_seed, 0.0)
    mean = np.where(count > 0, y.sum(axis=1) / np.maximum(count, 1), np.nan)
    if not len(whole):
        return mean, None
    squares = (np.where(kept, y - np.nan_to_num(mean)[:, None], 0.0) ** 2).sum(axis=1)
    able = count > 1
    points = max(1, int(able.sum()))
    typical = float(squares[able].sum() / (count[able] - 1).sum()) if able.any() else 0.0
    variance = np.where(able, squares / np.maximum(count - 1, 1), typical)
    correction = points / max(1, points - 1)  # the effects of the seeds were estimated from the same points
    return mean, correction * variance / np.maximum(count, 1)


def lost_ranges(U: np.ndarray, lost: np.ndarray, names: Sequence[str]) -> list[LostRange]:
    """Find the thirds of ranges in which lost points are more than chance, the largest share first.

    Points are U, [n, k] in [0, 1]; `lost` [n] says which of them failed or diverged.
    """
    from scipy.special import bdtrc

    found, n, total = [], len(lost), int(lost.sum())
    third = np.minimum((np.asarray(U) * THIRDS + 1e-9).astype(int), THIRDS - 1)
    for j, name in enumerate(names):
        for place in range(THIRDS):
            inside = third[:, j] == place
            hits, points = int(lost[inside].sum()), int(inside.sum())
            if hits and bdtrc(hits - 1, total, points / n) <= RARE / (THIRDS * len(names)):
                found.append(LostRange(name, place / THIRDS, (place + 1) / THIRDS, hits, points))
    return sorted(found, key=lambda r: -r.lost / r.points)
