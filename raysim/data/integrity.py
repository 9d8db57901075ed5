"""Check of a dataset: every image and every mask is opened, classes and pixels are counted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.registry import load_dataset


def check_dataset(
    name: str, path: str | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Load a dataset, check its classes and counts, and open every image and every mask.

    Args:
        name: Name, as for `load_dataset`.
        path: Folder, as for `load_dataset`.
        progress: Called with the number of checked images and of all images.

    Returns:
        By name: name; images (their number); classes (images per class; in segmentation images whose most
        frequent class it is); domains (images per domain); sizes (images per "WIDTHxHEIGHT", most frequent
        first); pixels (in segmentation each class's share of the pixels with a class, and "ignored", the
        share of all pixels without one); damaged (a message for each unreadable image); fingerprint.

    Raises:
        UserError: The dataset cannot be loaded. Unreadable images are listed, not raised.
    """
    dataset = load_dataset(name, path)
    sizes: Counter[str] = Counter()
    damaged = []
    pixels = np.zeros(256, dtype=np.int64)

    def measure(index: int) -> tuple[str, str, np.ndarray]:
        counts = np.zeros(256, dtype=np.int64)
        try:
            height, width = dataset.image(index).shape[:2]
            if dataset.segments:
                counts = np.bincount(dataset.mask(index).ravel(), minlength=256)
        except UserError as error:
            return "", str(error), counts
        return f"{width}x{height}", "", counts

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done, (size, problem, counts) in enumerate(
            pool.map(measure, range(len(dataset)), chunksize=1), start=1
        ):
            if problem:
                damaged.append(problem)
            else:
                sizes[size] += 1
                pixels += counts
            if progress is not None:
                progress(done, len(dataset))
    return {
        "name": dataset.name,
        "images": len(dataset),
        "classes": _counts(dataset.classes, dataset.labels),
        "domains": _counts(dataset.domains, dataset.attributes),
        "sizes": dict(sizes.most_common()),
        "pixels": _shares(dataset.classes, pixels) if dataset.segments else {},
        "damaged": damaged,
        "fingerprint": dataset.fingerprint,
    }


def _shares(names: tuple[str, ...], pixels: np.ndarray) -> dict[str, float]:
    labelled = pixels[: len(names)]
    shares = labelled / max(labelled.sum(), 1)
    return {
        **dict(zip(names, shares.tolist(), strict=True)),
        "ignored": float(pixels[IGNORE] / max(pixels.sum(), 1)),
    }


def _counts(names: tuple[str, ...], values: np.ndarray) -> dict[str, int]:
    return dict(zip(names, np.bincount(values, minlength=len(names)).tolist(), strict=True))
