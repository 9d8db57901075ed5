"""A few images of a dataset, as a dataset of their own: enough to measure what one image costs.

Shapes: N images of the dataset, n images of the sample.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from raysim.data.dataset import Dataset


class Sample(Dataset):
    """Evenly spaced images of another dataset.

    Attributes:
        whole: The dataset.
        indices: Its images that are in the sample, ascending. [n]
    """

    def __init__(self, whole: Dataset, images: int) -> None:
        """Choose the images.

        Args:
            whole: The dataset.
            images: Number n of images, at least 1; all of a smaller dataset.
        """
        self.whole, self.name = whole, whole.name
        self.indices = np.unique(np.linspace(0, len(whole) - 1, min(images, len(whole))).round().astype(int))
        self.classes, self.templates, self.domains = whole.classes, whole.templates, whole.domains
        self.labels, self.attributes = whole.labels[self.indices], whole.attributes[self.indices]
        self.segments, self.drawn, self.reading = whole.segments, whole.drawn, whole.reading

    @property
    def fingerprint(self) -> str:
        """Words, not a digest: all files would have to be read, and nothing is kept under this name."""
        return f"{len(self.indices)} images of {self.name}"

    def image(self, index: int) -> np.ndarray:
        """Return the image at `index` of the sample, [H, W, 3] uint8."""
        return self.whole.image(int(self.indices[index]))

    def mask(self, index: int) -> np.ndarray:
        """Return its mask, [H, W] uint8."""
        return self.whole.mask(int(self.indices[index]))


class Repeated:
    """Rows of a sample in place of those of all images: image i has row i modulo n.

    It is read as an array is: `rows[index]`, and `rows[index, view]`.

    Attributes:
        shape: The shape that all images would have. [N, ...]
    """

    def __init__(self, rows: np.ndarray, images: int) -> None:
        """Repeat rows.

        Args:
            rows: The sample. [n, ...]
            images: Number N of all images.
        """
        self._rows, self.shape = rows, (images, *rows.shape[1:])

    def __len__(self) -> int:
        """Return the number of all images."""
        return int(self.shape[0])

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield the row of each image; without this method Python would ask for rows without an end."""
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: object) -> np.ndarray:
        """Return the rows of these images."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        if isinstance(first, slice):
            first = np.arange(self.shape[0])[first]
        return self._rows[(np.asarray(first) % len(self._rows), *rest)]
