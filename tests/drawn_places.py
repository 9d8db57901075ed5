"""Folders of images as a reader of the documents has them, drawn small: what stands for `/my/...`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("beach", "farmland", "forest", "harbor", "parking_lot", "river")
EACH = 24  # images of a class


def draw_places(folder: Path) -> dict[str, str]:
    """Draw images into folders, and return what stands for each word of the documents."""
    rng = np.random.default_rng(0)
    names = ("classes", "clients", "sentinel", "masks", "tiles")
    classes, clients, sentinel, masks, tiles = (folder / name for name in names)
    for number, name in enumerate(CLASSES):
        for place in range(EACH):
            save(classes / name / f"{place}.png", tile(rng, number))
    for client in range(4):
        for number, name in enumerate(CLASSES[:3]):
            for place in range(12):
                save(clients / f"office {client}" / name / f"{place}.png", tile(rng, number))
    if importlib.util.find_spec("rasterio"):
        draw_sentinel(sentinel, rng)
    draw_masks(masks, rng)
    for name in ("a.tif", "b.tif", "c.png"):
        save(tiles / name, tile(rng, 0))
    return {
        "IMAGES": str(tiles),
        "SHEET": str(folder / "sheet.png"),
        "/my/CLASS/folders": str(classes),
        "/my/CLIENT/CLASS/folders": str(clients),
        "/my/clients": str(clients),
        "/my/sentinel": str(sentinel),
        "/my/folder": str(masks),
        "tiles/": str(tiles),
        "a.tif": str(tiles / "a.tif"),
        "b.tif": str(tiles / "b.tif"),
        "classes.csv": str(folder / "classes.csv"),
        "model.pt": str(folder / "model.pt"),
    }


def filled(word: str, places: dict[str, str]) -> str:
    """A word of a command, `NAME` or `setting=NAME`, with the place that stands for the name."""
    setting, equals, name = word.rpartition("=")
    return f"{setting}{equals}{places.get(name, name)}"


def tile(rng: np.random.Generator, number: int, size: int = 32) -> np.ndarray:
    """A noisy square with the brightness of a class. [size, size, 3] uint8."""
    return rng.integers(30 * number, 30 * number + 60, (size, size, 3), dtype=np.uint8)


def save(file: Path, pixels: np.ndarray) -> None:
    """Write an image, and the folders that it needs."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def draw_sentinel(folder: Path, rng: np.random.Generator) -> None:
    """Four bands of 16 bits that do not say which are red, green and blue."""
    import rasterio
    from rasterio.transform import from_origin

    form = {"driver": "GTiff", "width": 32, "height": 32, "count": 4, "dtype": "uint16"}
    form |= {"photometric": "MINISBLACK", "transform": from_origin(0, 32, 1, 1)}
    for number, name in enumerate(CLASSES):
        (folder / name).mkdir(parents=True)
        for place in range(EACH):
            values = rng.integers(400 * number, 400 * number + 600, (4, 32, 32), dtype=np.uint16)
            with rasterio.open(folder / name / f"{place}.tif", "w", **form) as file:
                file.write(values)


def draw_masks(folder: Path, rng: np.random.Generator) -> None:
    """Images of 128 x 128 pixels of eight areas, and the classes 1 to 3 of their pixels."""
    for area in range(8):
        for part in range(6):
            mask = np.kron(rng.integers(1, 4, (4, 4), dtype=np.uint8), np.ones((32, 32), dtype=np.uint8))
            pixels = rng.integers(0, 60, (128, 128, 3), dtype=np.uint8) + 60 * mask[:, :, None]
            save(folder / "images" / f"area{area}_{part}.png", pixels.astype(np.uint8))
            save(folder / "masks" / f"area{area}_{part}.png", mask)
