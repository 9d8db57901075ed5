"""Masks of whole images: an image is cut and resized as in training, and the classes are put back in place.

Shapes: H and W pixels of an image, S pixels a side of what the network sees, C classes.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data.reading import Reading
from raysim.data.segmentation import cuts
from raysim.data.unreadable import shown
from raysim.data.views import view_box
from raysim.prediction.images import GivenImages

Predict = Callable[[GivenImages], np.ndarray]  # classes [n, S, S] of n images


def mask_of(image: np.ndarray, crop: int | None, size: int, predict: Predict) -> np.ndarray:
    """Return the class of each pixel of an image, 255 where the network does not look.

    Args:
        image: [H, W, 3] uint8.
        crop: Side of the squares into which the run cut its images; None: whole images, of which the network
            sees the square in the middle.
        size: Side S of what the network sees.
        predict: The classes of the parts.

    Returns:
        [H, W] uint8.
    """
    height, width = image.shape[:2]
    boxes = [
        (top, left, high, wide) for top, high in _cuts(height, crop) for left, wide in _cuts(width, crop)
    ]
    parts = [image[top : top + high, left : left + wide] for top, left, high, wide in boxes]
    mask = np.full((height, width), IGNORE, dtype=np.uint8)
    for (top, left, high, wide), classes in zip(boxes, predict(GivenImages(parts, Reading())), strict=True):
        place = mask[top : top + high, left : left + wide]
        put_back = _put_back(classes.astype(np.uint8), high, wide, size)
        place[put_back != IGNORE] = put_back[put_back != IGNORE]
    return mask


def _cuts(length: int, crop: int | None) -> list[tuple[int, int]]:
    """Return start and length of the parts along a side; the rest that training drops is a part too."""
    if crop is None:
        return [(0, length)]
    parts = cuts(length, crop)
    end = parts[-1][0] + parts[-1][1]
    return parts if end == length else [*parts, (length - crop, crop)]


def _put_back(classes_SS: np.ndarray, height: int, width: int, size: int) -> np.ndarray:
    """Return the classes at the size of the part that they were resized from: the reverse of `resize`."""
    wide, high, left, top = view_box(height, width, size)
    canvas = np.full((high, wide), IGNORE, dtype=np.uint8)
    canvas[top : top + size, left : left + size] = classes_SS
    return np.asarray(Image.fromarray(canvas).resize((width, height), Image.Resampling.NEAREST))


def mask_paths(sources: Sequence[Path | np.ndarray], folder: Path) -> list[Path]:
    """Return a file in `folder` for the mask of each image: its path below the images' common folder, as PNG.

    Images that differ in their ending only keep it: `a.jpg.png` and `a.tif.png`. Arrays are `image-0.png` and
    so on.

    Raises:
        UserError: A mask would be written over one of the images.
    """
    files = [
        # without "..", which would lead out of the folder
        Path(os.path.abspath(source if isinstance(source, Path) else f"image-{place}"))
        for place, source in enumerate(sources)
    ]
    common = Path(os.path.commonpath([file.parent for file in files]))
    relative = [file.relative_to(common) for file in files]
    stems = [str(path.with_suffix("")).lower() for path in relative]
    number = Counter(stems)
    paths = [
        folder / (path.with_suffix(".png") if number[stem] == 1 else path.with_name(f"{path.name}.png"))
        for path, stem in zip(relative, stems, strict=True)
    ]
    images = {_place(source) for source in sources if isinstance(source, Path) and source.exists()}
    for path in paths:
        if path.exists() and _place(path) in images:
            raise UserError(
                f"masks in {shown(folder)} are not allowed: {shown(path)} would be written over an image "
                "that is given; choose another folder"
            )
    return paths


def _place(file: Path) -> tuple[int, int]:
    """Return what is the same for all names of a file: links, and letters of another case."""
    stat = file.stat()
    return stat.st_dev, stat.st_ino


def write_mask(mask: np.ndarray, path: Path) -> None:
    """Write a mask as a PNG whose values are class numbers; a palette gives each class a colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask)
    picture.putpalette(_palette())
    picture.save(path)


def _palette() -> list[int]:
    """Return 256 colours: hues a golden angle apart, black for pixels without a class."""
    import colorsys

    colours = [colorsys.hsv_to_rgb(k * 0.618034 % 1, 0.75, 0.95 - 0.3 * (k % 3 == 2)) for k in range(IGNORE)]
    return [round(255 * value) for colour in [*colours, (0.0, 0.0, 0.0)] for value in colour]
