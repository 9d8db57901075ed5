"""Registry of datasets: their names, and the function that opens a dataset by its name.

A class is imported when a dataset of it is opened, so that a list of names is light. Others come from
plug-ins.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from raysim.core.errors import UserError
from raysim.core.registry import Registry
from raysim.data.dataset import Dataset, DatasetInfo
from raysim.data.reading import Reading


def _check(name: str, thing: object) -> None:
    """Raise UserError where a thing is no class of datasets."""
    if not (isinstance(thing, type) and issubclass(thing, Dataset)):
        raise UserError(f"'{name}' is {thing!r}; it should be a subclass of raysim.Dataset")
    missing = sorted(getattr(thing, "__abstractmethods__", ()))
    if missing:
        raise UserError(f"class {thing.__name__} ('{name}') lacks {', '.join(missing)}")


BUILT_IN = {
    "scenes": "raysim.data.scenes:SceneDataset",
    "ucmerced": "raysim.data.archives.ucmerced:UCMerced",
    "optimal31": "raysim.data.archives.optimal31:Optimal31",
    "resisc45": "raysim.data.archives.resisc45:Resisc45",
    "aid": "raysim.data.archives.aid:Aid",
    "patternnet": "raysim.data.archives.patternnet:PatternNet",
    "eurosat": "raysim.data.archives.eurosat:EuroSat",
    "rsscn7": "raysim.data.archives.rsscn7:Rsscn7",
    "folder": "raysim.data.folder:Folder",
    "client_folders": "raysim.data.client_folders:ClientFolders",
    "scene_masks": "raysim.data.scenes.masks:SceneMasks",
    "loveda": "raysim.data.archives.loveda:LoveDA",
    "image_masks": "raysim.data.segmentation:ImageMasks",
}
DATASETS: Registry[type[Dataset]] = Registry("dataset", BUILT_IN, _check)
# what is known of the built-in ones without an import
SEGMENTATION = frozenset({"image_masks", "loveda", "scene_masks"})  # datasets with a class for every pixel
DRAWN = frozenset({"scenes", "scene_masks"})  # datasets that a program draws: they have no path
ANY_FOLDER = frozenset({"folder", "client_folders", "image_masks"})  # datasets that need a path


def load_dataset(
    name: str,
    path: str | None = None,
    crop: int | None = None,
    reading: Reading | None = None,
    per_cell: int | None = None,
) -> Dataset:
    """Open a dataset and check that it is complete.

    Args:
        name: A name in the registry, or several joined by `+`: then the classes are the union by equal names
            and the domain of an image is its dataset of origin.
        path: The dataset's folder, or a folder that contains it (or all of several datasets); None searches
            `$RAYSIM_DATA`, which may name several folders. `scenes` and `scene_masks` have no path,
            `folder`, `client_folders` and `image_masks` need one.
        crop: Side in pixels of the squares into which the images of a segmentation dataset are cut; None
            keeps them whole.
        reading: How image files are read; None: as the files say.
        per_cell: Scenes of each class in each domain, for the datasets that raysim draws; None: their own
            number.

    Returns:
        The dataset; an image is read when it is needed.

    Raises:
        UserError: An unknown name, or data that are missing or incomplete; the message says where to get
            them.
    """
    names = name.split("+")
    for part in names:
        DATASETS.get_or_refuse(part)
    if len(names) == 1:
        dataset = _open(name, path, per_cell)
    else:
        from raysim.data.mixed import MixedDataset

        not_allowed = [part for part in names if segments(part) or needs_path(part)]
        if not_allowed:
            allowed = ", ".join(part for part in DATASETS if not segments(part) and not needs_path(part))
            raise UserError(
                f"dataset '{name}': '{not_allowed[0]}' cannot be part of a mixture; allowed are {allowed}"
            )
        dataset = MixedDataset([_open(part, None if is_drawn(part) else path, per_cell) for part in names])
    if reading is not None and not reading.is_default:
        dataset = dataset.with_reading(reading)
    if crop is None:
        return dataset
    from raysim.data.segmentation import Cropped

    return Cropped(dataset, crop)


def segments(name: str) -> bool:
    """Return whether a dataset has a class for every pixel; False for an unknown name."""
    if name in BUILT_IN:
        return name in SEGMENTATION
    return name in DATASETS and DATASETS[name].segments


def is_drawn(name: str) -> bool:
    """Return whether a program draws a dataset's images: it has no path. False for an unknown name."""
    if name in BUILT_IN:
        return name in DRAWN
    return name in DATASETS and not inspect.signature(DATASETS[name]).parameters


def needs_path(name: str) -> bool:
    """Return whether a dataset cannot be found without a path."""
    if name in BUILT_IN:
        return name in ANY_FOLDER
    parameters = inspect.signature(DATASETS[name]).parameters.values()
    return any(parameter.default is inspect.Parameter.empty for parameter in parameters)


def catalogue() -> list[tuple[DatasetInfo, Path | None]]:
    """Return the record of every dataset and the folder where it was found.

    The folder is None for a dataset that was not found or needs no folder.
    """
    found: list[tuple[DatasetInfo, Path | None]] = []
    for name, cls in DATASETS.usable().items():
        title = inspect.cleandoc(cls.__doc__ or name).partition("\n")[0].rstrip(".")
        info: DatasetInfo = getattr(cls, "info", None) or DatasetInfo(name=name, title=title)
        found.append((info, cls.find() if info.archive else None))  # type: ignore[attr-defined]
    return found


def _open(name: str, path: str | None, per_cell: int | None) -> Dataset:
    """Open one dataset."""
    if is_drawn(name):
        if path is not None:
            raise UserError(
                f"task.path = {path} is not allowed: dataset '{name}' is drawn by a program; leave out the "
                "path, or say how the folder is read, for example task.dataset=folder"
            )
        cls: Any = DATASETS[name]
        drawn: Dataset = cls(per_cell) if name in DRAWN and per_cell else cls()
        return drawn
    if path is None and needs_path(name) and name not in BUILT_IN:
        raise UserError(f"dataset '{name}' needs task.path, the place of its files")
    dataset: Dataset = DATASETS[name](path)  # type: ignore[call-arg]
    return dataset
