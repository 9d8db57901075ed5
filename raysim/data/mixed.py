"""Mixture of several datasets: the union of their classes, with the dataset of origin as the domain."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Sequence
from functools import cached_property

import numpy as np

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.listing import LeftOut
from raysim.data.reading import Picture, Reading
from raysim.data.splits import split


class MixedDataset(Dataset):
    """Images of all `parts`, one dataset after the other.

    Classes with equal names are one class; they are in the order of their first occurrence in the parts. The
    domain of an image is its dataset of origin; the parts' own domains are dropped.

    Args:
        parts: At least two different datasets.

    Raises:
        UserError: A dataset is given twice, or only one is given.
    """

    domain_kind = "dataset"

    def __init__(self, parts: list[Dataset]) -> None:
        self.domains = tuple(part.name for part in parts)
        self.name = "+".join(self.domains)
        if len(set(self.domains)) < max(2, len(parts)):
            raise UserError(f"dataset '{self.name}': a mixture needs at least two datasets, each named once")
        self.datasets, self.drawn = parts, all(part.drawn for part in parts)
        self.classes = tuple(dict.fromkeys(words for part in parts for words in part.classes))
        self.templates = tuple(dict.fromkeys(template for part in parts for template in part.templates))
        place = {words: label for label, words in enumerate(self.classes)}
        self.labels = np.concatenate(
            [np.array([place[words] for words in part.classes])[part.labels] for part in parts]
        ).astype(np.int64)
        self.attributes = np.repeat(np.arange(len(parts)), [len(part) for part in parts]).astype(np.int64)
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.left_out = LeftOut()
        for part in parts:
            self.left_out.merge(part.left_out)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the parts' fingerprints, in hex."""
        return hashlib.sha256("\0".join(part.fingerprint for part in self.datasets).encode()).hexdigest()

    def paths(self) -> list[str]:
        """Return the name of each image: its dataset, and its path there."""
        return [f"{part.name}/{path}" for part in self.datasets for path in part.paths()]

    @property
    def digests(self) -> Sequence[bytes]:
        """Digest of each image's file; empty where images of a part are no files. N."""
        digests = [digest for part in self.datasets for digest in part.digests]
        return digests if len(digests) == len(self) else ()

    def files_stamp(self) -> Hashable:
        """Return those of the parts; None where a part has none."""
        stamps = tuple(part.files_stamp() for part in self.datasets)
        return None if None in stamps else stamps

    def with_reading(self, reading: Reading) -> MixedDataset:
        """Return the mixture with all its files read in another way."""
        return MixedDataset([part.with_reading(reading) for part in self.datasets])

    def picture(self, index: int) -> Picture:
        """Return the image at `index`, with the words that say how it was read."""
        part, place = self._origin(index)
        return part.picture(place)

    def image(self, index: int) -> np.ndarray:
        """Return the image at `index`.

        Returns:
            [H, W, 3] uint8 RGB.
        """
        part, place = self._origin(index)
        return part.image(place)

    def foreground(self, index: int) -> np.ndarray | None:
        """Return the pixels [H, W] bool that show the object of the image's class; None where unknown."""
        part, place = self._origin(index)
        return part.foreground(place)

    def predefined_split(self, split_seed: int) -> np.ndarray | None:
        """Return the parts' splits where a part defines its own, so that its test images stay test images.

        The others are split as each would be alone. [N] int8
        """
        if all(part.predefined_split(split_seed) is None for part in self.datasets):
            return None
        return np.concatenate([split(part, split_seed) for part in self.datasets])

    def _origin(self, index: int) -> tuple[Dataset, int]:
        """Return the dataset of an image and its index there."""
        origin = int(self.attributes[index])
        return self.datasets[origin], int(index % len(self) - self._starts[origin])
