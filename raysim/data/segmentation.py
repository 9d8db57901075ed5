"""Segmentation datasets: image and mask files, any folder of them, and images cut into squares.

Shapes: N images, C pixel classes, H and W pixels.
"""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Hashable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.dataset import Dataset, DatasetInfo, with_settings
from raysim.data.decode import read_picture
from raysim.data.files import file_digest, shorten_list
from raysim.data.listing import LeftOut
from raysim.data.mask_files import count_values, domains_of, name_values, pair, read_mask
from raysim.data.memo import cache_folder, each_readable, folder_stamp, in_threads, remember, stamp
from raysim.data.reading import Picture, Reading
from raysim.data.splits import by_domain, split

FORBIDDEN = 254  # entry of the table from mask values to classes for values that no mask may have
MAX_IGNORED = 0.9  # squares with a larger share of ignored pixels are dropped


class MaskedFiles(Dataset):
    """Pairs of image files and mask files.

    The first opening reads every mask and keeps the counts of its values in the cache folder.

    Attributes:
        images: Image files. N
        masks: Mask files of one band. N
        pixels: Pixels of each class in each mask, last the ignored ones. [N, C + 1] int64
        labels: Most frequent class of the pixels that are not ignored; 0 for an image of ignored pixels only,
            which belongs to no split. [N] int64
    """

    info: ClassVar[DatasetInfo]
    segments = True
    images: list[Path]
    masks: list[Path]
    pixels: np.ndarray

    def _count_pixels(self, table: np.ndarray) -> None:
        """Set `pixels` and `labels` from the values of the masks.

        Args:
            table: Class of each mask value, 255 for ignored and 254 for forbidden values. [256] uint8

        Raises:
            UserError: A mask has a forbidden value, or another size than its image.
        """
        self._table = table
        values = count_values(self.name, self.images, self.masks)
        if values[:, table == FORBIDDEN].any():
            index, value = np.argwhere(np.where(table == FORBIDDEN, values, 0))[0]
            raise self._refuse(int(index), int(value))
        self.pixels = np.stack(
            [values[:, table == k].sum(axis=1) for k in [*range(len(self.classes)), IGNORE]], axis=1
        )
        self.labels = self.pixels[:, :-1].argmax(axis=1)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over classes, domains, names and bytes of images and masks, in hex, and the settings."""
        return with_settings(self._files_fingerprint, self.reading)

    @property
    def digests(self) -> Sequence[bytes]:
        """SHA-256 of each image's file. N."""
        return [digest.tobytes() for digest in self._contents[: len(self.images)]]

    @cached_property
    def _contents(self) -> np.ndarray:
        """SHA-256 of each image's file, then of each mask's. [2 N, 32] uint8."""
        files = [*self.images, *self.masks]

        def read() -> dict[str, np.ndarray]:
            digests = each_readable(self.name, lambda index: file_digest(files[index]), len(files))
            return {"digests": np.frombuffer(b"".join(digests), np.uint8).reshape(len(files), -1)}

        key = {"version": 1, "files": stamp(files)}
        return remember(cache_folder(), f"{self.name}-content", key, read)["digests"]

    @cached_property
    def _files_fingerprint(self) -> str:
        total = hashlib.sha256("\0".join(self.classes).encode() + self._table.tobytes())
        for index, file in enumerate(self.images):
            total.update(f"{self.domains[self.attributes[index]]}/".encode())
            total.update(os.fsencode(file.stem) + b"\0")
            total.update(self._contents[[index, len(self) + index]].tobytes())
        return total.hexdigest()

    def files_stamp(self) -> Hashable:
        """Return the stamp of the folders of images and masks, and of those around them (`classes.txt`)."""
        folders = {file.parent for file in [*self.images, *self.masks]}
        folders |= {folder.parent for folder in folders}
        return tuple(folder_stamp(folder, 0) for folder in sorted(folders))

    def paths(self) -> list[str]:
        """Return the path of each image's file below the folder that holds all of them."""
        home = os.path.commonpath([file.parent for file in self.images])
        return [file.relative_to(home).as_posix() for file in self.images]

    def with_reading(self, reading: Reading) -> Self:
        """Return the dataset with its images read in another way."""
        other = copy.copy(self)
        other.reading = reading
        return other

    def picture(self, index: int) -> Picture:
        """Return the image at `index`, with the words that say how it was read."""
        return read_picture(self.images[index], self.reading)

    def image(self, index: int) -> np.ndarray:
        """Return the image at `index`.

        Returns:
            [H, W, 3] uint8 RGB.
        """
        return self.picture(index).pixels

    def mask(self, index: int) -> np.ndarray:
        """Return the class of every pixel of the image at `index`.

        Returns:
            [H, W] uint8, 255 for ignored pixels.
        """
        values = read_mask(self.masks[index])
        classes = self._table[values]
        if (classes == FORBIDDEN).any():
            raise self._refuse(index, int(values[classes == FORBIDDEN][0]))
        return classes

    def predefined_split(self, split_seed: int) -> np.ndarray | None:
        """Return a split of 64 / 16 / 20 % within each domain; of nine images 6, 1 and 2. [N] int8."""
        return by_domain(self, split_seed, np.flatnonzero(self.pixels[:, :-1].any(axis=1)))

    def _refuse(self, index: int, value: int) -> UserError:
        """Return the error for a forbidden mask value."""
        allowed = np.flatnonzero(self._table != FORBIDDEN)
        classes = allowed[self._table[allowed] != IGNORE]
        ignored = ", ".join(map(str, allowed[self._table[allowed] == IGNORE]))
        return UserError(
            f"{self.masks[index]}: mask value {value} is not allowed: it should be {classes[0]} to "
            f"{classes[-1]} for the "
            f"{len(self.classes)} classes ({shorten_list(list(self.classes))}), "
            f"or {ignored} for ignored pixels"
        )


