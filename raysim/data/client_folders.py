"""Folders of clients: each client is a folder, with its images in folders of classes.

Layouts, and any mixture of them:

    CLIENT/CLASS/IMAGE.tif                                        splits are drawn within class and client
    train_set/CLIENT/CLASS/IMAGE.tif, test_set/CLASS/IMAGE.tif    as FedRS-Bench is published
    CLIENT/train/CLASS/IMAGE.tif, CLIENT/test/CLASS/IMAGE.tif     splits of each client's own

Reference: Zhao, Peng, Chen, Huang, Liu, "FedRS-Bench: Realistic Federated Learning Datasets and Benchmarks in
    Remote Sensing", arXiv 2505.08325, 2025: 135 clients from eight datasets, 15 classes; its page on Hugging
    Face calls the folders `train` and `val_set`, and spells a class as `Bareland` or `BareLand`.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from raysim.core.errors import UserError
from raysim.data.dataset import DatasetInfo
from raysim.data.files import shorten_list, subfolders
from raysim.data.folder import ClassFolders, class_words
from raysim.data.image_names import is_word_character, natural_order
from raysim.data.listing import (
    EMPTY,
    HIDDEN,
    LeftOut,
    count_file,
    entries,
    is_folder,
    is_hidden,
    is_image,
)
from raysim.data.owners import SPLIT_WORDS
from raysim.data.splits import TRAIN, hold_out, stratified

SPLIT_FOLDERS = SPLIT_WORDS | {f"{word}_set": number for word, number in SPLIT_WORDS.items()}
LAYOUT = "CLIENT/CLASS/IMAGE, or train_set/CLIENT/CLASS/IMAGE with test_set/CLASS/IMAGE beside it"
DEEPEST = 12  # folders above an image; links may lead in a circle


class ClientFolders(ClassFolders):
    """Images in `CLIENT/CLASS/*`, with or without folders `train_set`, `val_set` and `test_set`.

    A split that has no folder is drawn from the training images, within each class and client. Folders of
    classes whose names differ only in case, spaces or punctuation are one class.

    Args:
        path: The folder of the clients or of the splits, or a folder that holds it as `data`.

    Raises:
        UserError: No such folder, images outside of this layout, or fewer than two classes.
    """

    info = DatasetInfo(
        name="client_folders",
        title="Any folder of clients with class folders",
        example="CLIENT/CLASS/IMAGE.png",
        terms="your own",
    )

    depth = DEEPEST

    def __init__(self, path: str | None = None) -> None:
        if path is None:
            raise UserError(f"dataset 'client_folders' needs a path: the folder that contains {LAYOUT}")
        self.name, self.templates = self.info.name, self.info.templates
        self.root = _root(Path(path).expanduser())
        places, wrong, self.left_out = [], [], LeftOut()
        for folders, file in _walk(self.root, self.left_out):
            place = _place(folders)
            if place is None:
                wrong.append("/".join((*folders, file)))
            else:
                places.append((*place, self.root.joinpath(*folders, file)))
        self._refuse(self.root, wrong, [client for _, client, _, _ in places])
        spellings = Counter(folder for _, _, folder, _ in places)
        words: dict[str, str] = {}  # the most frequent spelling of each class
        for folder in sorted(spellings, key=lambda folder: (-spellings[folder], folder)):
            words.setdefault(_key(folder), class_words(folder))
        self.classes = tuple(sorted(set(words.values())))
        if len(self.classes) < 2:
            raise UserError(f"{self.root}: found {len(self.classes)} class, expected at least 2 in {LAYOUT}")
        self.clients = tuple(natural_order({client for _, client, _, _ in places if client}))
        place_of = {name: number for number, name in enumerate(self.clients)}
        label_of = {name: number for number, name in enumerate(self.classes)}
        places.sort(
            key=lambda p: (label_of[words[_key(p[2])]], place_of.get(p[1], len(place_of)), p[0] or 0, p[3])
        )
        self.files = [file for *_, file in places]
        self.labels = np.array([label_of[words[_key(folder)]] for _, _, folder, _ in places], dtype=np.int64)
        self.owners = np.array([place_of.get(client, -1) for _, client, _, _ in places], dtype=np.int64)
        # without folders of splits every image is for all
        self._has_splits = any(split is not None for split, *_ in places)
        self._parts = np.array([TRAIN if split is None else split for split, *_ in places], dtype=np.int8)
        self.domains, self.attributes = self._read_domains(self.files)

    @classmethod
    def find(cls) -> Path | None:
        """Return None: the folder is named by the user."""
        return None

    def paths(self) -> list[str]:
        """Return the path of each image's file in the dataset's folder."""
        assert self.root is not None
        return [file.relative_to(self.root).as_posix() for file in self.files]

    def groups(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Return the clients, whose images are in their folders; an image of a common test set has none."""
        return {"client": (self.clients, self.owners)}

    def predefined_split(self, split_seed: int) -> np.ndarray | None:
        """Return the split of the folders; what has none is drawn within each class and client. [N] int8."""
        if self._has_splits:
            return hold_out(self, self._parts, self.clients, self.owners, split_seed)
        return stratified(self, split_seed, np.arange(len(self)), self.clients, self.owners)

    @staticmethod
    def _refuse(root: Path, wrong: list[str], clients: list[str]) -> None:
        """Raise `UserError` where images lie elsewhere, or no client has any."""
        if wrong:
            raise UserError(
                f"{root}: outside of the layout {LAYOUT} lie {len(wrong):,} image files: "
                f"{shorten_list(wrong, 3)}; move or remove them"
            )
        unreadable = sorted({client for client in clients if not client.isprintable()})
        if unreadable:  # bytes that are no UTF-8, or control characters
            raise UserError(f"{root}: rename the folder {unreadable[0]!r}: its name is no text in UTF-8")
        if not any(clients):
            raise UserError(
                f"{root}: found no client with images, expected {LAYOUT} (folders here: "
                f"{shorten_list(subfolders(root)) or 'none'})"
            )


