"""Datasets that are folders of images, one folder per class: finding them, checking them, reading them.

Shapes: N images, H and W pixels.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset, DatasetInfo, plain

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"})


class ClassFolders(Dataset):
    """A known archive, unpacked: `CLASS/*.{jpg,jpeg,png,tif,tiff,webp}`, directly or where the archive's own layout has it.

    A subclass names the archive in `info`; every class must be there with its known number of images.

    Args:
        path: The dataset's folder, or a folder that holds it; None looks for `<name>` in every folder of
            `$RAYSIM_DATA`.

    Raises:
        UserError: Nothing was found, or what was found is not the complete dataset.
    """

    info: ClassVar[DatasetInfo]

    def __init__(self, path: str | None = None) -> None:
        self.name = self.info.name
        self.templates = self.info.templates
        self.root = find_root(self.info, path)
        if self.root is None:
            raise UserError(_missing(self.info, path))
        self.files, folders = self._read_folders(self.root)
        self.labels = np.array(
            [self.classes.index(folders[file.parent.name]) for file in self.files], dtype=np.int64
        )
        self.domains, self.attributes = self._read_domains(self.files)

    def _read_folders(self, root: Path) -> tuple[list[Path], dict[str, str]]:
        """The images in their order, and the class of each folder; also sets `classes`."""
        self.classes = self.info.classes
        listing = list_images(root)
        _check_complete(self.info, root, listing)
        folders = {folder: self.info.class_of(folder) or folder for folder in listing}
        order = sorted(listing, key=lambda folder: self.classes.index(folders[folder]))
        return [root / folder / name for folder in order for name in listing[folder]], folders

    def _read_domains(self, files: list[Path]) -> tuple[tuple[str, ...], np.ndarray]:
        """The names of the domains and the domain of each image."""
        return ("all",), np.zeros(len(files), dtype=np.int64)

    @classmethod
    def find(cls) -> Path | None:
        """The folder of its class folders under `$RAYSIM_DATA`, or None."""
        return find_root(cls.info)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over class, file name and bytes of every image, in hex; where the folders lie and how they are named does not enter."""
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            digests = list(pool.map(file_digest, self.files))
        total = hashlib.sha256()
        for file, label, digest in zip(self.files, self.labels, digests, strict=True):
            total.update(f"{self.classes[label]}/{file.name}\0".encode() + digest)
        return total.hexdigest()

    def image(self, index: int) -> np.ndarray:
        """The image at `index`.

        Returns:
            [H, W, 3] uint8 RGB.

        Raises:
            UserError: The file is not a readable image.
        """
        return read_image(self.files[index])


class Folder(ClassFolders):
    """Any class-folder tree, taken as it is: each folder with images is a class, and its name gives the class words."""

    info = DatasetInfo(
        name="folder", title="Any folder of class folders", example="CLASS/IMAGE.png", terms="your own"
    )

    def _read_folders(self, root: Path) -> tuple[list[Path], dict[str, str]]:
        listing = list_images(root)
        folders = {folder: class_words(folder) for folder in listing}
        if len(set(folders.values())) < len(folders):
            twice = sorted(folder for folder in folders if list(folders.values()).count(folders[folder]) > 1)
            raise UserError(
                f"{root}: the folders {', '.join(twice)} stand for the same class; rename or merge them"
            )
        if len(folders) < 2:
            raise UserError(
                f"{root}: found {len(folders)} folders with images, expected at least 2 class folders "
                "CLASS/*.jpg|png|tif|webp "
                f"(folders here: {some(subfolders(root)) or 'none'})"
            )
        self.classes = tuple(sorted(folders.values()))
        order = sorted(listing, key=lambda folder: folders[folder])
        return [root / folder / name for folder in order for name in listing[folder]], folders


def class_words(folder: str) -> str:
    """A folder's name as words: `"DenseResidential"`, `"dense_residential"` and `"Dense-residential"` are dense residential."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", folder)
    return " ".join(re.split(r"[\W_]+", spaced)).strip().lower()


def find_root(info: DatasetInfo, path: str | None = None) -> Path | None:
    """The folder that holds the class folders, or None.

    Of several candidates the one with the most known class folders is taken, the first among equals.
    """
    if info.name == "folder":
        if path is None:
            raise UserError(
                "dataset 'folder' needs a path: the folder that holds one folder of images per class"
            )
        return Path(path).expanduser() if Path(path).expanduser().is_dir() else None
    best, most = None, 0
    for folder in candidates(info, path):
        for layout in (*info.layouts, "."):
            known = sum(info.class_of(name) is not None for name in subfolders(folder / layout))
            if known > most:
                best, most = (folder / layout).resolve(), known
    return best


def data_roots() -> list[Path]:
    """The folders in `$RAYSIM_DATA`, in their order."""
    return [Path(part).expanduser() for part in os.environ.get("RAYSIM_DATA", "").split(os.pathsep) if part]


def list_images(root: Path) -> dict[str, list[str]]:
    """Sorted names of image files per folder below `root`; hidden files and folders without images are left out."""
    listing = {}
    for folder in subfolders(root):
        names = [entry.name for entry in os.scandir(root / folder) if is_image(entry)]
        if names:
            listing[folder] = sorted(names)
    return listing


def read_image(file: Path) -> np.ndarray:
    """Read an image of any common kind.

    Gray becomes RGB; transparent pixels become black, the colour of no data; gray images of more than 8 bits
    are stretched from their 0.5 to their 99.5 percentile, because their sensors' ranges differ and are not
    written in the file.

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
    except Exception as error:  # Pillow's decoders raise many kinds
        raise UserError(
            f"cannot read the image {file} ({error}); it is damaged or no image: fetch it again"
        ) from error