class ImageMasks(MaskedFiles):
    """Any pair of folders `images/` and `masks/` with equal file names, e.g. `tile1_001.jpg` and `.png`.

    Masks are PNG or TIFF of one band (gray or palette). Line i of a file `classes.txt` beside the folders, or
    in `masks` where `raysim predict` writes it, names from 0 the class of mask value i; the word `ignore`
    marks an ignored value. Without the file value 0 is ignored and value k is "class k". 255 is always
    ignored. The part of a name before its last `_` is the image's domain, where that groups the images.

    Args:
        path: Folder that contains `images` and `masks`.

    Raises:
        UserError: Files do not fit together; the message names the file and what is allowed.
    """

    domain_kind = "tile"
    info = DatasetInfo(
        name="image_masks",
        title="Any folder of images and masks",
        example="images/NAME.jpg, masks/NAME.png",
        terms="yours",
    )

    def __init__(self, path: str | None = None) -> None:
        if path is None:
            raise UserError(
                "dataset 'image_masks' needs a path: the folder that contains 'images' and 'masks'"
            )
        root = Path(path).expanduser()
        self.name, self.templates = self.info.name, self.info.templates
        self.left_out = LeftOut()
        self.images, self.masks = pair(root / "images", root / "masks", self.left_out)
        self.domains, self.attributes = domains_of([file.stem for file in self.images])
        words = name_values(root, lambda: count_values(self.name, self.images, self.masks))
        self.classes = tuple(word for word in words if word)
        table = np.full(256, FORBIDDEN, dtype=np.uint8)
        numbers = iter(range(len(self.classes)))
        table[: len(words)] = [next(numbers) if word else IGNORE for word in words]
        table[IGNORE] = IGNORE
        self._count_pixels(table)


