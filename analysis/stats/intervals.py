"""Intervals and verdicts over seeds: Student's t, paired where seeds are shared. Every number in a report comes through here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["helps", "hurts", "level", "undecided"]
MARGIN = 0.01  # a difference that is smaller matters to nobody: one point of accuracy
NO_WIDTH = 1e-12  # seeds that agree to the last bit measure no spread


@dataclass(frozen=True)
class Interval:
    """A mean over `n` seeds with its interval; `low` and `high` are None where one seed cannot give any."""

    mean: float
    low: float | None
    high: float | None
    n: int
    p: float | None = None  # two-sided, of a mean of zero; None where there is no interval or no spread

    @property
    def verdict(self) -> Verdict:
        """What the interval shows.

        `helps` or `hurts` when it excludes zero; else `level` when all of it lies within `MARGIN` of zero
        (whatever the difference is, it matters by less than that); else `undecided`. One without width
        decides nothing.
        """
        if self.low is None or self.high is None or self.high - self.low <= NO_WIDTH:
            return "undecided"
        if self.low > 0 or self.high < 0:
            return "helps" if self.low > 0 else "hurts"
        return "level" if self.low >= -MARGIN and self.high <= MARGIN else "undecided"

    @property
    def excludes_zero(self) -> bool:
        """Whether the difference is shown to have a sign."""
        return self.verdict in ("helps", "hurts")


def t_interval(values: Sequence[float], confidence: float = 0.9) -> Interval | None:
    """Student's t interval of the mean.

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
    """The interval of `ours - theirs` over the seeds that both have.

    Args:
        ours: Seed -> value.
        theirs: Seed -> value of what it is compared with.
        confidence: Coverage in (0, 1).

    Returns:
        The interval, or None when no seed is shared.
    """
    shared = [seed for seed in ours if seed in theirs and ours[seed] is not None and theirs[seed] is not None]
    return t_interval([ours[seed] - theirs[seed] for seed in shared], confidence)


def adjusted(confidence: float, number: int) -> float:
    """The coverage that each of `number` intervals needs so that all of them hold together with `confidence` (Bonferroni)."""
    return 1 - (1 - confidence) / max(1, number)


@dataclass(frozen=True)
class Multiplicity:
    """How many intervals are shown together, how many exclude zero, how many would by chance, and how many stand adjusted for that."""

    shown: int
    decided: int
    by_chance: float  # expected, if nothing mattered
    firm: int


def multiplicity(intervals: Sequence[Interval], confidence: float = 0.9) -> Multiplicity:
    """Count verdicts against what chance alone would give; intervals that cannot decide (one seed) are not counted as shown."""
    able = [i for i in intervals if i.low is not None]
    decided = sum(i.excludes_zero for i in able)
    return Multiplicity(len(able), decided, len(able) * (1 - confidence), sum(firm(able, 1 - confidence)))


def firm(intervals: Sequence[Interval], rate: float = 0.1) -> list[bool]:
    """Which differences from zero stand when the expected share of false ones among them is held at `rate`.

    Reference: Benjamini and Hochberg, "Controlling the False Discovery Rate", JRSS B 57 (1995) 289-300.
        Contrasts that share an anchor
    are positively dependent, which the procedure allows.
    """
    known = sorted(i.p for i in intervals if i.p is not None)
    shown = sum(i.low is not None for i in intervals)
    threshold = max((p for k, p in enumerate(known, 1) if p <= rate * k / shown), default=-1.0)
    return [i.p is not None and i.p <= threshold for i in intervals]
