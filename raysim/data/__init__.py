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

from raysim.config import UserError, unknown
from raysim.data.dataset import Dataset, DatasetInfo

REGISTRY = {
    "scenes": "raysim.data.scenes:SceneDataset",
    "ucmerced": "raysim.data.ucmerced:UCMerced",
    "optimal31": "raysim.data.optimal31:Optimal31",
    "resisc45": "raysim.data.resisc45:Resisc45",
    "aid": "raysim.data.aid:Aid",
    "patternnet": "raysim.data.patternnet:PatternNet",
    "eurosat": "raysim.data.eurosat:EuroSat",
    "rsscn7": "raysim.data.rsscn7:Rsscn7",
    "folder": "raysim.data.folder:Folder",
}


def load_dataset(name: str, path: str | None = None) -> Dataset:
    """Open a dataset and check that it is complete.

    Args:
        name: A name in the registry, or several joined by `+`: then the classes are the union by equal words and the domain of an
            image is its dataset of origin.
        path: The dataset's folder, or a folder that holds it (all of them, for several); None looks in `$RAYSIM_DATA`, which may
            name several folders. `scenes` needs none, `folder` needs one.

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
        return _open(name, path)
    if "folder" in names:
        raise UserError(f"dataset '{name}': 'folder' cannot be part of a mixture; mixtures are made of {', '.join(_mixable())}")
    from raysim.data.mixed import MixedDataset

    return MixedDataset([_open(part, path if part != "scenes" else None) for part in names])


def catalogue() -> list[tuple[DatasetInfo, Path | None]]:
    """What can be loaded, and for each where its class folders were found (None: not found, or needing no folder)."""
    from raysim.data.folder import find_root

    infos = [_class(name).info for name in REGISTRY]
    return [(info, find_root(info) if info.archive else None) for info in infos]


def check(name: str, path: str | None = None, progress: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Load a dataset, with its checks of classes and counts, and open every image.

    Args:
        name: As for `load_dataset`.
        path: As for `load_dataset`.
        progress: Called with the images done and their number.

    Returns:
        name, images, classes (images per class), domains (images per domain), sizes (images per "WIDTHxHEIGHT", most frequent
        first), damaged (a message for each unreadable image), fingerprint.

    Raises:
        UserError: As for `load_dataset`; unreadable images are listed, not raised.
    """
    dataset = load_dataset(name, path)
    sizes: Counter[str] = Counter()
    damaged = []

    def look(index: int) -> tuple[str, str]:
        try:
            height, width = dataset.image(index).shape[:2]
        except UserError as error:
            return "", str(error)
        return f"{width}x{height}", ""

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for done, (size, problem) in enumerate(pool.map(look, range(len(dataset)), chunksize=1), start=1):
            if problem:
                damaged.append(problem)
            else:
                sizes[size] += 1
            if progress is not None:
                progress(done, len(dataset))
    return {
        "name": dataset.name,
        "images": len(dataset),
        "classes": _counts(dataset.classes, dataset.labels),
        "domains": _counts(dataset.domains, dataset.attributes),
        "sizes": dict(sizes.most_common()),
        "damaged": damaged,
        "fingerprint": dataset.fingerprint,
    }


def _counts(names: tuple[str, ...], values: np.ndarray) -> dict[str, int]:
    return dict(zip(names, np.bincount(values, minlength=len(names)).tolist(), strict=True))


def _mixable() -> list[str]:
    return [name for name in REGISTRY if name != "folder"]


def _class(name: str) -> Any:
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(import_module(module), attribute)


def _open(name: str, path: str | None) -> Dataset:
    if name != "scenes":
        return _class(name)(path)
    if path is not None:
        raise UserError(f"dataset 'scenes' is drawn, not read: leave out the path {path}")
    return _class(name)()
