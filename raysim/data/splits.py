"""Frozen splits: which images are for training, validation and test.

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
NONE = -1  # of no split: nothing in the image has a class
FRACTIONS = (
    Fraction(64, 100),
    Fraction(16, 100),
    Fraction(20, 100),
)  # exact, so that no rounding of floats decides


def split(dataset: Dataset, split_seed: int) -> np.ndarray:
    """Assign every image to a split: the dataset's own where it has one, else 64 / 16 / 20 %, stratified by class and domain.

    Each class gets exactly the numbers of the largest-remainder rule, so a class of three or more images has
    a test image; each of its domains gets them to within one image. Depends on the dataset's name, its class
    and domain names, how many images each has, and the seed; not on the platform or on NumPy's generators.

    Args:
        dataset: What to split.
        split_seed: Names the split; the usual one is 0.

    Returns:
        [N] int8: 0 train, 1 validation, 2 test; in a dataset's own split also -1, none.
    """
    own = dataset.parts(split_seed)
    if own is not None:
        return own
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
    """Assign some images to splits within each domain, in a seeded order: a domain gets the numbers of the largest-remainder rule.

    For datasets whose images have many classes at once: of 9 images of a domain 6 are for training, 1 is for
    validation, 2 are for test. Depends on the dataset's name, its domain names, how many images each has, and
    the seed.

    Args:
        dataset: Of N images.
        split_seed: Names the split.
        among: Indices of the images to assign, ascending.
        fractions: Shares of training, validation and test, which sum to 1; the last ones may be left out.

    Returns:
        [N] int8: 0 train, 1 validation, 2 test; -1 for images that are not among them.
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
    """At most `shots` training images of every class, drawn without replacement.

    Args:
        train_indices: [T] int64 indices of the training images.
        labels: [N] int64 classes of all images.
        shots: Images per class, at least 1; a class with fewer keeps what it has.
        rng: Decides which.

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
    """`size` images over the splits; ties go to the earlier split."""
    quotas = [fraction * size for fraction in fractions]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda s: (counts[s] - quotas[s], s))
    for s in by_remainder[: size - sum(counts)]:
        counts[s] += 1
    return counts


def _cell_counts(sizes: list[int]) -> list[list[int]]:
    """[G, S] counts for the G cells of one class: rows sum to `sizes`, columns to the class's own largest-remainder counts.

    Every cell gets its quotas rounded down; what is left goes to the splits that still want most, at most one
    image each, cells with most left first. That greedy always ends with all columns met (Gale and Ryser),
    because no split wants more than there are cells with something left.
    """
    floors = [[int(fraction * size) for fraction in FRACTIONS] for size in sizes]
    wanted = [
        total - sum(column)
        for total, column in zip(_largest_remainder(sum(sizes)), zip(*floors, strict=True), strict=True)
    ]
    for cell in sorted(range(len(sizes)), key=lambda c: (sum(floors[c]) - sizes[c], c)):
        for s in sorted(range(len(FRACTIONS)), key=lambda s: (-wanted[s], s))[
            : sizes[cell] - sum(floors[cell])
        ]:
            floors[cell][s] += 1
            wanted[s] -= 1
    return floors
