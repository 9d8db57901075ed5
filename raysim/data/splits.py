"""Fixed splits of a dataset into training, validation and test images.

Shapes: N images, G cells (class x domain), S splits.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from raysim.core.errors import UserError
from raysim.core.seeds import derive
from raysim.data.dataset import Dataset

TRAIN, VALIDATION, TEST = 0, 1, 2
NONE = -1  # images of no split: none of their pixels has a class
FRACTIONS = (Fraction(64, 100), Fraction(16, 100), Fraction(20, 100))  # exact: no rounding of floats decides


def split(dataset: Dataset, split_seed: int) -> np.ndarray:
    """Assign every image to a split: the dataset's own, else 64 / 16 / 20 % stratified by class and domain.

    Each class gets exactly the numbers of the largest-remainder rule, so that a class of three or more images
    has a test image; each of its domains gets them to within one image. The split depends on the dataset's
    name, its class and domain names, their numbers of images, and the seed; not on the platform or on NumPy's
    generators.

    Args:
        dataset: Dataset of N images.
        split_seed: Seed of the split; the usual one is 0.

    Returns:
        0 train, 1 validation, 2 test; in a split that the dataset itself defines also -1, none. [N] int8
    """
    predefined = dataset.predefined_split(split_seed)
    if predefined is not None:
        return predefined
    assignment = np.empty(len(dataset), dtype=np.int8)
    for label in np.unique(dataset.labels):
        words, present = dataset.classes[label], np.flatnonzero(dataset.labels == label)
        domains, sizes = np.unique(dataset.attributes[present], return_counts=True)
        for domain, counts in zip(domains, _cell_counts(sizes.tolist()), strict=True):
            address = (dataset.name, words, dataset.domains[domain])
            cell = present[dataset.attributes[present] == domain]
            order = np.argsort([derive(split_seed, "split", *address, place) for place in range(len(cell))])
            assignment[cell[order]] = np.repeat(np.array([TRAIN, VALIDATION, TEST], dtype=np.int8), counts)
    return assignment


def by_domain(
    dataset: Dataset, split_seed: int, among: np.ndarray, fractions: Sequence[Fraction] = FRACTIONS
) -> np.ndarray:
    """Assign some images to splits within each domain, by the largest-remainder rule and in a seeded order.

    It is for datasets whose images have many classes at once. Of 9 images of a domain 6 are for training, 1
    for validation and 2 for test. The split depends on the dataset's name, its domain names, their numbers of
    images, and the seed.

    Args:
        dataset: Dataset of N images.
        split_seed: Seed of the split.
        among: Indices of the images to assign, ascending.
        fractions: Shares of training, validation and test, of sum 1; the last ones may be left out.

    Returns:
        0 train, 1 validation, 2 test; -1 for all other images. [N] int8
    """
    assignment = np.full(len(dataset), NONE, dtype=np.int8)
    for domain in np.unique(dataset.attributes[among]):
        cell = among[dataset.attributes[among] == domain]
        order = np.argsort(
            [
                derive(split_seed, "split", dataset.name, dataset.domains[domain], place)
                for place in range(len(cell))
            ]
        )
        counts = _largest_remainder(len(cell), fractions)
        assignment[cell[order]] = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
    return assignment


def limit_shots(
    train_indices: np.ndarray, labels: np.ndarray, shots: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw at most `shots` training images of every class, without replacement.

    Args:
        train_indices: Indices of the training images. [T] int64
        labels: Classes of all images. [N] int64
        shots: Images per class, at least 1; a class with fewer keeps all.
        rng: Generator of the draw.

    Returns:
        Sorted int64 indices, a subset of `train_indices`.
    """
    if shots < 1:
        raise UserError(f"shots = {shots} is not allowed: it should be at least 1 image per class")
    train_labels = labels[train_indices]
    kept = [
        rng.permutation(train_indices[train_labels == label])[:shots] for label in np.unique(train_labels)
    ]
    return np.sort(np.concatenate(kept)) if kept else train_indices[:0]


def _largest_remainder(size: int, fractions: Sequence[Fraction] = FRACTIONS) -> list[int]:
    """Divide `size` images among the splits; ties go to the earlier split."""
    quotas = [fraction * size for fraction in fractions]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda s: (counts[s] - quotas[s], s))
    for s in by_remainder[: size - sum(counts)]:
        counts[s] += 1
    return counts


def _cell_counts(sizes: list[int]) -> list[list[int]]:
    """Return the counts [G, S] for the G cells of one class.

    Rows sum to `sizes`, columns to the largest-remainder counts of the class. Every cell gets its quotas
    rounded down. Its remaining images go to the splits that still need most, at most one image each, cells
    with the most remaining images first. This greedy rule always meets all columns (Gale and Ryser), because
    no split needs more images than there are cells with remaining ones.
    """
    floors = [[int(fraction * size) for fraction in FRACTIONS] for size in sizes]
    missing = [
        total - sum(column)
        for total, column in zip(_largest_remainder(sum(sizes)), zip(*floors, strict=True), strict=True)
    ]
    for cell in sorted(range(len(sizes)), key=lambda c: (sum(floors[c]) - sizes[c], c)):
        for s in sorted(range(len(FRACTIONS)), key=lambda s: (-missing[s], s))[
            : sizes[cell] - sum(floors[cell])
        ]:
            floors[cell][s] += 1
            missing[s] -= 1
    return floors
