"""Images that are given for prediction: files, folders or arrays, read by the rule of the training images.

Shapes: N images, H and W pixels, B bands.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.decode import read_image
from raysim.data.listing import EXTENSIONS, entries, is_folder, is_hidden, is_image
from raysim.data.reading import Reading, Refused, choose_bands, to_rgb
from raysim.data.unreadable import UnreadableImage, shown

MOST_NAMED = 20  # paths that one message names
BLANK = np.zeros((8, 8, 3), dtype=np.uint8)  # in place of an image that cannot be read; it is not predicted


class GivenImages(Dataset):
    """Images without labels. One that cannot be read is noted, and the others are read all the same.

    Args:
        sources: Files, or images as arrays.
        reading: How they are read.

    Attributes:
        names: Name of each image in a result: the path as it was given, or "image 0". N
        problems: Place of an image that could not be read -> the line that says why.
    """

    name = "images"

    def __init__(self, sources: Sequence[Path | np.ndarray], reading: Reading) -> None:
        self.sources, self.reading, self.problems = sources, reading, dict[int, str]()
        self.names = [
            shown(source) if isinstance(source, Path) else f"image {place}"
            for place, source in enumerate(sources)
        ]
        self.labels = np.zeros(len(sources), dtype=np.int64)

    @property
    def fingerprint(self) -> str:
        """Empty: no result of these images is kept in the cache."""
        return ""

    def image(self, index: int) -> np.ndarray:
        """Return an image [H, W, 3] uint8 RGB; a blank one where it cannot be read."""
        source = self.sources[index]
        try:
            return (
                read_image(source, self.reading) if isinstance(source, Path) else _rgb(source, self.reading)
            )
        except UnreadableImage as error:
            self.problems[index] = error.line
        except Refused as error:
            self.problems[index] = f"{self.names[index]}: {error.reason}; {error.advice}"
        return BLANK


def given_images(images: Any, reading: Reading) -> GivenImages:
    """Return the images that a user names.

    Args:
        images: A path or several; a folder stands for all images in it and below. Or an array [N, H, W, B] or
            [H, W, B], or a list of arrays [H, W, B]: uint8 is taken as it is, other whole numbers as in a
            file of such values, floats by `task.stretch` only.
        reading: How the run read its images.

    Raises:
        UserError: A path does not exist, there is no image, or an array has another shape or type.
    """
    if isinstance(images, str | os.PathLike):
        images = [images]
    if isinstance(images, np.ndarray):
        images = list(images) if images.ndim == 4 else [images]
    if not isinstance(images, Iterable):  # a picture of PIL, a number, None
        images = [images]
    sources = list(images)
    if not sources:
        raise UserError("there is no image to predict: name image files or folders, or give an array")
    if all(isinstance(source, np.ndarray) for source in sources):
        for source in sources:
            _check_array(source, reading)
        return GivenImages(sources, reading)
    if not all(isinstance(source, str | os.PathLike) for source in sources):
        kinds = ", ".join(sorted({type(source).__name__ for source in sources}))
        raise UserError(f"images of type {kinds} are not allowed: give paths, or NumPy arrays [N, H, W, 3]")
    return GivenImages(_files([Path(source).expanduser() for source in sources]), reading)


def _files(paths: Sequence[Path]) -> list[Path]:
    """Return the image files that paths name, each once, those of a folder in the order of their names."""
    if missing := [shown(path) for path in paths if not path.exists()]:
        more = f" and {len(missing) - MOST_NAMED:,} more" if len(missing) > MOST_NAMED else ""
        raise UserError(f"no such file or folder: {', '.join(missing[:MOST_NAMED])}{more}")
    files: dict[Path, None] = {}
    for path in paths:
        found = _files_in(path) if path.is_dir() else [path]
        if not found:
            raise UserError(
                f"{shown(path)}: no image in this folder or below (endings: {', '.join(sorted(EXTENSIONS))})"
            )
        files |= dict.fromkeys(found)
    return list(files)


def _files_in(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> list[Path]:
    """Return the images in a folder and below it, by the rule of the training images.

    Links to folders are followed, but for those to a folder that they lie in. Hidden folders hold none.

    Args:
        folder: The folder.
        above: Device and inode of the folders around it, in which it was found.

    Raises:
        UserError: A folder cannot be listed.
    """
    stat = folder.stat()
    here = (stat.st_dev, stat.st_ino)
    if here in above:
        return []
    held = entries(folder)
    found = [folder / entry.name for entry in held if is_image(entry)]
    for entry in held:
        if is_folder(entry) and not is_hidden(entry.name):
            found += _files_in(folder / entry.name, (*above, here))
    return found


def _check_array(array: np.ndarray, reading: Reading) -> None:
    """Raise `UserError` where an array is no image."""
    if array.ndim not in (2, 3) or 0 in array.shape or array.dtype.kind not in "uif":
        raise UserError(
            f"an array of shape {list(array.shape)} and type {array.dtype} is no image: it should be numbers "
            "[height, width, bands], or [number, height, width, bands]"
        )
    if array.dtype.kind == "f" and reading.stretch is None:
        raise UserError(
            f"an array of {array.dtype} does not say which values are black and white: give uint8, for "
            "example (255 * values).round().astype('uint8') for values from 0 to 1. (Only a run with "
            "task.stretch has a rule for floats)"
        )


def _rgb(values: np.ndarray, reading: Reading) -> np.ndarray:
    """Return an array as RGB of 8 bits, by the rule for files of such values."""
    values_HWB = values[:, :, None] if values.ndim == 2 else values
    bands, _ = choose_bands(["undefined"] * values_HWB.shape[2], reading)
    return to_rgb(values_HWB[:, :, bands], None, reading.stretch)
