"""Mask files of segmentation datasets: pairing them with images, reading them, and counting their values.

Shapes: N images, C pixel classes, H and W pixels.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.decode import image_size, read_bytes, refuse_pages
from raysim.data.files import shorten_list
from raysim.data.listing import MOST_LOOKED_AT, OTHER, LeftOut, scan_folder
from raysim.data.memo import cache_folder, each_readable, remember, stamp
from raysim.data.raster import read_band
from raysim.data.reading import Refused
from raysim.data.tiff import unturned
from raysim.data.unreadable import UnreadableImage, explain_content, shown

EXTENSIONS = (".png", ".tif", ".tiff")  # lossless formats
CLASSES = "classes.txt"
MAX_CLASSES = 254  # mask values for classes are below this; 254 is reserved and 255 is ignored
MIN_DOMAIN_IMAGES = 3  # mean number of images per name prefix from which the prefixes are domains


def count_values(name: str, images: list[Path], masks: list[Path]) -> np.ndarray:
    """Open every mask and count the pixels of each value; the counts are kept in the cache folder.

    Returns:
        Pixels of each value. [N, 256] int64

    Raises:
        UserError: A mask cannot be read, has several bands, or has another size than its image.
    """

    def count(index: int) -> np.ndarray:
        mask = read_mask(masks[index])
        height, width = mask.shape
        size = image_size(images[index])
        if size != (width, height):
            raise UnreadableImage(
                masks[index],
                f"a mask of {width}x{height} pixels is not allowed: it should be {size[0]}x{size[1]} as its "
                f"image {shown(images[index])}",
                "draw or resize it for this image",
            )
        return np.bincount(mask.ravel(), minlength=256)

    key = {"version": 2, "files": stamp([*images, *masks])}
    return remember(
        cache_folder(),
        f"{name}-values",
        key,
        lambda: {"values": np.stack(each_readable(name, count, len(masks)))},
    )["values"]


def read_mask(file: Path) -> np.ndarray:
    """Read a mask: gray, palette colours (as their indices), or black and white (as 0 and 1).

    Returns:
        [H, W] uint8.

    Raises:
        UnreadableImage: The file is not readable, or its values are not class numbers.
    """
    content = read_bytes(file)
    try:
        mode, values = _stored_values(content)
    except Refused as refusal:
        raise UnreadableImage(file, refusal.reason, refusal.advice) from None
    except Exception as error:  # Pillow's decoders raise many types
        raise UnreadableImage(file, *explain_content(content, error)) from error
    if values.ndim != 2 or values.dtype.kind == "f":
        raise UnreadableImage(
            file,
            f"a mask of mode {mode} is not allowed: it should have one band of whole numbers, the class of "
            "each pixel",
            "replace each colour by the number of its class"
            if values.ndim == 3
            else "store it as whole numbers",
        )
    if values.min() < 0 or values.max() > IGNORE:
        wrong = values.min() if values.min() < 0 else values.max()
        raise UnreadableImage(
            file,
            f"mask value {wrong} is not allowed: it should be 0 to {IGNORE}",
            f"number the classes from 0, and write {IGNORE} where a pixel has none",
        )
    return values.astype(np.uint8)


def _stored_values(content: bytes) -> tuple[str, np.ndarray]:
    """Return the mode of a mask and its values as the file has them.

    Pillow spreads gray of 2 and 4 bits over 0 to 255, and turns it over where a TIFF says that white is zero.
    """
    directories = refuse_pages(content)
    if directories and (directories[0].sparse or directories[0].compression):
        return "raster", read_band(content)
    try:
        with Image.open(io.BytesIO(unturned(content))) as image:
            mode, raw = image.mode, str(image.tile[0][3]) if image.tile else ""
            values = np.asarray(image)
    except UnidentifiedImageError:
        if not directories:
            raise
        return "raster", read_band(content)
    if mode in ("1", "L") and directories and directories[0].white_is_zero:
        values = ~values
    packed = re.search(r"\bL;([24])", raw)
    return mode, values // (255 // (2 ** int(packed[1]) - 1)) if packed else values


def pair(images: Path, masks: Path, left_out: LeftOut | None = None) -> tuple[list[Path], list[Path]]:
    """Return the sorted image files of a folder and for each its mask, the file of the same name.

    Args:
        images: Folder of the images.
        masks: Folder of the masks.
        left_out: Record of what is not taken.

    Raises:
        UserError: A folder is missing or empty, or images and masks do not pair up.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise UserError(
                f"no folder {folder}: expected {images.name}/NAME.jpg|png|tif|webp and "
                f"{masks.name}/NAME.png in {images.parent}"
            )
    left_out = LeftOut() if left_out is None else left_out
    image_files, mask_files = _listed(images, left_out), _listed(masks, left_out)
    lossy = [file for file in mask_files if file.suffix.lower() not in EXTENSIONS]
    if lossy:
        raise UserError(
            f"{lossy[0]}: a mask of this format is not allowed: it should be {' or '.join(EXTENSIONS)}, "
            "which keep values"
        )
    for files in (image_files, mask_files):
        stems = Counter(_stem(file) for file in files)
        equal = [file for file in files if stems[_stem(file)] > 1]
        if equal:
            raise UserError(
                f"{equal[0].parent}: {' and '.join(file.name for file in equal[:2])} have the same name; "
                "keep one"
            )
    by_stem = {_stem(file): file for file in mask_files}
    alone = [file.name for file in image_files if _stem(file) not in by_stem]
    image_stems = {_stem(file) for file in image_files}
    unmatched = sorted(file.name for stem, file in by_stem.items() if stem not in image_stems)
    if alone or not image_files:
        problem = f"no mask for {shorten_list(alone)}" if alone else f"no images in {images}"
        others = f" (masks without an image: {shorten_list(unmatched, 3)})" if unmatched else ""
        raise UserError(
            f"{images.parent}: {problem}{others}; expected {masks}/NAME.png for every "
            f"{images}/NAME.jpg|png|tif|webp"
        )
    if unmatched:
        raise UserError(
            f"{images.parent}: no image for {masks.name}/{shorten_list(unmatched)}; expected "
            f"{images}/NAME.jpg|png|tif|webp for every mask"
        )
    return image_files, [by_stem[_stem(file)] for file in image_files]


