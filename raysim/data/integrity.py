"""Check of a dataset: every image and every mask is opened, classes, pixels and copies are counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.core.machine import usable_cores
from raysim.core.types import IGNORE, SPLITS
from raysim.data.dataset import Dataset
from raysim.data.duplicates import duplicate_sentences, image_names
from raysim.data.files import shorten_list
from raysim.data.reading import Reading
from raysim.data.registry import load_dataset
from raysim.data.splits import split
from raysim.data.unreadable import UnreadableImage


def check_dataset(
    name: str,
    path: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    reading: Reading | None = None,
) -> dict[str, Any]:
    """Load a dataset, check its classes and counts, and open every image and every mask.

    Args:
        name: Name, as for `load_dataset`.
        path: Folder, as for `load_dataset`.
        progress: Called with the number of checked images and of all images.
        reading: How image files are read, as for `load_dataset`.

    Returns:
        By name: name; images (their number); left_out (what was not taken from the folder, as a sentence);
        read (images by how they were read); notes (sentences on images that a viewer would show otherwise, on
        images that are there more than once, and on classes without images in a split); classes
        (images per class; in segmentation images whose most frequent class it is); domains (images per
        domain); sizes (images per "WIDTHxHEIGHT", most frequent first); pixels (in segmentation each class's
        share of the pixels with a class, and "ignored", the share of all pixels without one); damaged (a line
        for each unreadable image: file, reason, advice); fingerprint (empty where images are damaged).

    Raises:
        UserError: The dataset cannot be loaded. Unreadable images are listed, not raised.
    """
    dataset = load_dataset(name, path, reading=reading)
    sizes, read, viewed = Counter[str](), Counter[str](), Counter[str]()
    damaged = []
    pixels = np.zeros(256, dtype=np.int64)

    def measure(index: int) -> tuple[tuple[str, str, str], str, np.ndarray]:
        """Return size, reading and note of an image, what is wrong with it, and the pixels of its mask."""
        counts = np.zeros(256, dtype=np.int64)
        try:
            picture = dataset.picture(index)
            height, width = picture.pixels.shape[:2]
            if dataset.segments:
                counts = np.bincount(dataset.mask(index).ravel(), minlength=256)
        except UnreadableImage as error:
            return ("", "", ""), error.line, counts
        except UserError as error:
            return ("", "", ""), str(error), counts
        return (f"{width}x{height}", picture.read, picture.note), "", counts

    with ThreadPoolExecutor(min(8, usable_cores())) as pool:
        for done, ((size, how, note), problem, counts) in enumerate(
            pool.map(measure, range(len(dataset)), chunksize=1), start=1
        ):
            if problem:
                damaged.append(problem)
            else:
                sizes[size] += 1
                read.update([how] if how else [])
                viewed.update([note] if note else [])
                pixels += counts
            if progress is not None:
                progress(done, len(dataset))
    return {
        "name": dataset.name,
        "images": len(dataset),
        "left_out": dataset.left_out.sentence,
        "read": dict(read.most_common()),
        "notes": [] if damaged else [*_viewed(viewed), *_copies(dataset), *_small_classes(dataset)],
        "classes": _counts(dataset.classes, dataset.labels),
        "domains": _counts(dataset.domains, dataset.attributes),
        "sizes": dict(sizes.most_common()),
        "pixels": _shares(dataset.classes, pixels) if dataset.segments else {},
        "damaged": damaged,
        "fingerprint": "" if damaged else dataset.fingerprint,
    }


def _viewed(notes: Counter[str]) -> list[str]:
    return [f"{note}: {number:,} image{'s' * (number > 1)}" for note, number in notes.items()]


def _copies(dataset: Dataset) -> list[str]:
    """Say which images are there more than once, with split seed 0."""
    return duplicate_sentences(dataset.digests, image_names(dataset), dataset.labels, split(dataset, 0))


def _small_classes(dataset: Dataset) -> list[str]:
    """Say which classes have no image in a split, with split seed 0; nothing in segmentation."""
    if dataset.segments:
        return []
    parts, sentences = split(dataset, 0), []
    for part, number in SPLITS.items():
        counts = np.bincount(dataset.labels[parts == number], minlength=len(dataset.classes))
        missing = [words for words, count in zip(dataset.classes, counts, strict=True) if count == 0]
        if missing:
            sentences.append(f"too few images for {part}: {shorten_list(missing)}")
    return sentences


def _shares(names: tuple[str, ...], pixels: np.ndarray) -> dict[str, float]:
    labelled = pixels[: len(names)]
    shares = labelled / max(labelled.sum(), 1)
    return {
        **dict(zip(names, shares.tolist(), strict=True)),
        "ignored": float(pixels[IGNORE] / max(pixels.sum(), 1)),
    }


def _counts(names: tuple[str, ...], values: np.ndarray) -> dict[str, int]:
    return dict(zip(names, np.bincount(values, minlength=len(names)).tolist(), strict=True))
