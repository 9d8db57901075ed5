"""Views: the square images that a network receives, cut from a raw image plainly or at random.

Shapes: H and W pixels of a raw image, S pixels a side of a view.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

VIEWS_VERSION = 1  # increase it when `random_view` or `resize` changes


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Resize the shorter side to `size` (bicubic) and return the centre square.

    Args:
        image: [H, W, 3] uint8.
        size: Side S in pixels.

    Returns:
        [S, S, 3] uint8.
    """
    return _centre_square(image, size, Image.Resampling.BICUBIC)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """Return the part of a mask that `resize` takes of its image, by nearest neighbour so that values stay.

    Args:
        mask: [H, W] uint8.
        size: Side S in pixels.

    Returns:
        [S, S] uint8.
    """
    return _centre_square(mask, size, Image.Resampling.NEAREST)


def _centre_square(image: np.ndarray, size: int, resampling: Image.Resampling) -> np.ndarray:
    """Resize the shorter side to `size` and return the centre square."""
    height, width = image.shape[:2]
    wide, high, left, top = view_box(height, width, size)
    resized = Image.fromarray(image).resize((wide, high), resampling)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def view_box(height: int, width: int, size: int) -> tuple[int, int, int, int]:
    """Return width and height of an image after resizing, and left and top of the square that is taken."""
    scale = size / min(height, width)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    return wide, high, (wide - size) // 2, (high - size) // 2


def random_view(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Return a random crop, resized to a square (bicubic) and mirrored with probability 1/2.

    The crop has half to all of the area and an aspect ratio of 3:4 to 4:3.

    Args:
        image: [H, W, 3] uint8.
        size: Side S in pixels.
        rng: Generator of area, aspect ratio, place and mirroring.

    Returns:
        [S, S, 3] uint8.
    """
    height, width = image.shape[:2]
    area, aspect, down, right, mirror = rng.random(5)
    side = np.sqrt((0.5 + 0.5 * area) * height * width)
    stretch = np.exp((aspect - 0.5) * np.log(4 / 3))  # square root of the aspect ratio
    wide, high = min(width, max(1, round(side * stretch))), min(height, max(1, round(side / stretch)))
    left, top = int(right * (width - wide + 1)), int(down * (height - high + 1))
    crop = Image.fromarray(image).resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high)
    )
    return np.asarray(crop)[:, ::-1] if mirror < 0.5 else np.asarray(crop)


def probe_picture() -> np.ndarray:
    """Return a fixed picture [37, 53, 3] uint8; its view stands for the transform in the key of a cache."""
    rows = np.add.outer(np.arange(37) ** 2, np.arange(53))
    return (rows[:, :, None] * np.array([3, 5, 7]) % 256).astype(np.uint8)
