"""The noise of one study: how much configurations differ from seed to seed, pooled over all of them.

Three seeds say little about a variance. The other configurations of a study ran on the same seeds. What is
left of the table of configurations and seeds, when the mean of each configuration and the effect of each seed
are taken out, is the noise of a comparison on common seeds.

Noise may grow with the effect: a level that hardly changes training gives nearly the same run on every seed;
one that changes much varies much. Then no variance is typical of a study. So the log variances of its
differences are regressed on the log of their size, and each difference is moderated towards the variance of
its size. Mean and variance of Gaussian values are independent. So the variance that is expected of an
estimate cannot be small because the estimate is far from zero by chance; it is larger then.

References:
    Box, Hunter and Hunter, "Statistics for Experimenters" (2005), two-way tables.
    Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol. Biol. 3 (2004).
    Law, Chen, Shi and Smyth, "voom", Genome Biology 15 (2014): moderated towards a trend.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from .judgements import NO_WIDTH, Comparison, Sample

UNLIKE = 0.005  # probability below which a difference keeps a larger variance of its own
WILD = 1e-5  # probability below which a configuration is left out of the noise of its study
ALIKE = 1e-3  # variance of log variances, up to which configurations are equally noisy
CAUTION = 0.9  # of the prior's weight, which is itself an estimate
LEAST_TO_COMPARE = 5  # configurations, to call one of them not like the rest
FEW_DF = 4.0  # what fewer configurations say about the variance of one, in degrees of freedom
LEAST_FOR_TREND = 8  # differences of a study, to look for a trend
CLEAR = 2.0  # standard errors of the slope, also without any one of the differences
STEEPEST = 2.0  # slope of a log variance: a noise in proportion to the effect


class Prior(NamedTuple):
    """What other configurations say about one variance, and what that is worth in degrees of freedom."""

    variance: float
    df: float


@dataclass(frozen=True)
class Pool:
    """Variances of one study, in accuracy units squared, each with its degrees of freedom.

    Attributes:
        variance: Of the noise of one configuration on one seed, beside the effect of the seed that all
            configurations share.
        prior_variance: Typical variance of a configuration; `prior_df` is how many seeds' worth this says
            about one configuration, infinite where all are alike, and small where they are few.
        total: Variance of one configuration over seeds, the shared effect of the seed with it.
    """

    variance: float
    df: float
    prior_variance: float
    prior_df: float
    total: float
    total_df: float

    @classmethod
    def of(cls, samples: Sequence[Sample]) -> Pool | None:
        """Pool the configurations of one study on one metric and split; None without a degree of freedom.

        Rules without training, and configurations with one seed, say nothing and are left out.
        """
        trained = [s.kept for s in samples if not s.rule and not s.deterministic]
        return cls._of([values for values in trained if len(values) > 1])

    @classmethod
    def _of(cls, kept: Sequence[Mapping[int, float]]) -> Pool | None:
        """Pool configurations, without those that collapsed on a seed and are not like the rest.

        Such a one would not only widen all intervals: in the effect of its seed it is part of all residuals.
        """
        if not kept:
            return None
        seeds = sorted({seed for values in kept for seed in values})
        row = np.concatenate([np.full(len(values), c) for c, values in enumerate(kept)])
        column = np.array([seeds.index(seed) for values in kept for seed in values])
        y = np.array([v for values in kept for v in values.values()])
        count = np.bincount(row)
        X = np.eye(len(seeds))[column]
        X -= (np.eye(len(kept))[:, row] @ X / count[:, None])[row]  # each configuration's mean is taken out
        centred = y - (np.bincount(row, y) / count)[row]
        inverse = np.linalg.pinv(X.T @ X, hermitian=True)
        residual = centred - X @ (inverse @ (X.T @ centred))
        rank = int(np.linalg.matrix_rank(X.T @ X, hermitian=True))
        own_df = count - 1 - np.bincount(row, np.einsum("ij,jk,ik->i", X, inverse, X))
        within, within_df = float((centred**2).sum()), len(y) - len(kept)
        squares, df = np.bincount(row, residual**2), within_df - rank
        noise = float(squares.sum())
        if df < 0.5 or noise <= NO_WIDTH**2:
            return None
        wild = _wild(squares, own_df)
        if wild is not None:
            return cls._of([*kept[:wild], *kept[wild + 1 :]])
        variance = noise / df
        able = (own_df > 0.25) & (squares > NO_WIDTH**2)
        typical = Prior(variance, math.inf if able.sum() >= LEAST_TO_COMPARE else FEW_DF)
        if able.sum() >= 3:
            mean, spread = log_moments(squares[able] / own_df[able], own_df[able])
            typical = prior_of(mean, spread) if spread > ALIKE else typical
        between = max(0.0, within - noise)  # sum of squares of the seeds
        total_df = satterthwaite(np.array([between, noise]) / within_df, np.array([max(1, rank), df]))
        return cls(variance, df, *typical, within / within_df, total_df)

    def moderated(
        self, own: float, own_df: float, trained: int, expected: Prior | None = None
    ) -> tuple[float, float]:
        """Variance of one accuracy, or of one difference, on one seed, with its degrees of freedom.

        Args:
            own: Its own variance over seeds.
            own_df: The degrees of freedom of that; 0 with one seed.
            trained: 2 for a difference on common seeds. 1 for one accuracy, or its difference to a rule
                without training: then the effect of the seed does not cancel.
            expected: Of a difference of this size, where noise grows with the effect; it takes the place of
                the study's prior.

        Returns:
            Degrees of freedom at most those of the study. What varies far more than the study keeps its own.
        """
        from scipy.special import fdtrc

        if trained == 2:
            typical, most = 2 * self.prior_variance, self.df
        else:
            typical, most = self.prior_variance + max(0.0, self.total - self.variance), self.total_df
        typical, prior_df = expected or (typical, self.prior_df)
        against = min(prior_df, most)
        if own_df > 0 and fdtrc(own_df, against, own / typical) < UNLIKE:
            return own, own_df
        if math.isinf(prior_df):
            return typical, most
        df = prior_df + own_df
        return (prior_df * typical + own_df * own) / df, max(own_df, min(df, most))


def satterthwaite(parts: np.ndarray, dfs: np.ndarray) -> float:
    """Degrees of freedom of a sum of variances, of which each has its own."""
    below = float((parts**2 / dfs).sum())
    return float(parts.sum()) ** 2 / below if below > 0 else math.inf


def _wild(squares: np.ndarray, df: np.ndarray) -> int | None:
    """Place of the configuration that varies most, where the rest make that very unlikely; else None."""
    from scipy.special import fdtrc

    able = df > 0.25
    if able.sum() < LEAST_TO_COMPARE:
        return None
    own = np.divide(squares, df, out=np.zeros_like(squares), where=able)
    place = int(own.argmax())
    rest, rest_df = squares.sum() - squares[place], df.sum() - df[place]
    ratio = own[place] * rest_df / max(rest, NO_WIDTH**2)
    return place if fdtrc(df[place], rest_df, ratio) < WILD else None


def log_moments(variances: np.ndarray, df: np.ndarray, fitted: int = 1) -> tuple[float, float]:
    """Mean and variance of the logarithms of true variances, from estimates [n] with [n] degrees of freedom.

    The estimates may be relative to a trend; `fitted` parameters were fitted to them, the mean included.
    """
    from scipy.special import digamma, polygamma

    half = df / 2
    e = np.log(variances) - digamma(half) + np.log(half)
    mean = float(e.mean())
    spread = float(((e - mean) ** 2).sum()) / (len(e) - fitted) - float(polygamma(1, half).mean())
    return mean, max(0.0, spread)


def prior_of(mean: float, spread: float) -> Prior:
    """Return Smyth's prior of a variance whose logarithm has this mean and variance (more than 0)."""
    from scipy.special import digamma, polygamma

    d = 0.5 + 1 / spread
    for _ in range(50):  # trigamma(d) = spread by Newton's method on 1 / trigamma (Smyth 2004, appendix)
        value = float(polygamma(1, d))
        step = value * (1 - value / spread) / float(polygamma(2, d))
        d += step
        if abs(step) < 1e-8 * d:
            break
    return Prior(float(np.exp(mean + digamma(d) - np.log(d))), CAUTION * 2 * d)


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
        if len(kept) < LEAST_FOR_TREND:
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

    def has_noise(c: Comparison) -> bool:
        trained = not any(side.rule or side.deterministic for side in (c.a, c.b))
        return trained and bool(c.seeds) and pools.get(c.pool) is not None

    compared = [c for c in family if has_noise(c)]
    trends = {pool: Trend.of([c.differences for c in compared if c.pool == pool]) for pool in pools}
    return [
        trend.prior(c.differences) if has_noise(c) and (trend := trends[c.pool]) else None for c in family
    ]
