"""Datasets of one folder of images per class: finding, checking and reading them.

Shapes: N images, H and W pixels.
"""

from __future__ import annotations

import copy
import hashlib
import os
import re
import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset, DatasetInfo, comparable_name, with_settings
from raysim.data.decode import read_picture
from raysim.data.files import data_roots, file_digest, shorten_list, subfolders
from raysim.data.image_names import is_word_character
from raysim.data.listing import DEEPER, LeftOut, scan_classes
from raysim.data.memo import each_readable, folder_stamp
from raysim.data.reading import Picture, Reading
from raysim.data.unreadable import shown


class ClassFolders(Dataset):
    """Unpacked archive of class folders: `CLASS/*.{jpg,png,tif,webp,bmp,gif,jp2}`, also in its own layout.

    A subclass describes the archive in `info`; every class must have its known number of images.

    Args:
        path: The dataset's folder, or a folder that contains it; None searches `<name>` in every folder of
            `$RAYSIM_DATA`.

    Raises:
        UserError: The dataset was not found, or is not complete.
    """

    info: ClassVar[DatasetInfo]
    depth: ClassVar[int] = 1  # folders above an image, in the dataset's folder

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
        """Set `classes`; return the image files in their order and the class of each folder."""
        self.classes = self.info.classes
        listing, self.left_out = scan_classes(root)
        _check_complete(self.info, root, listing)
        folders = {folder: self.info.class_of(folder) or folder for folder in listing}
        order = sorted(listing, key=lambda folder: self.classes.index(folders[folder]))
        return [root / folder / name for folder in order for name in listing[folder]], folders

    def _read_domains(self, files: list[Path]) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the names of the domains and the domain of each image."""
        return ("all",), np.zeros(len(files), dtype=np.int64)

    def paths(self) -> list[str]:
        """Return the path of each image's file in the dataset's folder: `CLASS/IMAGE.png`."""
        return [f"{file.parent.name}/{file.name}" for file in self.files]

    @classmethod
    def find(cls) -> Path | None:
        """Return the folder that contains the class folders, under `$RAYSIM_DATA`, or None."""
        return find_root(cls.info)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over class, file name and bytes of every image, in hex, and the settings of reading.

        Folder names do not enter, and settings at their defaults neither.
        """
        return with_settings(self._files_fingerprint, self.reading)

    @cached_property
    def _files_fingerprint(self) -> str:
        total = hashlib.sha256()
        for file, label, digest in zip(self.files, self.labels, self.digests, strict=True):
            name = os.fsencode(file.name)  # its bytes may be no UTF-8
            total.update(f"{self.classes[label]}/".encode() + name + b"\0" + digest)
        return total.hexdigest()

    @cached_property
    def digests(self) -> Sequence[bytes]:
        """SHA-256 of each image's file. N.

        Raises:
            UserError: Files cannot be read; all are named.
        """
        return each_readable(self.name, lambda index: file_digest(self.files[index]), len(self.files))

    def files_stamp(self) -> Hashable:
        """Return the stamp of the dataset's folder and of the class folders in it."""
        assert self.root is not None
        return folder_stamp(self.root, self.depth)

    def with_reading(self, reading: Reading) -> Self:
        """Return the dataset with its files read in another way."""
        other = copy.copy(self)
        other.reading = reading
        return other

    def picture(self, index: int) -> Picture:
        """Return the image at `index`, with the words that say how it was read."""
        return read_picture(self.files[index], self.reading)

    def image(self, index: int) -> np.ndarray:
        """Return the image at `index`.

        Returns:
            [H, W, 3] uint8 RGB.

        Raises:
            UserError: The file is not a readable image.
        """
        return self.picture(index).pixels


class Folder(ClassFolders):
    """Any tree of class folders: each folder with images is a class and gives it its name."""

    info = DatasetInfo(
        name="folder", title="Any folder of class folders", example="CLASS/IMAGE.png", terms="your own"
    )

    def _read_folders(self, root: Path) -> tuple[list[Path], dict[str, str]]:
        listing, self.left_out = scan_classes(root)
        folders = {folder: class_words(folder) for folder in listing}
        if len(set(folders.values())) < len(folders):
            equal = sorted(folder for folder in folders if list(folders.values()).count(folders[folder]) > 1)
            raise UserError(
                f"{shown(root)}: the folders {shown(', '.join(equal))} have the same class name; rename or "
                "merge them"
            )
        if len(folders) < 2:
            raise UserError(
                f"{shown(root)}: found {len(folders)} folders with images, expected at least 2 class folders "
                "CLASS/*.jpg|png|tif|webp|bmp|gif|jp2 "
                f"(folders here: {shown(shorten_list(subfolders(root))) or 'none'})"
                f"{_whereabouts(root, self.left_out)}"
            )
        self.classes = tuple(sorted(folders.values()))
        order = sorted(listing, key=lambda folder: folders[folder])
        return [root / folder / name for folder in order for name in listing[folder]], folders


