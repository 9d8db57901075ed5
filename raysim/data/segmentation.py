"""Images with a class for every pixel: files of images and masks, any folder of them, and images cut into squares.

Shapes: N images, C pixel classes, H and W pixels.
"""

from __future__ import annotations

import hashlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.cache import cache_folder
from raysim.data.dataset import Dataset, DatasetInfo
from raysim.data.folder import file_digest, read_image, some
from raysim.data.masks import count_classes, domains_of, pair, read_classes, read_mask, survey
from raysim.data.memo import in_threads, remember, stamp
from raysim.data.splits import by_domain, split

FORBIDDEN = 254  # in the table from mask values to classes: a value that no mask may have
MOST_IGNORED = 0.9  # a square with a larger share of ignored pixels is dropped


class MaskedFiles(Dataset):
    """Images and masks in files, pair by pair. The first opening reads every mask; what it finds is kept in the cache folder.

    Attributes:
        images: N files.
        masks: N files of one band.
        pixels: [N, C + 1] int64, pixels of each class in each mask, last the ignored ones.
        labels: The class that most pixels have that are not ignored; 0 for an image of ignored pixels only,
            which has no split.
    """

    info: ClassVar[DatasetInfo]
    segments = True
    images: list[Path]
    masks: list[Path]
    pixels: np.ndarray

    def _adopt(self, table: np.ndarray) -> None:
        """Read what the masks hold, and set `pixels` and `labels`.

        Args:
            table: The class of each mask value, 255 = ignore, 254 = not allowed. [256] uint8

        Raises:
            UserError: A mask has a value that is not allowed, or is of another size than its image.
        """
        self._table = table
        values = survey(self.name, self.images, self.masks)
        if values[:, table == FORBIDDEN].any():
            index, value = np.argwhere(np.where(table == FORBIDDEN, values, 0))[0]
            raise self._refuse(int(index), int(value))
        self.pixels = np.stack(
            [values[:, table == k].sum(axis=1) for k in [*range(len(self.classes)), IGNORE]], axis=1
        )
        self.labels = self.pixels[:, :-1].argmax(axis=1)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over classes, domains, names and bytes of every image and mask, in hex; where the folder lies does not enter."""
        files = [*self.images, *self.masks]

        def read() -> dict[str, np.ndarray]:
            digests = in_threads(lambda index: file_digest(files[index]), len(files))
            return {"digests": np.frombuffer(b"".join(digests), np.uint8).reshape(len(files), -1)}

        known = remember(cache_folder(), f"{self.name}-content", {"version": 1, "files": stamp(files)}, read)
        total = hashlib.sha256("\0".join(self.classes).encode() + self._table.tobytes())
        for index, file in enumerate(self.images):
            total.update(f"{self.domains[self.attributes[index]]}/{file.stem}\0".encode())
            total.update(known["digests"][[index, len(self) + index]].tobytes())
        return total.hexdigest()

    def image(self, index: int) -> np.ndarray:
        """The image at `index`.

        Returns:
            [H, W, 3] uint8 RGB.
        """
        return read_image(self.images[index])

    def mask(self, index: int) -> np.ndarray:
        """The class of every pixel of the image at `index`.

        Returns:
            [H, W] uint8, 255 = ignore.
        """
        raw = read_mask(self.masks[index])
        found = self._table[raw]
        if (found == FORBIDDEN).any():
            raise self._refuse(index, int(raw[found == FORBIDDEN][0]))
        return found

    def parts(self, split_seed: int) -> np.ndarray | None:
        """Within each domain 64 / 16 / 20 %, of nine images 6, 1 and 2. [N] int8."""
        return by_domain(self, split_seed, np.flatnonzero(self.pixels[:, :-1].any(axis=1)))

    def _refuse(self, index: int, value: int) -> UserError:
        allowed = np.flatnonzero(self._table != FORBIDDEN)
        classes = allowed[self._table[allowed] != IGNORE]
        ignored = ", ".join(map(str, allowed[self._table[allowed] == IGNORE]))
        return UserError(
            f"{self.masks[index]}: mask value {value} is not allowed: it should be {classes[0]} to "
            f"{classes[-1]} for the "
            f"{len(self.classes)} classes ({some(list(self.classes))}), or {ignored} for pixels to ignore"
        )


class ImageMasks(MaskedFiles):
    """Any folder `images/` and `masks/` with equal names, e.g. `images/tile1_001.jpg` and `masks/tile1_001.png`.

    Masks are PNG or TIFF of one band (gray or palette). Line i of a file `classes.txt` beside the folders,
    from 0, names the class of mask value i; where it says `ignore`, pixels of that value are ignored. Without
    the file 0 is ignored and value k is "class k". 255 is always ignored. What a name has before its last `_`
    is the image's domain, where that groups the images.

    Args:
        path: The folder that holds `images` and `masks`.

    Raises:
        UserError: Files that do not fit together: naming the file and what is allowed.
    """

    info = DatasetInfo(
        name="image_masks",
        title="Any folder of images and masks",
        example="images/NAME.jpg, masks/NAME.png",
        terms="yours",
    )

    def __init__(self, path: str | None = None) -> None:
        if path is None:
            raise UserError(
                "dataset 'image_masks' needs a path: the folder that holds the folders 'images' and 'masks'"
            )
        root = Path(path).expanduser()
        self.name, self.templates = self.info.name, self.info.templates
        self.images, self.masks = pair(root / "images", root / "masks")
        self.domains, self.attributes = domains_of([file.stem for file in self.images])
        named = root / "classes.txt"
        words = (
            read_classes(named)
            if named.is_file()
            else count_classes(root, survey(self.name, self.images, self.masks))
        )
        self.classes = tuple(word for word in words if word)
        if len(self.classes) < 2:
            raise UserError(
                f"{named if named.is_file() else root}: segmentation needs at least 2 classes besides what "
                "is ignored"
            )
        table = np.full(256, FORBIDDEN, dtype=np.uint8)
        places = iter(range(len(self.classes)))
        table[: len(words)] = [next(places) if word else IGNORE for word in words]
        table[IGNORE] = IGNORE
        self._adopt(table)


class Cropped(Dataset):
    """A segmentation dataset whose images are cut into squares, without overlap from the top left corner.

    What is left at the right and the lower edge is dropped if it is less than half a square, else the last
    square is moved inwards. A side shorter than a square is kept whole. Squares of one image are of one
    split; those almost without classes are dropped.

    Args:
        dataset: Has masks.
        crop: Side of a square in pixels of the original images, at least 1.

    Raises:
        UserError: A dataset without masks, or nothing is left.
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
        found = remember(cache_folder(), f"{self.name}-crops-{crop}px", key, self._cut)
        kept = found["pixels"][:, -1] <= MOST_IGNORED * found["pixels"].sum(axis=1)
        if not kept.any():
            raise UserError(
                f"task.crop = {crop}: no square of '{self.name}' has at least {1 - MOST_IGNORED:.0%} of "
                "pixels with a class"
            )
        self.owner, self._box, self.pixels = found["owner"][kept], found["box"][kept], found["pixels"][kept]
        self.attributes, self.labels = dataset.attributes[self.owner], self.pixels[:, :-1].argmax(axis=1)
        self._image = lru_cache(maxsize=8)(dataset.image)  # neighbours are asked for one after the other
        self._mask = lru_cache(maxsize=8)(dataset.mask)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what is cut and how, in hex."""
        return hashlib.sha256(
            f"{self.dataset.fingerprint} in squares of {self.crop} with less than {MOST_IGNORED}".encode()
        ).hexdigest()

    def image(self, index: int) -> np.ndarray:
        """The square at `index`.

        Returns:
            [H, W, 3] uint8 RGB, each side at most the square's.
        """
        return self._part(self._image(int(self.owner[index])), index)

    def mask(self, index: int) -> np.ndarray:
        """The class of every pixel of the square at `index`.

        Returns:
            [H, W] uint8, 255 = ignore.
        """
        return self._part(self._mask(int(self.owner[index])), index)

    def foreground(self, index: int) -> np.ndarray | None:
        """Where the thing itself is, if the dataset knows. [H, W] bool."""
        whole = self.dataset.foreground(int(self.owner[index]))
        return None if whole is None else self._part(whole, index)

    def parts(self, split_seed: int) -> np.ndarray | None:
        """The split of the image that a square is cut from. [N] int8."""
        return split(self.dataset, split_seed)[self.owner]

    def _part(self, whole: np.ndarray, index: int) -> np.ndarray:
        top, left, high, wide = self._box[index]
        return whole[top : top + high, left : left + wide].copy()

    def _cut(self) -> dict[str, np.ndarray]:
        """Every square, before any is dropped: its image, its place [top, left, height, width] and its pixels per class."""
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

        found = in_threads(squares, len(self.dataset))
        return {
            "owner": np.repeat(np.arange(len(found)), [len(part) for part in found]),
            "box": np.array([box for part in found for box, _ in part]),
            "pixels": np.array([counts for part in found for _, counts in part]),
        }


def cuts(length: int, crop: int) -> list[tuple[int, int]]:
    """Start and length of the squares along a side of the image."""
    if length <= crop:
        return [(0, length)]
    starts = [(start, crop) for start in range(0, length - crop + 1, crop)]
    return [*starts, (length - crop, crop)] if 2 * (length % crop) >= crop else starts
