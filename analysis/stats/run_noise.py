"""Noise of the runs of a design: from the seeds of each point. And where the points lie that were lost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

THIRDS = 3  # of a range, in which lost points are counted
RARE = 0.01  # probability of calling any chance cluster a range that diverges, over all thirds


@dataclass(frozen=True)
class LostRange:
    """A third of a parameter's range (its ends are shares) in which clearly more points were lost."""

    name: str
    low: float
    high: float
    lost: int
    points: int


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

    found = []
    n, total = len(lost), int(lost.sum())
    third = np.minimum((np.asarray(U) * THIRDS + 1e-9).astype(int), THIRDS - 1)
    for j, name in enumerate(names):
        for place in range(THIRDS):
            inside = third[:, j] == place
            hits, points = int(lost[inside].sum()), int(inside.sum())
            if not hits or bdtrc(hits - 1, total, points / n) > RARE / (THIRDS * len(names)):
                continue
            found.append(LostRange(name, place / THIRDS, (place + 1) / THIRDS, hits, points))
    return sorted(found, key=lambda r: -r.lost / r.points)
