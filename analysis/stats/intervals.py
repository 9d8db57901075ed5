"""Standard errors of a mean over seeds, and over seeds and images, and intervals and p values by Student's t.

The test images are a sample too. Seeds and images are crossed: every seed is evaluated on the same images. So
the variance of a mean has a part from seeds and a part from images, and the noise of one image on one seed is
in both (Owen, "The pigeonhole bootstrap", Ann. Appl. Stat. 1, 2007). It is taken out of the second.

An interval over seeds and images answers the wider question, so it is never the narrower one. By itself it
could be: its standard error is larger, and so are its degrees of freedom, since images are many.

Accuracies and their differences have the noise of the whole study: see `comparisons`. Plain means are those
of other values: ratios of cost, masks of images.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .judgements import NO_WIDTH
from .pools import Pool, Prior, satterthwaite

Ends = tuple[float, float] | tuple[None, None]


def interval(centre: float, se: float | None, df: float | None, confidence: float) -> Ends:
    """Ends of the interval of an estimate; none without a standard error, or with one of no width."""
    if se is None or df is None or se <= NO_WIDTH:
        return None, None
    half = float(quantile(df, confidence)) * se
    return centre - half, centre + half


def quantile(df: float | np.ndarray, confidence: float) -> np.ndarray:
    """Half width of a t interval, in standard errors."""
    from scipy.special import stdtrit

    return stdtrit(np.minimum(df, 1e6), 0.5 + confidence / 2)


def p_value(centre: float, se: float | None, df: float | None) -> float | None:
    """Two-sided p value of zero; None without a standard error."""
    from scipy.special import stdtr

    if se is None or df is None or se <= NO_WIDTH:
        return None
    return float(2 * stdtr(min(df, 1e6), -abs(centre) / se))


def clipped(end: float | None, least: float, most: float) -> float | None:
    """An end of an interval, no farther out than a number can be."""
    return None if end is None else min(float(most), max(float(least), end))


@dataclass(frozen=True)
class Error:
    """Standard errors with their degrees of freedom: over seeds, and over seeds and images.

    None where there is no such number: over seeds, for a rule that does not train; over both, where images
    were not kept.
    """

    se: float | None = None
    df: float | None = None
    se_both: float | None = None
    df_both: float | None = None

    @classmethod
    def of(
        cls,
        values: np.ndarray,
        trained: int,
        pool: Pool | None,
        parts: np.ndarray | None,
        cell: np.ndarray | None,
        expected: Prior | None = None,
    ) -> Error:
        """Estimate the errors of the mean of values over seeds.

        Args:
            values: [seeds] accuracies, or differences.
            trained: How many of the sides vary over seeds, 0 to 2.
            pool: The noise of the study.
            parts: [seeds, images] what each image adds.
            cell: [images] strata.
            expected: Prior of the variance of a difference of this size.
        """
        n = len(values)
        own = float(values.var(ddof=1)) if n > 1 else 0.0
        se = df = None
        if trained and pool is not None:
            variance, df = pool.moderated(own, n - 1, trained, expected)
            se = math.sqrt(variance / n)
        elif trained and own > NO_WIDTH**2:
            se, df = math.sqrt(own / n), float(n - 1)
        if parts is None or cell is None or (trained and se is None):
            return cls(se, df)
        variance, image_df = image_variance(parts, cell)
        if se is None or df is None:
            return cls(None, None, math.sqrt(variance), image_df)
        both = np.array([se**2, variance])
        return cls(se, df, math.sqrt(both.sum()), satterthwaite(both, np.array([df, image_df])))

    def over_both(self, centre: float, confidence: float) -> Ends:
        """Ends of the interval over seeds and images: the wider one of the two."""
        both = interval(centre, self.se_both, self.df_both, confidence)
        seeds = interval(centre, self.se, self.df, confidence)
        narrower = both[0] is not None and seeds[0] is not None and seeds[1] - seeds[0] > both[1] - both[0]
        return seeds if narrower else both

    def spread(self, centre: float, confidence: float, least: float, most: float) -> dict[str, Any]:
        """The fields of `Spread`; the number is between `least` and `most`."""
        ends = *interval(centre, self.se, self.df, confidence), *self.over_both(centre, confidence)
        named = zip(("low", "high", "low_both", "high_both"), ends, strict=True)
        within = {name: clipped(end, least, most) for name, end in named}
        return {"se": self.se, "df": self.df, "se_both": self.se_both, **within}

    def deciding(self, centre: float, confidence: float, images: bool) -> Ends:
        """Ends of the interval that a verdict is read from.

        Over seeds; over seeds and images where it is to hold for other `images` too, or where neither side
        varies over seeds.
        """
        if self._both(images):
            return self.over_both(centre, confidence)
        return interval(centre, self.se, self.df, confidence)

    def p(self, centre: float, images: bool) -> float | None:
        """P value of zero: one minus the confidence from which on the deciding interval holds zero."""
        found = [p_value(centre, self.se, self.df)]
        if self._both(images):
            found.append(p_value(centre, self.se_both, self.df_both))
        return max((p for p in found if p is not None), default=None)

    def half_width(self, times: np.ndarray, confidence: float, images: bool, more: float) -> np.ndarray:
        """Half width of the deciding interval with `times` as many seeds, plus `more` standard errors.

        More seeds take the noise of seeds away, and not that of the images.
        """
        if self.se is None or self.df is None:
            raise ValueError("Without an error over seeds, more seeds change nothing.")
        half = (quantile(self.df * times, confidence) + more) * self.se / np.sqrt(times)
        if not self._both(images) or self.se_both is None or self.df_both is None:
            return half
        errors = np.sqrt(self.se_both**2 - self.se**2 + self.se**2 / times)
        return np.maximum(half, (quantile(self.df_both * times, confidence) + more) * errors)

    def _both(self, images: bool) -> bool:
        return self.se is None or (images and self.se_both is not None)


def image_variance(parts: np.ndarray, cell: np.ndarray) -> tuple[float, float]:
    """Variance of the mean value over seeds, when images are drawn again within their strata, and its df.

    `parts`, [seeds, images], is what each image adds on each seed (or the difference of two sides); the noise
    of an image on a seed is not counted. `cell` is the stratum of each image; those of one are put together.
    """
    _, stratum, size = np.unique(cell, return_inverse=True, return_counts=True)
    stratum = np.where(size[stratum] == 1, -1, stratum)
    _, stratum, size = np.unique(stratum, return_inverse=True, return_counts=True)
    if (size < 2).any() and len(size) > 1:  # one image alone: it joins the largest stratum
        stratum = np.where(size[stratum] < 2, int(size.argmax()), stratum)
        _, stratum, size = np.unique(stratum, return_inverse=True, return_counts=True)
    if size.max() < 2:
        return 0.0, math.inf
    n = len(parts)
    mean = parts.mean(axis=0)
    shares = size * _variances(mean[None], stratum, size)[0]
    if n > 1:
        noise = _variances(parts - mean, stratum, size).sum(axis=0) / (n * (n - 1))
        shares = shares - size * noise
    variance = max(0.0, float(shares.sum()))
    return variance, satterthwaite(shares, size - 1) if variance > 0 else math.inf


def _variances(x: np.ndarray, stratum: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Variance within each stratum: [rows, images] -> [rows, strata]."""
    sums = np.array([np.bincount(stratum, row, len(size)) for row in x])
    centred = x - (sums / size)[:, stratum]
    return np.array([np.bincount(stratum, row**2, len(size)) for row in centred]) / (size - 1)


@dataclass(frozen=True)
class Interval:
    """The mean of `n` values with the ends of its interval; None with one value."""

    mean: float
    low: float | None
    high: float | None
    n: int


def t_interval(values: Sequence[float], confidence: float = 0.9) -> Interval | None:
    """Interval of the mean of the finite values; None when there is none. `confidence` is in (0, 1)."""
    finite = [float(v) for v in values if v is not None and math.isfinite(v)]
    if not finite:
        return None
    mean, n = float(np.mean(finite)), len(finite)
    if n == 1:
        return Interval(mean, None, None, 1)
    half = float(quantile(n - 1, confidence)) * float(np.std(finite, ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def paired(
    ours: Mapping[int, float], theirs: Mapping[int, float], confidence: float = 0.9
) -> Interval | None:
    """Interval of the mean of `ours - theirs` over what both have; None where that is nothing."""
    shared = [key for key in ours if ours[key] is not None and theirs.get(key) is not None]
    return t_interval([ours[key] - theirs[key] for key in shared], confidence)