class Cropped(Dataset):
    """Segmentation dataset whose images are cut into squares, from the top left corner without overlap.

    A rest at the right or the lower edge is dropped if it is less than half a square; else the last square is
    moved inwards and overlaps. A side shorter than a square is kept whole. All squares of one image are in
    the same split; squares with almost no classes are dropped.

    Args:
        dataset: Dataset with masks.
        crop: Side of a square in pixels of the original images, at least 1.

    Raises:
        UserError: The dataset has no masks, or no square is kept.
    """

    segments = True

    def __init__(self, dataset: Dataset, crop: int) -> None:
        if not dataset.segments:
            raise UserError(
                f"task.crop = {crop} is not allowed: only segmentation datasets are cut, and "
                f"'{dataset.name}' has no masks"
            )
        if crop < 1:
            raise UserError(f"task.crop = {crop} is not allowed: it should be at least 1 pixel")
        self.dataset, self.crop = dataset, crop
        self.name, self.classes, self.templates, self.domains = (
            dataset.name,
            dataset.classes,
            dataset.templates,
            dataset.domains,
        )
        key = {"version": 1, "images": dataset.fingerprint, "crop": crop}
        squares = remember(cache_folder(), f"{self.name}-crops-{crop}px", key, self._cut)
        kept = squares["pixels"][:, -1] <= MAX_IGNORED * squares["pixels"].sum(axis=1)
        if not kept.any():
            raise UserError(
                f"task.crop = {crop}: no square of '{self.name}' has at least {1 - MAX_IGNORED:.0%} of "
                "pixels with a class"
            )
        self.owner, self._box, self.pixels = (squares[name][kept] for name in ("owner", "box", "pixels"))
        self.attributes, self.labels = dataset.attributes[self.owner], self.pixels[:, :-1].argmax(axis=1)
        self.left_out, self.drawn = dataset.left_out, dataset.drawn
        self._image = lru_cache(maxsize=8)(dataset.image)  # squares of one image are read one after the other
        self._mask = lru_cache(maxsize=8)(dataset.mask)

    def files_stamp(self) -> Hashable:
        """Return that of the dataset whose images are cut."""
        return self.dataset.files_stamp()

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the dataset and the rule of cutting, in hex."""
        return hashlib.sha256(
            f"{self.dataset.fingerprint} in squares of {self.crop} with less than {MAX_IGNORED}".encode()
        ).hexdigest()

    def image(self, index: int) -> np.ndarray:
        """Return the square at `index`.

        Returns:
            [H, W, 3] uint8 RGB, each side at most `crop`.
        """
        return self._part(self._image(int(self.owner[index])), index)

    def mask(self, index: int) -> np.ndarray:
        """Return the class of every pixel of the square at `index`.

        Returns:
            [H, W] uint8, 255 for ignored pixels.
        """
        return self._part(self._mask(int(self.owner[index])), index)

    def foreground(self, index: int) -> np.ndarray | None:
        """Return the pixels [H, W] bool that show the object of the class; None where unknown."""
        whole = self.dataset.foreground(int(self.owner[index]))
        return None if whole is None else self._part(whole, index)

    def predefined_split(self, split_seed: int) -> np.ndarray | None:
        """Return for each square the split of its image. [N] int8."""
        return split(self.dataset, split_seed)[self.owner]

    def _part(self, whole: np.ndarray, index: int) -> np.ndarray:
        """Cut the square at `index` from its image or mask."""
        top, left, high, wide = self._box[index]
        return whole[top : top + high, left : left + wide].copy()

    def _cut(self) -> dict[str, np.ndarray]:
        """Return all squares, before any is dropped, as named arrays.

        These are the index of the image, the box [top, left, height, width] and the pixels per class.
        """
        classes = len(self.classes)

        def squares(index: int) -> list[tuple[list[int], np.ndarray]]:
            mask = self.dataset.mask(index)
            boxes = [
                [top, left, high, wide]
                for top, high in cuts(len(mask), self.crop)
                for left, wide in cuts(mask.shape[1], self.crop)
            ]
            parts = [mask[top : top + high, left : left + wide].ravel() for top, left, high, wide in boxes]
            counts = [np.bincount(part, minlength=256)[[*range(classes), IGNORE]] for part in parts]
            return list(zip(boxes, counts, strict=True))

        images = in_threads(squares, len(self.dataset))
        return {
            "owner": np.repeat(np.arange(len(images)), [len(parts) for parts in images]),
            "box": np.array([box for parts in images for box, _ in parts]),
            "pixels": np.array([counts for parts in images for _, counts in parts]),
        }


def cuts(length: int, crop: int) -> list[tuple[int, int]]:
    """Return start and length of the squares along a side of the image."""
    if length <= crop:
        return [(0, length)]
    starts = [(start, crop) for start in range(0, length - crop + 1, crop)]
    return [*starts, (length - crop, crop)] if 2 * (length % crop) >= crop else starts
