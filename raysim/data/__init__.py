"""Datasets: the registry, and what can be said of a dataset before and after opening it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from raysim.core.config import unknown
from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.dataset import Dataset, DatasetInfo

REGISTRY = {
    "scenes": "raysim.data.scenes:SceneDataset",
    "ucmerced": "raysim.data.archives.ucmerced:UCMerced",
    "optimal31": "raysim.data.archives.optimal31:Optimal31",
    "resisc45": "raysim.data.archives.resisc45:Resisc45",
    "aid": "raysim.data.archives.aid:Aid",
    "patternnet": "raysim.data.archives.patternnet:PatternNet",
    "eurosat": "raysim.data.archives.eurosat:EuroSat",
    "rsscn7": "raysim.data.archives.rsscn7:Rsscn7",
    "folder": "raysim.data.folder:Folder",
    "scene_masks": "raysim.data.scenes.masks:SceneMasks",
    "loveda": "raysim.data.archives.loveda:LoveDA",
    "image_masks": "raysim.data.segmentation:ImageMasks",
}
SEGMENTATION = frozenset(
    {"image_masks", "loveda", "scene_masks"}
)  # datasets whose pixels are classified, not their images
DRAWN = frozenset({"scenes", "scene_masks"})  # by a program: they have no path
ANY_FOLDER = frozenset({"folder", "image_masks"})  # they need a path


def load_dataset(name: str, path: str | None = None, crop: int | None = None) -> Dataset:
    """Open a dataset and check that it is complete.

    Args:
        name: A name in the registry, or several joined by `+`: then the classes are the union by equal words
            and the domain of an image is its dataset of origin.
        path: The dataset's folder, or a folder that holds it (all of them, for several); None looks in
            `$RAYSIM_DATA`, which may name several folders. `scenes` and `scene_masks` have none, `folder` and
            `image_masks` need one.
        crop: Pixels a side of the squares that the images of a segmentation dataset are cut into.

    Returns:
        The dataset; its images are read when asked for.

    Raises:
        UserError: An unknown name, or data that are missing or incomplete: with where to get them.
    """
    names = name.split("+")
    for part in names:
        if part not in REGISTRY:
            raise unknown("dataset", part, list(REGISTRY))
    if len(names) == 1:
        dataset = _open(name, path)
    else:
        from raysim.data.mixed import MixedDataset

        unfit = [part for part in names if part in SEGMENTATION | {"folder"}]
        if unfit:
            able = ", ".join(known for known in REGISTRY if known not in SEGMENTATION | {"folder"})
            raise UserError(
                f"dataset '{name}': '{unfit[0]}' cannot be part of a mixture; mixtures are made of {able}"
            )
        dataset = MixedDataset([_open(part, None if part in DRAWN else path) for part in names])
    if crop is None:
        return dataset
    from raysim.data.segmentation import Cropped

    return Cropped(dataset, crop)


def catalogue() -> list[tuple[DatasetInfo, Path | None]]:
    """What can be loaded, and for each where its folders were found (None: not found, or needing no folder)."""
    classes = [_class(name) for name in REGISTRY]
    return [(cls.info, cls.find() if cls.info.archive else None) for cls in classes]


def check(
    name: str, path: str | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Load a dataset, with its checks of classes and counts, and open every image and every mask.

    Args:
        name: As for `load_dataset`.
        path: As for `load_dataset`.
        progress: Called with the images done and their number.

    Returns:
        name, images, classes (images per class; of segmentation those it is the dominant class of), domains
        (images per domain), sizes (images per "WIDTHxHEIGHT", most frequent first), pixels (of segmentation:
        share of pixels per class, of those that are not ignored, and "ignored" of all), damaged (a message
        for each unreadable image), fingerprint.

    Raises:
        UserError: As for `load_dataset`; unreadable images are listed, not raised.
    """
    dataset = load_dataset(name, path)
    sizes: Counter[str] = Counter()
    damaged = []
    pixels = np.zeros(256, dtype=np.int64)

    def look(index: int) -> tuple[str, str, np.ndarray]:
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
            pool.map(look, range(len(dataset)), chunksize=1), start=1
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
    known = pixels[: len(names)]
    shares = known / max(known.sum(), 1)
    return {
        **dict(zip(names, shares.tolist(), strict=True)),
        "ignored": float(pixels[IGNORE] / max(pixels.sum(), 1)),
    }


def _counts(names: tuple[str, ...], values: np.ndarray) -> dict[str, int]:
    return dict(zip(names, np.bincount(values, minlength=len(names)).tolist(), strict=True))


def _class(name: str) -> Any:
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(import_module(module), attribute)


def _open(name: str, path: str | None) -> Dataset:
    if name not in DRAWN:
        return _class(name)(path)
    if path is not None:
        raise UserError(f"dataset '{name}' is drawn, not read: leave out the path {path}")
    return _class(name)()
