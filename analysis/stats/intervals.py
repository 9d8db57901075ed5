"""Intervals and verdicts over seeds: Student's t, paired where seeds are shared. All reports use them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["helps", "hurts", "level", "undecided"]
EQUIVALENCE_MARGIN = 0.01  # a smaller difference does not matter in practice: one point of accuracy
NO_WIDTH = 1e-12  # width of an interval over seeds that agree to the last bit: no spread is measured


@dataclass(frozen=True)
class Interval:
    """Mean over seeds with its interval.

    Attributes:
        mean: The mean.
        low: Lower end; None with one seed, which gives no interval.
        high: Upper end; None with one seed.
        n: Number of seeds.
        p: Two-sided p value of the hypothesis that the mean is zero; None without an interval or a spread.
    """

    mean: float
    low: float | None
    high: float | None
    n: int
    p: float | None = None

    @property
    def verdict(self) -> Verdict:
        """Verdict on a difference.

        `helps` or `hurts` when the interval excludes zero; else `level` when all of it lies within
        `EQUIVALENCE_MARGIN` of zero, so that the difference does not matter in practice; else `undecided`.
        An interval of no width decides nothing.
        """
        if self.low is None or self.high is None or self.high - self.low <= NO_WIDTH:
            return "undecided"
        if self.low > 0 or self.high < 0:
            return "helps" if self.low > 0 else "hurts"
        return "level" if self.low >= -EQUIVALENCE_MARGIN and self.high <= EQUIVALENCE_MARGIN else "undecided"

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference has a sign beyond chance."""
        return self.verdict in ("helps", "hurts")


def t_interval(values: Sequence[float], confidence: float = 0.9) -> Interval | None:
    """Compute Student's t interval of the mean.

    Args:
        values: One number per seed; NaN and None are left out.
        confidence: Coverage in (0, 1).

    Returns:
        The interval, or None when no value is finite.
    """
    finite = [float(v) for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return None
    mean, n = float(np.mean(finite)), len(finite)
    if n == 1:
        return Interval(mean, None, None, 1)
    from scipy.special import (  # Student's t: distribution and quantile, without loading scipy.stats
        stdtr,
        stdtrit,
    )

    error = float(np.std(finite, ddof=1)) / math.sqrt(n)
    half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * error
    p = float(2 * stdtr(n - 1, -abs(mean) / error)) if half > NO_WIDTH else None
    return Interval(mean, mean - half, mean + half, n, p)


def paired(
    ours: Mapping[int, float], theirs: Mapping[int, float], confidence: float = 0.9
) -> Interval | None:
    """Compute the interval of the mean of `ours - theirs` over the seeds that both have.

    Args:
        ours: Seed -> value.
        theirs: Seed -> value of what it is compared with.
        confidence: Coverage in (0, 1).

    Returns:
        The interval, or None when no seed is shared.
    """
    shared = [seed for seed in ours if seed in theirs and ours[seed] is not None and theirs[seed] is not None]
    return t_interval([ours[seed] - theirs[seed] for seed in shared], confidence)


def bonferroni_confidence(confidence: float, number: int) -> float:
    """Coverage that each of `number` intervals needs so that all hold together with `confidence`."""
    return 1 - (1 - confidence) / max(1, number)


@dataclass(frozen=True)
class Multiplicity:
    """Counts over intervals that are shown together.

    Attributes:
        shown: Intervals that can decide; one seed gives none.
        decided: Those that exclude zero.
        by_chance: Expected number that exclude zero if all true differences are zero.
        firm: Those that still exclude zero when adjusted for their number (Benjamini and Hochberg).
    """

    shown: int
    decided: int
    by_chance: float
    firm: int


def multiplicity(intervals: Sequence[Interval], confidence: float = 0.9) -> Multiplicity:
    """Count the intervals that exclude zero, beside the number that would by chance alone."""
    able = [i for i in intervals if i.low is not None]
    decided = sum(i.excludes_zero for i in able)
    return Multiplicity(
        len(able), decided, len(able) * (1 - confidence), sum(benjamini_hochberg(able, 1 - confidence))
    )


def benjamini_hochberg(intervals: Sequence[Interval], rate: float = 0.1) -> list[bool]:
    """Test which differences are not zero, with the false discovery rate held at `rate`.

    Contrasts that share an anchor are positively dependent, which the procedure allows.

    Args:
        intervals: The intervals that are shown together.
        rate: Expected share of false ones among the differences that are called not zero, in (0, 1).

    Returns:
        For each interval, whether its difference is not zero after the adjustment.

    Reference:
        Benjamini and Hochberg, "Controlling the False Discovery Rate", JRSS B 57 (1995) 289-300.
    """
    p_values = sorted(i.p for i in intervals if i.p is not None)
    shown = sum(i.low is not None for i in intervals)
    threshold = max((p for k, p in enumerate(p_values, 1) if p <= rate * k / shown), default=-1.0)
    return [i.p is not None and i.p <= threshold for i in intervals]
