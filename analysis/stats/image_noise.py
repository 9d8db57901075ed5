"""The test images are a sample too: what a value would change if other images of the same kind were drawn.

Seeds and images are crossed: every seed is evaluated on the same images. So the variance of a mean has a part
from seeds and a part from images, and the noise of one image on one seed is in both (Owen, "The pigeonhole
bootstrap", Ann. Appl. Stat. 1, 2007). It is taken out of the second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .pools import Sample


def contributions(sample: Sample, seeds: Sequence[int]) -> np.ndarray | None:
    """What each image adds on each of these seeds, [seeds, images]; None where it was not kept for all."""
    rows = [sample.images.get(seed) for seed in seeds]
    if sample.cell is None or not rows or any(r is None or len(r) != len(sample.cell) for r in rows):
        return None
    return np.array(rows, float)


def image_variance(parts: np.ndarray, cell: np.ndarray) -> tuple[float, float]:
    """Variance of the mean value over seeds, when images are drawn again within their strata, and its df.

    Args:
        parts: [seeds, images] what each image adds on each seed (or the difference of two sides). The noise
            of an image on a seed is not counted.
        cell: [images] the stratum of each image. Strata of one image are put together.
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
    below = float((shares**2 / (size - 1)).sum())
    return variance, variance**2 / below if below > 0 and variance > 0 else math.inf


def _variances(x: np.ndarray, stratum: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Variance within each stratum: [rows, images] -> [rows, strata]."""
    sums = np.array([np.bincount(stratum, row, len(size)) for row in x])
    centred = x - (sums / size)[:, stratum]
    return np.array([np.bincount(stratum, row**2, len(size)) for row in centred]) / (size - 1)
