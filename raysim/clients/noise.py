"""Label noise: which training images a client was told the wrong class of, and which class is easily taken for which.

Shapes: N images, C classes, F numbers of a thumbnail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from raysim.clients.counts import Floats, Ints
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.data.cache import cache_folder, resize
from raysim.data.dataset import Dataset
from raysim.data.memo import Arrays, in_threads, remember

# pixels a side of a thumbnail: colour and coarse layout, so that no method's own features decide what is
# confusable
SIDE = 8


def told(
    labels: Ints, shards: Sequence[Ints], share: float, classes: int, confused_C: Ints | None, seed: int
) -> Ints:
    """The labels that clients train with: of every client exactly round(share * n) are wrong (Python's round: halves to even).

    Each client's draw has an address of its own, and the images of a smaller share are among those of a
    larger one.

    Args:
        labels: True class of each image. [N]
        shards: For each client the indices of its images. K arrays
        share: Share of each client's images whose label is wrong, 0 <= share < 1.
        classes: C.
        confused_C: The class that each class is taken for; None: any other class, all alike. [C]
        seed: The experiment's.

    Returns:
        Labels, the true ones of images that no client has. [N]

    Raises:
        UserError: There is only one class.
    """
    if classes < 2:
        raise UserError(
            f"scenario.label_noise = {share:g} is not allowed: with a single class no label can be wrong; "
            "it should be 0"
        )
    found = labels.copy()
    for client, shard in enumerate(shards):
        rng = numpy_rng(seed, "label noise", client)
        wrong = rng.permutation(shard)[: round(share * len(shard))]
        true = labels[wrong]
        found[wrong] = (
            (true + rng.integers(1, classes, size=len(wrong))) % classes
            if confused_C is None
            else confused_C[true]
        )
    return found


def class_means(dataset: Dataset, train: Ints) -> Floats:
    """The mean thumbnail (8 x 8 RGB) of each class's training images: read once per dataset and split, then from the cache folder.

    Args:
        dataset: Of C classes.
        train: Indices of the training images, ascending.

    Returns:
        Means in 0 to 255; NaN for a class without a training image. [C, F] with F = 192
    """
    picture = (
        np.add.outer(np.arange(37) ** 2, np.arange(53))[:, :, None] * np.array([3, 5, 7]) % 256
    ).astype(np.uint8)
    key = {
        "images": dataset.fingerprint,
        "train": hashlib.sha256(np.ascontiguousarray(train, dtype=np.int64).tobytes()).hexdigest(),
        "transform": hashlib.sha256(resize(picture, SIDE).tobytes()).hexdigest(),
        "libraries": {name: version(name) for name in ("numpy", "pillow")},
    }

    def compute() -> Arrays:
        thumbnails = np.stack(
            in_threads(lambda place: resize(dataset.image(int(train[place])), SIDE), len(train))
        )
        total_CF = np.zeros(
            (len(dataset.classes), thumbnails[0].size), dtype=np.int64
        )  # whole numbers: the order of images cannot matter
        np.add.at(total_CF, dataset.labels[train], thumbnails.reshape(len(train), -1).astype(np.int64))
        images_C = np.bincount(dataset.labels[train], minlength=len(dataset.classes))[:, None]
        return {
            "means": np.divide(total_CF, images_C, out=np.full(total_CF.shape, np.nan), where=images_C > 0)
        }

    return remember(cache_folder(), f"{dataset.name}-class-means", key, compute)["means"]


def most_confusable(means_CF: Floats) -> Ints:
    """For each class the other one whose mean thumbnail is nearest (Euclidean); the first of equals.

    Args:
        means_CF: Class means; NaN for a class without images, which nothing is taken for. [C, F]

    Returns:
        Classes. [C]

    Raises:
        UserError: Fewer than two classes have images.
    """
    seen = ~np.isnan(means_CF).any(axis=1)
    if seen.sum() < 2:
        raise UserError(
            "scenario.noise_kind = 'pairs' needs at least two classes with training images; 'symmetric' "
            "does not look at them"
        )
    distance_CC = np.linalg.norm(means_CF[:, None] - means_CF[None], axis=-1)
    distance_CC[:, ~seen] = np.inf
    np.fill_diagonal(distance_CC, np.inf)
    nearest_C: Ints = np.where(np.isnan(distance_CC), np.inf, distance_CC).argmin(axis=1)
    return nearest_C