def _stem(file: Path) -> str:
    """Return a file's name without its ending, in one form of Unicode: copies by a Mac have another."""
    return unicodedata.normalize("NFC", file.stem)


def name_values(root: Path, counts: Callable[[], np.ndarray]) -> list[str]:
    """Return the names of the mask values: place i names value i, "" stands for an ignored value.

    Args:
        root: Folder of `images` and `masks`. A file `classes.txt` beside them has the names, or one in
            `masks`; without either value 0 is ignored and the others are numbered up to the largest one.
        counts: Called where there is no file: pixels of each value in each mask. [N, 256]

    Raises:
        UserError: The file is wrong, or the values are not class numbers.
    """
    for file in (root / CLASSES, root / "masks" / CLASSES):
        if file.is_file():
            return _read_classes(file)
    return _number_classes(root, counts())


def write_classes(folder: Path, classes: Sequence[str]) -> None:
    """Write the names of mask values into the folder of the masks, for `name_values`.

    Raises:
        UserError: A file there names other values.
    """
    file, text = folder / CLASSES, "".join(f"{name}\n" for name in classes).encode()
    if file.is_file() and file.read_bytes() != text:
        raise UserError(
            f"{file} is there already and names other classes than {shorten_list(list(classes))}; choose "
            "another folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text)


def _read_classes(file: Path) -> list[str]:
    """Read the names of the mask values.

    Raises:
        UserError: A line is empty, two are equal, or there are fewer or more than masks can have.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{file} cannot be read ({error}): it should be text, one class name per line"
        ) from error
    words = ["" if line.lower().startswith("ignore") else line for line in lines]
    named = [word for word in words if word]
    if "" in lines:
        raise UserError(
            f"{file}: line {lines.index('') + 1} is empty; write the name of mask value {lines.index('')}, "
            "or ignore"
        )
    if len(set(named)) < len(named):
        raise UserError(
            f"{file}: '{max(named, key=named.count)}' is there twice; every class needs its own name"
        )
    if len(named) < 2:
        raise UserError(f"{file}: segmentation needs at least 2 classes besides ignored pixels")
    if len(words) > MAX_CLASSES:
        raise UserError(f"{file}: {len(words)} lines are not allowed: it should be at most {MAX_CLASSES}")
    return words


def _number_classes(root: Path, counts: np.ndarray) -> list[str]:
    """Return names where there is no file: value 0 is ignored, the others are numbered up to the largest.

    Args:
        root: The dataset's folder, for messages.
        counts: Pixels of each value in each mask. [N, 256]

    Raises:
        UserError: The values are not class numbers.
    """
    values = np.flatnonzero(counts[:, 1:IGNORE].any(axis=0)) + 1
    # a part of a data set may lack some classes; gray levels such as 60, 120, 180 are no numbers of classes
    if len(values) < 2 or values[-1] >= MAX_CLASSES or values[-1] > 2 * len(values):
        present = ", ".join(map(str, np.flatnonzero(counts.any(axis=0))[:12]))
        raise UserError(
            f"{root}: the masks have the values {present}; without a file {root / CLASSES} (line i "
            "names value i) they should be 0 for pixels to ignore and 1 to C for at least 2 classes, "
            f"C < {MAX_CLASSES}, at least half of them there"
        )
    return ["", *(f"class {value}" for value in range(1, values[-1] + 1))]


def domains_of(stems: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the domains of files: the part of the name before the last `_`, or one domain for all.

    The parts are domains where there are at least two and they group the files.

    Args:
        stems: Names without extension. N

    Returns:
        Names of D domains, and the domain of each file. [N] int64
    """
    groups = [stem.rpartition("_")[0] for stem in stems]
    names = tuple(sorted(set(groups)))
    if "" in names or not 2 <= len(names) <= len(stems) / MIN_DOMAIN_IMAGES:
        return ("all",), np.zeros(len(stems), dtype=np.int64)
    return names, np.array([names.index(group) for group in groups], dtype=np.int64)


def _listed(folder: Path, left_out: LeftOut) -> list[Path]:
    """Return the image files of a folder, sorted, and count what else it holds."""
    others = LeftOut()
    names = scan_folder(folder, folder.name, others, [MOST_LOOKED_AT])
    if (folder / CLASSES).is_file():
        others.take_back(OTHER, Path(CLASSES).suffix)  # it is read
    left_out.merge(others)
    return [folder / name for name in names]
