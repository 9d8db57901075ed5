"""What a dataset is: labelled images, one class and one domain each, and the record that says where to get it.

Shapes: N images, C classes, D domains.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from raysim.core.errors import UserError


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """What is known of a dataset before it is opened.

    Args:
        name: The name in the registry, e.g. `"ucmerced"`.
        title: The name people use.
        counts: Images per class, by class words, in the order of the labels; empty where anything is
            accepted, 0 where nobody counted.
        templates: Prompts with one `{}` for the class words.
        folders: Names of class folders that differ from the class words by more than case, spaces and
            punctuation.
        aliases: Names that the dataset's own folder may have, besides `name`; case and punctuation do not
            matter.
        layouts: Where in that folder the class folders may lie, besides directly.
        example: One file as the archive has it.
        archive: The archive's file name, empty when nothing is to be had.
        size: Its size, in words.
        page: Where to get it.
        terms: Licence or terms of use, in words.
        total: Images of the complete dataset, where `counts` does not say.
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
        """Class names as words, in the order of the labels."""
        return tuple(self.counts)

    @property
    def images(self) -> int:
        """How many images the complete dataset has."""
        return self.total or sum(self.counts.values())

    def class_of(self, folder: str) -> str | None:
        """The class words for a folder's name, or None for a folder that is no class."""
        known = {plain(words): words for words in self.counts} | {
            plain(name): words for name, words in self.folders.items()
        }
        return known.get(plain(folder))


def plain(name: str) -> str:
    """A name without case, spaces and punctuation: `"Dense_Residential"` and `"dense residential"` become one."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


class Dataset(ABC):
    """Labelled images; those of a segmentation dataset also have a class for every pixel.

    Attributes:
        name: The name in the registry; of a mixed dataset the names joined by `+`.
        classes: C class names as words.
        templates: Prompts with one `{}` for the class words.
        domains: D names of domains; `("all",)` when there is one.
        labels: [N] int64, the class of each image.
        attributes: [N] int64, the domain of each image.
        segments: Whether the images have masks; then `labels` is the class that most of an image's pixels
            have, unless the dataset says otherwise.
    """

    name: str
    classes: tuple[str, ...]
    templates: tuple[str, ...]
    domains: tuple[str, ...]
    labels: np.ndarray
    attributes: np.ndarray
    segments: bool = False

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Content hash of all images, in hex: equal for equal images, computed once per object."""

    @abstractmethod
    def image(self, index: int) -> np.ndarray:
        """The image at `index`; safe to call from several threads.

        Returns:
            [H, W, 3] uint8 RGB.
        """

    def mask(self, index: int) -> np.ndarray:
        """The class of every pixel of the image at `index`; safe to call from several threads.

        Returns:
            [H, W] uint8, indices into `classes`, 255 = ignore.

        Raises:
            UserError: The images have no masks.
        """
        raise UserError(f"dataset '{self.name}' has no masks; `raysim data list` shows which have")

    def foreground(self, index: int) -> np.ndarray | None:
        """Where the thing itself is in the image at `index`, [H, W] bool; None where nobody knows."""
        return None

    def parts(self, split_seed: int) -> np.ndarray | None:
        """The dataset's own split, [N] int8: 0 train, 1 validation, 2 test, -1 none; None for the usual one (`raysim.data.splits`)."""
        return None

    def __len__(self) -> int:
        """How many images there are."""
        return len(self.labels)
