"""Label noise: the labels that clients train with, and the classes that look most alike.

Shapes: N images, C classes, F values of a thumbnail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version

import numpy as np

from raysim.clients.counts import Floats, Ints
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.data.dataset import Dataset
from raysim.data.memo import Arrays, cache_folder, each_readable, remember
from raysim.data.reading import READING_VERSION
from raysim.data.views import probe_picture, resize

# pixels a side of a thumbnail: colour and coarse layout only, so that the similarity of classes depends on no
# method's features
SIDE = 8


def training_labels(
    labels: Ints, shards: Sequence[Ints], share: float, classes: int, confused_C: Ints | None, seed: int
) -> Ints:
    """Return the labels that clients train with, of which round(share * n) are wrong for each client.

    The rounding is Python's: halves go to the even number. Each client's draw has its own address, and the
    wrong labels of a smaller share are among those of a larger share.

    Args:
        labels: True class of each image. [N]
        shards: For each client the indices of its images. K arrays
        share: Share of each client's images whose label is wrong, 0 <= share < 1.
        classes: C.
        confused_C: Wrong label of each class; None draws any other class with equal probability. [C]
        seed: Seed of the experiment.

    Returns:
        Labels; images without a client keep their true ones. [N]

    Raises:
        UserError: There is only one class.
    """
    if classes < 2:
        raise UserError(
            f"scenario.label_noise = {share:g} is not allowed: with a single class no label can be wrong; "
            "it should be 0"
        )
    noisy = labels.copy()
    for client, shard in enumerate(shards):
        rng = numpy_rng(seed, "label noise", client)
        wrong = rng.permutation(shard)[: round(share * len(shard))]
        true = labels[wrong]
        noisy[wrong] = (
            (true + rng.integers(1, classes, size=len(wrong))) % classes
            if confused_C is None
            else confused_C[true]
        )
    return noisy


def class_means(dataset: Dataset, train: Ints) -> Floats:
    """Return the mean thumbnail (8 x 8 RGB) of each class's training images, from the cache folder if there.

    Args:
        dataset: Dataset of C classes.
        train: Indices of the training images, ascending.

    Returns:
        Means, 0 to 255; NaN for a class without a training image. [C, F] with F = 192
    """
    key = {
        "images": dataset.fingerprint,
        "train": hashlib.sha256(np.ascontiguousarray(train, dtype=np.int64).tobytes()).hexdigest(),
        "transform": hashlib.sha256(resize(probe_picture(), SIDE).tobytes()).hexdigest(),
        "libraries": {name: version(name) for name in ("numpy", "pillow")},
        **({} if dataset.drawn else {"reading": READING_VERSION}),
    }

    def compute() -> Arrays:
        thumbnails = np.stack(
            each_readable(
                dataset.name, lambda place: resize(dataset.image(int(train[place])), SIDE), len(train)
            )
        )
        # integers, so that the order of the images does not matter
        total_CF = np.zeros((len(dataset.classes), thumbnails[0].size), dtype=np.int64)
        np.add.at(total_CF, dataset.labels[train], thumbnails.reshape(len(train), -1).astype(np.int64))
        images_C = np.bincount(dataset.labels[train], minlength=len(dataset.classes))[:, None]
        return {
            "means": np.divide(total_CF, images_C, out=np.full(total_CF.shape, np.nan), where=images_C > 0)
        }

    return remember(cache_folder(), f"{dataset.name}-class-means", key, compute)["means"]


def most_confusable(means_CF: Floats) -> Ints:
    """Return for each class the other class with the nearest mean thumbnail (Euclidean), the first of equals.

    Args:
        means_CF: Class means; NaN for a class without images, which is never the nearest. [C, F]

    Returns:
        Classes. [C]

    Raises:
        UserError: Fewer than two classes have images.
    """
    seen = ~np.isnan(means_CF).any(axis=1)
    if seen.sum() < 2:
        raise UserError(
            "scenario.noise_kind = 'pairs' needs at least two classes with training images; 'symmetric' "
            "needs no images"
        )
    distance_CC = np.linalg.norm(means_CF[:, None] - means_CF[None], axis=-1)
    distance_CC[:, ~seen] = np.inf
    np.fill_diagonal(distance_CC, np.inf)
    nearest_C: Ints = np.where(np.isnan(distance_CC), np.inf, distance_CC).argmin(axis=1)
    return nearest_C
