"""The files of segmentation: pairing images with masks, reading masks, and what they hold.

Shapes: N images, C pixel classes, H and W pixels.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.cache import cache_folder
from raysim.data.folder import is_image, some
from raysim.data.memo import in_threads, remember, stamp

EXTENSIONS = (".png", ".tif", ".tiff")  # without loss
MOST_VALUES = 254  # mask values that may stand for classes; 254 is kept free and 255 ignored
FEWEST = 3  # images that the first part of a name must have on average to be a domain


def survey(name: str, images: list[Path], masks: list[Path]) -> np.ndarray:
    """Open every mask: how many pixels have which value.

    Returns:
        [N, 256] int64.

    Raises:
        UserError: A mask that cannot be read, has several bands, or is of another size than its image.
    """

    def look(index: int) -> np.ndarray:
        mask = read_mask(masks[index])
        height, width = mask.shape
        try:
            with Image.open(images[index]) as image:
                size = image.size
        except Exception as error:  # Pillow's decoders raise many kinds
            raise UserError(
                f"cannot read the image {images[index]} ({error}); it is damaged or no image: fetch it again"
            ) from error
        if size != (width, height):
            raise UserError(
                f"{masks[index]}: a mask of {width}x{height} pixels is not allowed: it should be "
                f"{size[0]}x{size[1]} as its image "
                f"{images[index]}"
            )
        return np.bincount(mask.ravel(), minlength=256)

    key = {"version": 1, "files": stamp([*images, *masks])}
    return remember(
        cache_folder(), f"{name}-values", key, lambda: {"values": np.stack(in_threads(look, len(masks)))}
    )["values"]


def read_mask(file: Path) -> np.ndarray:
    """Read a mask: gray, of palette colours (their indices count), or black and white (0 and 1).

    Returns:
        [H, W] uint8.

    Raises:
        UserError: The file is not readable, or its values are no class numbers.
    """
    try:
        with Image.open(file) as image:
            mode, values = image.mode, np.asarray(image)
    except Exception as error:  # Pillow's decoders raise many kinds
        raise UserError(
            f"cannot read the mask {file} ({error}); it is damaged or no image: fetch it again"
        ) from error
    if values.ndim != 2 or mode == "F":
        raise UserError(
            f"{file}: a mask of mode {mode} is not allowed: it should have one band of whole numbers, the "
            "class of each pixel"
        )
    if values.min() < 0 or values.max() > IGNORE:
        raise UserError(
            f"{file}: mask value {max(values.max(), values.min(), key=abs)} is not allowed: it should be 0 "
            f"to {IGNORE}"
        )
    return values.astype(np.uint8)


def pair(images: Path, masks: Path) -> tuple[list[Path], list[Path]]:
    """The image files of a folder, sorted, and for each its mask: the file of the same name, whatever the extension.

    Raises:
        UserError: A folder is missing or empty, or images and masks do not pair up.
    """
    for folder in (images, masks):
        if not folder.is_dir():
            raise UserError(
                f"no folder {folder}: expected {images.name}/NAME.jpg|png|tif|webp and "
                f"{masks.name}/NAME.png in {images.parent}"
            )
    files, found = _listed(images), _listed(masks)
    lossy = [file for file in found if file.suffix.lower() not in EXTENSIONS]
    if lossy:
        raise UserError(
            f"{lossy[0]}: a mask of this format is not allowed: it should be {' or '.join(EXTENSIONS)}, "
            "which keep values"
        )
    for side in (files, found):
        stems = [file.stem for file in side]
        twice = [file for file in side if stems.count(file.stem) > 1] if len(set(stems)) < len(stems) else []
        if twice:
            raise UserError(
                f"{twice[0].parent}: {' and '.join(file.name for file in twice[:2])} have the same name; "
                "keep one"
            )
    by_stem = {file.stem: file for file in found}
    alone = [file.name for file in files if file.stem not in by_stem]
    if alone or not files:
        what = f"no mask for {some(alone)}" if alone else f"no images in {images}"
        raise UserError(
            f"{images.parent}: {what}; expected {masks}/NAME.png for every {images}/NAME.jpg|png|tif|webp"
        )
    stray = sorted(file.name for stem, file in by_stem.items() if stem not in {file.stem for file in files})
    if stray:
        raise UserError(
            f"{images.parent}: no image for {masks.name}/{some(stray)}; expected "
            f"{images}/NAME.jpg|png|tif|webp for every mask"
        )
    return files, [by_stem[file.stem] for file in files]


def read_classes(file: Path) -> list[str]:
    """Line i of the file is the name of mask value i; "" for those that are ignored.

    Raises:
        UserError: A line is empty, two are equal, or there are more than masks can hold.
    """
    try:
        lines = [line.strip() for line in file.read_text().rstrip().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}): it should be text, a class name a line") from error
    words = ["" if line.lower().startswith("ignore") else line for line in lines]
    named = [word for word in words if word]
    if "" in lines:
        raise UserError(
            f"{file}: line {lines.index('') + 1} is empty; write the name of mask value {lines.index('')}, "
            "or ignore"
        )
    if len(set(named)) < len(named):
        raise UserError(
            f"{file}: '{max(named, key=named.count)}' stands there twice; every class needs a name of its own"
        )
    if len(words) > MOST_VALUES:
        raise UserError(f"{file}: {len(words)} lines are not allowed: it should be at most {MOST_VALUES}")
    return words


def count_classes(root: Path, values: np.ndarray) -> list[str]:
    """As `read_classes`, where nobody named the classes: 0 is ignored, the others are numbered up to the largest value.

    Args:
        root: The dataset's folder, for messages.
        values: Pixels of each value in each mask. [N, 256]

    Raises:
        UserError: The values are no numbers of classes.
    """
    found = np.flatnonzero(values[:, 1:IGNORE].any(axis=0)) + 1
    if len(found) < 2 or found[-1] >= MOST_VALUES:
        held = ", ".join(map(str, np.flatnonzero(values.any(axis=0))[:12]))
        raise UserError(
            f"{root}: the masks hold the values {held}; without a file {root / 'classes.txt'} (line i "
            "names value i) they should be 0 for "
            f"pixels to ignore and 1 to C for at least 2 classes, C < {MOST_VALUES}"
        )
    return ["", *(f"class {value}" for value in range(1, found[-1] + 1))]


def domains_of(stems: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Domains from what names have before their last `_`, where at least two of those group the files; else one for all.

    Returns:
        Names of D domains, and the domain of each file. [N] int64
    """
    groups = [stem.rpartition("_")[0] for stem in stems]
    names = tuple(sorted(set(groups)))
    if "" in names or not 2 <= len(names) <= len(stems) / FEWEST:
        return ("all",), np.zeros(len(stems), dtype=np.int64)
    return names, np.array([names.index(group) for group in groups], dtype=np.int64)


def _listed(folder: Path) -> list[Path]:
    return sorted(Path(entry.path) for entry in os.scandir(folder) if is_image(entry))