def _root(path: Path) -> Path:
    """Return the folder of the clients or of the splits: the path itself, or `data` in it."""
    if not path.is_dir():
        raise UserError(
            f"dataset 'client_folders': {path} is no folder; give the folder that contains {LAYOUT}"
        )
    inner = path / "data"
    has_splits = any(name.lower() in SPLIT_FOLDERS for name in subfolders(path))
    return inner if not has_splits and inner.is_dir() else path


def _walk(
    folder: Path, left_out: LeftOut, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the folders above each image and its name, and count what is not taken."""
    taken = False
    for entry in entries(folder):
        place = "/".join((*above, entry.name))
        if is_image(entry):
            taken = True
            yield above, entry.name
        elif is_hidden(entry.name):
            left_out.add(HIDDEN, place)
        elif not is_folder(entry):
            count_file(entry, place, left_out, "")
        elif len(above) < DEEPEST:
            taken = True
            yield from _walk(folder / entry.name, left_out, (*above, entry.name))
    if not taken and above:
        left_out.add(EMPTY, "/".join(above))


def _place(folders: tuple[str, ...]) -> tuple[int | None, str, str] | None:
    """Return split, client and class of an image by the folders above it; None outside of the layout."""
    splits = [SPLIT_FOLDERS.get(name.lower()) for name in folders]
    if len(folders) == 3 and splits[0] is not None:
        return splits[0], folders[1], folders[2]
    if len(folders) == 3 and splits[1] is not None:
        return splits[1], folders[0], folders[2]
    if len(folders) == 2:
        if splits[0] is None:
            return None, folders[0], folders[1]
        return (splits[0], "", folders[1]) if splits[0] != TRAIN else None
    return None


def _key(folder: str) -> str:
    """Return what two spellings of a class have in common; the name itself where it has no letter."""
    name = unicodedata.normalize("NFC", folder).casefold()
    return "".join(character for character in name if is_word_character(character)) or folder
