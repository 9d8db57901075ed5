"""Base of all datasets: labelled images with one class and one domain each, and the record of their source.

Shapes: N images, C classes, D domains.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from raysim.core.errors import UserError
from raysim.data.listing import LeftOut
from raysim.data.reading import Picture, Reading

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """Facts about a dataset that are known before it is opened.

    Args:
        name: The name in the registry, e.g. `"ucmerced"`.
        title: The usual name.
        counts: Images per class, by class name, in the order of the labels; empty where any classes are
            accepted, 0 for unknown numbers.
        templates: Prompts with one `{}` for the class name.
        folders: Class names of folders whose own names differ from them by more than case, spaces and
            punctuation.
        aliases: Other names of the dataset's folder, besides `name`; case and punctuation do not matter.
        layouts: Subfolders that may contain the class folders.
        example: Path of one file in the archive.
        archive: File name of the archive, empty where there is none.
        size: Size of the archive, in words.
        page: Web page of the archive.
        terms: Licence or terms of use, in words.
        total: Images of the complete dataset, where `counts` does not give them.
    """

    name: str
    title: str
    counts: Mapping[str, int] = field(default_factory=dict)
    templates: tuple[str, ...] = ("a satellite photo of a {}.",)
    folders: Mapping[str, str] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ()
    example: str = ""
    archive: str = ""
    size: str = ""
    page: str = ""
    terms: str = ""
    total: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the labels."""
        return tuple(self.counts)

    @property
    def images(self) -> int:
        """Number of images of the complete dataset."""
        return self.total or sum(self.counts.values())

    def class_of(self, folder: str) -> str | None:
        """Return the class name of a folder, or None for a folder that is no class."""
        names = {comparable_name(words): words for words in self.counts} | {
            comparable_name(name): words for name, words in self.folders.items()
        }
        return names.get(comparable_name(folder))


def comparable_name(name: str) -> str:
    """Return a name without case, spaces and punctuation, so that different spellings are equal."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def with_settings(fingerprint: str, reading: Reading) -> str:
    """Return the fingerprint of files that are read with these settings; the same for the defaults."""
    if reading.is_default:
        return fingerprint
    return hashlib.sha256(f"{fingerprint} read with {reading.words}".encode()).hexdigest()


class Dataset(ABC):
    """Labelled images; in a segmentation dataset every pixel has a class too.

    Attributes:
        name: The name in the registry; of a mixed dataset the names joined by `+`.
        classes: C class names.
        templates: Prompts with one `{}` for the class name.
        domains: D names of domains; `("all",)` for a single one.
        labels: Class of each image. [N] int64
        attributes: Domain of each image. [N] int64
        segments: Whether the images have masks; then `labels` is the most frequent class of each image's
            pixels, unless the dataset's docstring says otherwise.
        domain_kind: What a domain is, in one word: scale, tile, region, dataset.
        left_out: What was not taken from the dataset's folder.
        reading: How image files are read.
        drawn: Whether a program draws the images.
    """

    name: str
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    domains: tuple[str, ...]
    labels: np.ndarray
    attributes: np.ndarray
    segments: bool = False
    domain_kind: str = "domain"
    left_out: LeftOut = LeftOut()
    reading: Reading = Reading()
    drawn: bool = False

    @property
    def digests(self) -> Sequence[bytes]:
        """Digest of each image's file, N; empty where images are no files."""
        return ()

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Content hash of all images, in hex: equal for equal images, computed once for each object."""

    @abstractmethod
    def image(self, index: int) -> np.ndarray:
        """Return the image at `index`; safe to call from several threads.

        Returns:
            [H, W, 3] uint8 RGB.
        """

    def picture(self, index: int) -> Picture:
        """Return the image at `index`, with the words that say how it was read."""
        return Picture(self.image(index))

    def with_reading(self, reading: Reading) -> Dataset:
        """Return the dataset with its files read in another way; what a program draws stays as it is.

        Raises:
            UserError: Its images are no files that raysim reads.
        """
        if self.drawn:
            return self
        raise UserError(f"{reading.words} is not allowed: '{self.name}' has no image files that raysim reads")

    def at_hand(self, cache_dir: Path | None = None, progress: Progress | None = None) -> Dataset:
        """Return the dataset for who reads all images: what a program draws comes from the cache.

        Args:
            cache_dir: Folder of the cache, as for `raysim.data.features.features`.
            progress: Called with the number of drawn images and of all images.
        """
        return self

    def mask(self, index: int) -> np.ndarray:
        """Return the class of every pixel of the image at `index`; safe to call from several threads.

        Returns:
            [H, W] uint8, indices into `classes`, 255 for ignored pixels.

        Raises:
            UserError: The images have no masks.
        """
        raise UserError(f"dataset '{self.name}' has no masks; `raysim data list` names those that have")

    def foreground(self, index: int) -> np.ndarray | None:
        """Return the pixels [H, W] bool that show the object of the image's class; None where unknown."""
        return None

    def predefined_split(self, split_seed: int) -> np.ndarray | None:
        """Return the split that the dataset itself defines, or None for the usual one (`raysim.data.splits`).

        Args:
            split_seed: Seed of the part that is drawn.

        Returns:
            0 train, 1 validation, 2 test, -1 none. [N] int8
        """
        return None

    def paths(self) -> list[str]:
        """Return the name of each image, by which a table can speak of it: unique, with slashes.

        It is the path of the file in the dataset's folder. An image without a file, such as a drawn one, has
        the name of its class and its place among the images of the class: `forest/0`.

        Returns:
            N names
        """
        place = np.zeros(len(self.labels), dtype=np.int64)
        for label in np.unique(self.labels):
            place[self.labels == label] = np.arange(int((self.labels == label).sum()))
        return [f"{self.classes[label]}/{k}" for label, k in zip(self.labels, place, strict=True)]

    def files_stamp(self) -> Hashable:
        """Return what changes when files of the dataset are added, removed or written, without reading them.

        A process keeps a dataset open from run to run as long as this is equal. None: nothing tells; then it
        is opened again for every run.
        """
        return "drawn" if self.drawn else None

    def groups(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """Return the attributes by which images can belong to clients, such as their tile or their sensor.

        Returns:
            By name of the attribute: the names of its values, and the value of each image, -1 for none [N].
            `client` is among them only where the dataset itself says who its clients are.
        """
        if len(self.domains) < 2:
            return {}
        return dict.fromkeys((self.domain_kind, "domain"), (self.domains, self.attributes))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.labels)
