"""Image files and folders: finding, listing, reading and hashing them.

Shapes: H and W pixels of an image.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
from PIL import Image

from raysim.core.errors import UserError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})


def data_roots() -> list[Path]:
    """Return the folders in `$RAYSIM_DATA`, in their order."""
    return [Path(part).expanduser() for part in os.environ.get("RAYSIM_DATA", "").split(os.pathsep) if part]


def subfolders(folder: Path) -> list[str]:
    """Return the sorted names of the subfolders without hidden ones; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )


def list_images(root: Path) -> dict[str, list[str]]:
    """Return the sorted names of the image files of each subfolder that has any, without hidden files."""
    listing = {}
    for folder in subfolders(root):
        names = [entry.name for entry in os.scandir(root / folder) if is_image(entry)]
        if names:
            listing[folder] = sorted(names)
    return listing


def is_image(entry: os.DirEntry[str]) -> bool:
    """Return whether this is a file with the extension of an image, and not hidden."""
    return (
        not entry.name.startswith(".")
        and os.path.splitext(entry.name)[1].lower() in EXTENSIONS
        and entry.is_file()
    )


def read_image(file: Path) -> np.ndarray:
    """Read an image of any common format as RGB.

    Transparent pixels become black, the colour of missing data. Gray images of more than 8 bits are stretched
    from their 0.5 to their 99.5 percentile, because the ranges of sensors differ and are not in the file.

    Returns:
        [H, W, 3] uint8 RGB.

    Raises:
        UserError: The file is not a readable image.
    """
    try:
        with Image.open(file) as image:
            if image.mode in ("I", "F") or image.mode.startswith("I;"):
                return np.repeat(_stretch(np.asarray(image, dtype=np.float64))[:, :, None], 3, axis=2)
            if image.has_transparency_data:
                black = Image.new("RGBA", image.size, (0, 0, 0, 255))
                return np.array(Image.alpha_composite(black, image.convert("RGBA")).convert("RGB"))
            return np.array(image.convert("RGB"))
    except Exception as error:  # Pillow's decoders raise many types
        raise UserError(
            f"cannot read the image {file} ({error}); it is damaged or not an image: download it again"
        ) from error


def _stretch(values: np.ndarray) -> np.ndarray:
    """Scale values from their 0.5 to their 99.5 percentile to 0 .. 255."""
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = np.percentile(values, [0.5, 99.5])
    return np.round(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def file_digest(file: Path) -> bytes:
    """Return the SHA-256 of a file's bytes.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise UserError(f"cannot read {file} ({error.strerror})") from error


def shorten_list(items: list[str], most: int = 8) -> str:
    """Return the first items of a list as text, and the number of the others."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
