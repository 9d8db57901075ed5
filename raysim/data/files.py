"""Image files and folders: finding, listing, reading and hashing them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from raysim.data.decode import read_image
from raysim.data.listing import EXTENSIONS, entries, is_folder, is_hidden, is_image, scan_classes
from raysim.data.unreadable import UnreadableImage, explain_os_error

__all__ = [
    "EXTENSIONS",
    "data_roots",
    "file_digest",
    "is_image",
    "list_images",
    "read_image",
    "shorten_list",
    "subfolders",
]


def data_roots() -> list[Path]:
    """Return the folders in `$RAYSIM_DATA`, in their order."""
    return [Path(part).expanduser() for part in os.environ.get("RAYSIM_DATA", "").split(os.pathsep) if part]


def subfolders(folder: Path) -> list[str]:
    """Return the sorted names of the subfolders without hidden ones; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return [entry.name for entry in entries(folder) if is_folder(entry) and not is_hidden(entry.name)]


def list_images(root: Path) -> dict[str, list[str]]:
    """Return the sorted names of the image files of each subfolder that has any, without hidden files."""
    return scan_classes(root)[0]


def file_digest(file: Path) -> bytes:
    """Return the SHA-256 of a file's bytes.

    Raises:
        UnreadableImage: The file cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise UnreadableImage(file, *explain_os_error(error)) from error


def shorten_list(items: list[str], most: int = 8) -> str:
    """Return the first items of a list as text, and the number of the others."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