def _whereabouts(root: Path, left_out: LeftOut) -> str:
    """Say what was found instead of class folders, and which path may be meant."""
    text = f". Left out: {left_out.sentence}" if left_out else ""
    parents = [place.split("/")[0] for place in left_out.places.get(DEEPER, ())]
    likely = [name for name in dict.fromkeys(parents) if parents.count(name) > 1]
    if not likely:
        return text
    most = max(likely, key=lambda name: (name.lower().startswith("train"), parents.count(name)))
    return f"{text}. If the folders in it are the classes, give the path {shown(root)}/{most}"


def class_words(folder: str) -> str:
    """Return a folder's name as words: `"DenseResidential"` becomes `"dense residential"`.

    Letters of any script stay, with their accents and vowel signs. A name without a letter or digit stays
    as it is.
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFC", folder))
    words = "".join(character if is_word_character(character) else " " for character in spaced).split()
    return " ".join(words).lower() or folder.strip()


def find_root(info: DatasetInfo, path: str | None = None) -> Path | None:
    """Return the folder that contains the class folders, or None.

    It is the candidate with the most known class folders, the first of equals.
    """
    if info.name == "folder":
        if path is None:
            raise UserError(
                "dataset 'folder' needs a path: the folder that contains one folder of images per class"
            )
        return Path(path).expanduser() if Path(path).expanduser().is_dir() else None
    best, most = None, 0
    for folder in candidate_folders(info, path):
        for layout in (*info.layouts, "."):
            known = sum(info.class_of(name) is not None for name in subfolders(folder / layout))
            if known > most:
                best, most = (folder / layout).resolve(), known
    return best


def candidate_folders(info: DatasetInfo, path: str | None) -> list[Path]:
    """Return where a dataset's folder may be.

    These are the path itself and subfolders with the dataset's name, there or in every folder of
    `$RAYSIM_DATA`.
    """
    roots = data_roots() if path is None else [Path(path).expanduser()]
    names = [comparable_name(name) for name in (info.name, *info.aliases)]
    named = [
        root / name
        for root in roots
        for name in sorted(subfolders(root), key=lambda n: n != info.name)
        if comparable_name(name) in names
    ]
    return named if path is None else [*roots, *named]


def _check_complete(info: DatasetInfo, root: Path, listing: Mapping[str, list[str]]) -> None:
    """Refuse a dataset whose classes or numbers of images differ from the record."""
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
    problems = "; ".join(f"{what}: {shorten_list(items)}" for what, items in parts.items() if items)
    if problems:
        raise UserError(
            f"{info.title} in {root} is not the complete dataset: {problems}. Expected {len(info.classes)} "
            f"classes and {info.images} "
            f"images, found {len(homes)} and {sum(counts.values())}. Unpack {info.archive} again (from "
            f"{info.page}), or use the folder as it is: dataset 'folder' with the path {root}"
        )


def _missing(info: DatasetInfo, path: str | None) -> str:
    """Return the message for a dataset that was not found: where it was searched and how to get it."""
    if info.name == "folder":
        return (
            f"dataset 'folder': {path} is no folder; give the folder that contains one folder of "
            "images per class"
        )
    roots = data_roots() if path is None else [Path(path).expanduser()]
    places = [root / info.name for root in roots] if path is None else roots
    looked = "; ".join(_content(place) for place in places) or "RAYSIM_DATA is not set and no path was given"
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
        "CLASS/*.jpg|png|tif|webp|bmp|gif|jp2, one "
        f"folder for each of {len(info.classes)} classes ({shorten_list(list(info.classes))}). To fix it: "
        f"{get} to {home}" + (f", with RAYSIM_DATA={data}" if path is None else "")
    )


def _content(place: Path) -> str:
    """Return what a folder without class folders contains, for the message."""
    if not place.is_dir():
        return f"no folder {place}"
    return f"{place} has no class folder (it contains {shorten_list(sorted(os.listdir(place))) or 'nothing'})"
