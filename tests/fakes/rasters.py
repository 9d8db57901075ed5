"""Image files as bytes: rasters by rasterio, common formats by Pillow."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def raster(values: np.ndarray, driver: str = "GTiff", **options: Any) -> bytes:
    """A raster [H, W] or [H, W, B] of this driver of GDAL."""
    import rasterio

    values = values[..., None] if values.ndim == 2 else values
    height, width, bands = values.shape
    with rasterio.MemoryFile() as file:
        shape = {"height": height, "width": width, "count": bands, "dtype": values.dtype}
        with file.open(driver=driver, **shape, **options) as target:
            target.write(np.moveaxis(values, -1, 0))
        return bytes(file.read())


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    """A file of Pillow."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(bands: int, low: int = 200, high: int = 3000, seed: int = 0, size: int = 24) -> np.ndarray:
    """Reflectances as a satellite has them. [size, size, bands] uint16."""
    return np.random.default_rng(seed).integers(low, high, (size, size, bands)).astype(np.uint16)


def colours(bands: int = 3, seed: int = 0, size: int = 24) -> np.ndarray:
    """A colourful picture. [size, size, bands] uint8."""
    return np.random.default_rng(seed).integers(0, 256, (size, size, bands)).astype(np.uint8)


def put(file: Path, content: bytes) -> Path:
    """Write a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file


def class_folders(root: Path, classes: tuple[str, ...] = ("beach", "forest"), each: int = 6) -> Path:
    """A folder of small PNG images, all of them different."""
    for label, words in enumerate(classes):
        for index in range(each):
            put(
                root / words / f"{index:03d}.png",
                saved(Image.fromarray(colours(seed=100 * label + index)), "PNG"),
            )
    return root
