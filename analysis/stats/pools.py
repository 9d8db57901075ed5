"""The noise of one study: how much configurations differ from seed to seed, pooled over all of them.

Three seeds say little about a variance. The other configurations of a study ran on the same seeds. What is
left of the table of configurations and seeds, when the mean of each configuration and the effect of each seed
are taken out, is the noise of a comparison on common seeds.

References:
    Box, Hunter and Hunter, "Statistics for Experimenters" (2005), two-way tables.
    Smyth, "Linear models and empirical Bayes methods", Stat. Appl. Genet. Mol. Biol. 3 (2004).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

NO_WIDTH = 1e-12  # a smaller spread over seeds is none: values that agree to the last bit
UNLIKE = 0.005  # probability below which a difference keeps a larger variance of its own
WILD = 1e-5  # probability below which a configuration is left out of the noise of its study
ALIKE = 1e-3  # variance of log variances, up to which configurations are equally noisy
CAUTION = 0.9  # of the prior's weight, which is itself an estimate
LEAST_TO_COMPARE = 5  # configurations, to call one of them not like the rest
FEW_DF = 4.0  # what fewer configurations say about the variance of one, in degrees of freedom
LOST = ("diverged", "failed")  # outcomes of a seed that ran and left no number


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One configuration on its seeds.

    Attributes:
        values: Seed -> accuracy, a fraction; NaN where the seed was lost.
        outcomes: Seed -> `complete`, `diverged`, `pruned` or `failed`.
        images: Seed -> [N] what each image of the split adds to the value; their sum is the value. Empty
            where images were not kept.
        cell: [N] stratum (class and domain) of each image.
        rule: Whether it is a rule without training. The noise of runs says nothing about it; it may differ
            from seed to seed, where clients hold other images.
        fixed: Whether it is the same on every seed by what it is, so that one seed tells all.
    """

    values: Mapping[int, float]
    outcomes: Mapping[int, str]
    images: Mapping[int, np.ndarray] = field(default_factory=dict)
    cell: np.ndarray | None = None
    rule: bool = False
    fixed: bool = False

    @property
    def kept(self) -> dict[int, float]:
        """The seeds with a finite value."""
        return {
            seed: float(v)
            for seed, v in self.values.items()
            if v is not None and math.isfinite(v) and self.outcomes.get(seed, "complete") == "complete"
        }

    @property
    def lost(self) -> list[int]:
        """The seeds that diverged, failed, or ended without a finite number."""
        kept = self.kept
        return [s for s, how in self.outcomes.items() if how in LOST or (how == "complete" and s not in kept)]

    @property
    def deterministic(self) -> bool:
        """Whether it has no noise over seeds: the same value on every seed.

        Two seeds may have one accuracy by chance, where there are few images; then the images tell.
        """
        values = list(self.kept.values())
        if not values or max(values) - min(values) > NO_WIDTH:
            return False
        if self.fixed or (self.rule and len(values) > 1):
            return True
        parts = [self.images[seed] for seed in self.kept if seed in self.images]
        return len(values) > 2 or (len(parts) == 2 and np.array_equal(parts[0], parts[1]))


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
        kept = [values for values in trained if len(values) > 1]
        while kept:
            pool, wild = cls._of(kept)
            if wild is None:
                return pool
            del kept[wild]
        return None

    @classmethod
    def _of(cls, kept: Sequence[Mapping[int, float]]) -> tuple[Pool | None, int | None]:
        """Pool configurations; or return the place of one that collapsed on a seed and is not like the rest.

        Such a one would not only widen all intervals: in the effect of its seed it is part of all residuals.
        """
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
        df = len(y) - len(kept) - rank
        leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
        own_df = count - 1 - np.bincount(row, leverage)
        squares = np.bincount(row, residual**2)
        within, within_df = float((centred**2).sum()), len(y) - len(kept)
        if df < 0.5 or squares.sum() <= NO_WIDTH**2:
            return None, None
        wild = _wild(squares, own_df)
        if wild is not None:
            return None, wild
        variance = float(squares.sum()) / df
        able = (own_df > 0.25) & (squares > NO_WIDTH**2)
        typical = Prior(variance, math.inf if able.sum() >= LEAST_TO_COMPARE else FEW_DF)
        if able.sum() >= 3:
            mean, spread = log_moments(squares[able] / own_df[able], own_df[able])
            typical = prior_of(mean, spread) if spread > ALIKE else typical
        between = max(0.0, within - float(squares.sum()))  # sum of squares of the seeds
        parts = np.array([between, float(squares.sum())]) / within_df
        total, total_df = within / within_df, satterthwaite(parts, np.array([max(1, rank), df]))
        return cls(variance, df, *typical, total, total_df), None

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
    from scipy.special import digamma

    d = _inverse_trigamma(spread)
    return Prior(float(np.exp(mean + digamma(d) - np.log(d))), CAUTION * 2 * d)


def _inverse_trigamma(y: float) -> float:
    """Solve trigamma(x) = y by Newton's method on 1 / trigamma (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    x = 0.5 + 1 / y
    for _ in range(50):
        value = float(polygamma(1, x))
        step = value * (1 - value / y) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return x