def _stretch(values: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(values, posinf=0.0, neginf=0.0)
    low, high = np.percentile(values, [0.5, 99.5])
    return np.round(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def is_image(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file that is named like an image and not hidden."""
    return (
        not entry.name.startswith(".")
        and os.path.splitext(entry.name)[1].lower() in EXTENSIONS
        and entry.is_file()
    )


def file_digest(file: Path) -> bytes:
    """SHA-256 of a file's bytes.

    Raises:
        UserError: It cannot be read.
    """
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").digest()
    except OSError as error:
        raise UserError(f"cannot read {file} ({error.strerror})") from error


def subfolders(folder: Path) -> list[str]:
    """Sorted names of the folders in it, hidden ones left out; none where it is no folder."""
    if not folder.is_dir():
        return []
    return sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith((".", "__"))
    )


def candidates(info: DatasetInfo, path: str | None) -> list[Path]:
    """Where a dataset's own folder may be: the path and what is named like the dataset in it, or in every folder of `$RAYSIM_DATA`."""
    roots = data_roots() if path is None else [Path(path).expanduser()]
    wanted = [plain(name) for name in (info.name, *info.aliases)]
    found = [
        root / name
        for root in roots
        for name in sorted(subfolders(root), key=lambda n: n != info.name)
        if plain(name) in wanted
    ]
    return found if path is None else [*roots, *found]


def _check_complete(info: DatasetInfo, root: Path, listing: Mapping[str, list[str]]) -> None:
    homes: dict[str | None, list[str]] = {}
    for folder in listing:
        homes.setdefault(info.class_of(folder), []).append(folder)
    unexpected = homes.pop(None, [])
    counts = {str(words): sum(len(listing[folder]) for folder in folders) for words, folders in homes.items()}
    parts = {
        "class folders missing or empty": [words for words in info.classes if words not in homes],
        "unexpected folders": unexpected,
        "folders for the same class": [
            " and ".join(folders) for folders in homes.values() if len(folders) > 1
        ],
        "wrong numbers of images": [
            f"{words} {counts[words]} (expected {expected})"
            for words, expected in info.counts.items()
            if counts.get(words, expected) != expected
        ],
    }
    problems = "; ".join(f"{what}: {some(items)}" for what, items in parts.items() if items)
    if problems:
        raise UserError(
            f"{info.title} in {root} is not the complete dataset: {problems}. Expected {len(info.classes)} "
            f"classes and {info.images} "
            f"images, found {len(homes)} and {sum(counts.values())}. Unpack {info.archive} again (from "
            f"{info.page}), or take the "
            f"folder as it is: dataset 'folder' with the path {root}"
        )


def _missing(info: DatasetInfo, path: str | None) -> str:
    if info.name == "folder":
        return (
            f"dataset 'folder': {path} is no folder; give the folder that holds one folder of images "
            "per class"
        )
    roots = data_roots() if path is None else [Path(path).expanduser()]
    places = [root / info.name for root in roots] if path is None else roots
    looked = (
        "; ".join(_what_is_there(info, place) for place in places)
        or "RAYSIM_DATA is not set and no path was given"
    )
    also = f" (or under the name {' or '.join(info.aliases)})" if info.aliases else ""
    packed = [root / info.archive for root in roots if (root / info.archive).is_file()]
    get = (
        f"unpack {packed[0]}"
        if packed
        else f"get {info.archive} ({info.size}) from {info.page} and unpack it"
    )
    home, data = (places[0], roots[0]) if places else (Path("/DATA") / info.name, Path("/DATA"))
    return (
        f"{info.title} ('{info.name}') was not found: {looked}{also}. Expected there: {info.example}, or "
        "CLASS/*.jpg|png|tif|webp, one "
        f"folder for each of {len(info.classes)} classes ({some(list(info.classes))}). To mend it: {get} "
        f"to {home}" + (f", with RAYSIM_DATA={data}" if path is None else "")
    )


def _what_is_there(info: DatasetInfo, place: Path) -> str:
    if not place.is_dir():
        return f"no folder {place}"
    return f"{place} has no class folder (it holds {some(sorted(os.listdir(place))) or 'nothing'})"


def some(items: list[str], most: int = 8) -> str:
    """The first few of a list, and how many more there are."""
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")
