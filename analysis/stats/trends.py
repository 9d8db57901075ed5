"""Noise that grows with the effect: what the size of a difference says about its variance.

A level that hardly changes training gives nearly the same run on every seed; one that changes much varies
much. Then no variance is typical of a study. So the log variances of its differences are regressed on the
log of their size, and each difference is moderated towards the variance of its size.

Mean and variance of Gaussian values are independent. So the variance that is expected of an estimate cannot
be small because the estimate is far from zero by chance; it is larger then.

References:
    Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol. Biol. 3 (2004).
    Law, Chen, Shi and Smyth, "voom", Genome Biology 15 (2014): moderated towards a trend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .judgements import Comparison
from .pools import ALIKE, NO_WIDTH, Pool, Prior, log_moments, prior_of

LEAST = 8  # differences of a study, to look for a trend
CLEAR = 2.0  # standard errors of the slope, also without any one of the differences
STEEPEST = 2.0  # slope of a log variance: a noise in proportion to the effect


@dataclass(frozen=True)
class Trend:
    """Log variance of a difference on one seed, by its size: `level` + `slope` x log(size + `offset`).

    The slope is more than 0, at most 2. The offset is the size below which the variance hardly changes: the
    median standard deviation. `spread` is the variance of the log variances around the trend.
    """

    level: float
    slope: float
    offset: float
    spread: float

    @classmethod
    def of(cls, differences: Sequence[np.ndarray]) -> Trend | None:
        """Fit the trend of a study to its differences, each [seeds]; None where none is clearly there.

        One difference that is large and varies much is no trend: that is a configuration that collapsed on a
        seed.
        """
        from scipy.special import digamma, polygamma

        kept = [d for d in differences if len(d) > 1 and d.var() > NO_WIDTH**2]
        if len(kept) < LEAST:
            return None
        own, half = np.array([d.var(ddof=1) for d in kept]), np.array([(len(d) - 1) / 2 for d in kept])
        sizes = np.array([abs(d.mean()) for d in kept])
        offset = float(np.median(np.sqrt(own)))
        x, e = np.log(sizes + offset), np.log(own) - digamma(half) + np.log(half)
        weight = 1 / polygamma(1, half)  # the variance of a log variance
        x = x - np.average(x, weights=weight)
        rest = e - np.average(e, weights=weight)
        across = float((weight * x**2).sum())
        if across <= NO_WIDTH:
            return None
        slope = float((weight * x * rest).sum()) / across
        rest = rest - slope * x
        spread = max(1.0, float((weight * rest**2).sum()) / (len(e) - 2))
        leverage = weight * (1 / weight.sum() + x**2 / across)
        without = slope - weight * x * rest / ((1 - leverage) * across)  # each of them in turn
        if min(slope, float(without.min())) < CLEAR * math.sqrt(spread / across):
            return None
        slope = min(slope, STEEPEST)
        level, spread = log_moments(own / (sizes + offset) ** slope, 2 * half, fitted=2)
        return cls(level, slope, offset, spread)

    def prior(self, difference: np.ndarray) -> Prior:
        """Return the prior of the variance of a difference [seeds].

        Its true size is not known better than its seeds say, so neither is the variance for that size.
        """
        size = abs(float(difference.mean())) + self.offset
        mean = self.level + self.slope * math.log(size)
        of_size = math.exp(mean) / len(difference) / size**2  # relative variance of the size
        return prior_of(mean, max(self.spread, self.slope**2 * of_size, ALIKE))


def expected(family: Sequence[Comparison], pools: Mapping[str, Pool | None]) -> list[Prior | None]:
    """Return the prior of each difference's variance; None where its study has no trend.

    Differences to a rule without training do not cancel the effect of the seed and are left to the pool.
    """
    differences = [_difference(c) if pools.get(c.pool) else np.array([]) for c in family]
    trends = {
        key: Trend.of([d for c, d in zip(family, differences, strict=True) if c.pool == key])
        for key in {c.pool for c in family}
    }
    return [
        trend.prior(d) if len(d) and (trend := trends[c.pool]) else None
        for c, d in zip(family, differences, strict=True)
    ]


def _difference(c: Comparison) -> np.ndarray:
    """[seeds] on the common seeds of two configurations that train; else none."""
    if any(side.rule or side.deterministic for side in (c.a, c.b)):
        return np.array([])
    a, b = c.a.kept, c.b.kept
    return np.array([a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())])
