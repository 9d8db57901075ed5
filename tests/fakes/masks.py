"""Small folders of images and masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image


def write(
    root: Path, name: str, mask: np.ndarray, mode: str = "L", image: str = "images", masks: str = "masks"
) -> np.ndarray:
    """An image whose red is the mask's value, and its mask."""
    for folder in (image, masks):
        (root / folder).mkdir(parents=True, exist_ok=True)
    picture = np.dstack([mask, np.full_like(mask, 7), np.zeros_like(mask)])
    Image.fromarray(picture).save(root / image / f"{name}.png")
    made = Image.fromarray(mask)
    if mode == "P":
        made.putpalette([value for k in range(256) for value in (k, 255 - k, 90)])
    made.save(root / masks / f"{name}.png")
    return picture


def stripes(*values: int, height: int = 4, width: int = 2) -> np.ndarray:
    """Columns of equal width, one for each value."""
    return np.repeat(np.repeat(np.array([values], np.uint8), width, axis=1), height, axis=0)


def tiles(root: Path, domains: int = 2, each: int = 9) -> None:
    for domain in range(domains):
        for k in range(each):
            write(root, f"tile{domain}_{k:03d}", stripes(0, 1, 2, 2 if domain else 1))
