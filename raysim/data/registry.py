"""Registry of datasets: their names, and the function that opens a dataset by its name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from raysim.core.config import unknown_name
from raysim.core.errors import UserError
from raysim.data.dataset import Dataset, DatasetInfo
from raysim.data.reading import Reading

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
    "client_folders": "raysim.data.client_folders:ClientFolders",
    "scene_masks": "raysim.data.scenes.masks:SceneMasks",
    "loveda": "raysim.data.archives.loveda:LoveDA",
    "image_masks": "raysim.data.segmentation:ImageMasks",
}
SEGMENTATION = frozenset({"image_masks", "loveda", "scene_masks"})  # datasets with a class for every pixel
DRAWN = frozenset({"scenes", "scene_masks"})  # datasets that a program draws: they have no path
ANY_FOLDER = frozenset({"folder", "client_folders", "image_masks"})  # datasets that need a path


def load_dataset(
    name: str, path: str | None = None, crop: int | None = None, reading: Reading | None = None
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

    Returns:
        The dataset; an image is read when it is needed.

    Raises:
        UserError: An unknown name, or data that are missing or incomplete; the message says where to get
            them.
    """
    names = name.split("+")
    for part in names:
        if part not in REGISTRY:
            raise unknown_name("dataset", part, list(REGISTRY))
    if len(names) == 1:
        dataset = _open(name, path)
    else:
        from raysim.data.mixed import MixedDataset

        not_allowed = [part for part in names if part in SEGMENTATION | ANY_FOLDER]
        if not_allowed:
            allowed = ", ".join(part for part in REGISTRY if part not in SEGMENTATION | ANY_FOLDER)
            raise UserError(
                f"dataset '{name}': '{not_allowed[0]}' cannot be part of a mixture; allowed are {allowed}"
            )
        dataset = MixedDataset([_open(part, None if part in DRAWN else path) for part in names])
    if reading is not None and not reading.is_default:
        dataset = dataset.with_reading(reading)
    if crop is None:
        return dataset
    from raysim.data.segmentation import Cropped

    return Cropped(dataset, crop)


def catalogue() -> list[tuple[DatasetInfo, Path | None]]:
    """Return the record of every dataset and the folder where it was found.

    The folder is None for a dataset that was not found or needs no folder.
    """
    classes = [_class(name) for name in REGISTRY]
    return [(cls.info, cls.find() if cls.info.archive else None) for cls in classes]


def _class(name: str) -> Any:
    """Import the class of a dataset."""
    module, _, attribute = REGISTRY[name].partition(":")
    return getattr(import_module(module), attribute)


def _open(name: str, path: str | None) -> Dataset:
    if name not in DRAWN:
        return _class(name)(path)
    if path is not None:
        raise UserError(f"dataset '{name}' is drawn by a program: leave out the path {path}")
    return _class(name)()
