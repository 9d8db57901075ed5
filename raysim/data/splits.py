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
    return stratified(dataset, split_seed, np.arange(len(dataset)), dataset.domains, dataset.attributes)


def stratified(
    dataset: Dataset,
    split_seed: int,
    among: np.ndarray,
    names: Sequence[str],
    groups: np.ndarray,
    fractions: Sequence[Fraction] = FRACTIONS,
) -> np.ndarray:
    """Assign some images to splits by the largest-remainder rule, within each class and, nearly, each group.

    Args:
        dataset: Dataset of N images.
        split_seed: Seed of the split.
        among: Indices of the images to assign, ascending.
        names: Names of the groups.
        groups: Group of each image: its domain, or the client that holds it. [N]
        fractions: Shares of the splits, of sum 1. S

    Returns:
        Place of the split among the S; -1 for all other images. [N] int8
    """
    assignment = np.full(len(dataset), NONE, dtype=np.int8)
    for label in np.unique(dataset.labels[among]):
        words, present = dataset.classes[label], among[dataset.labels[among] == label]
        cells, sizes = np.unique(groups[present], return_counts=True)
        for group, counts in zip(cells, _cell_counts(sizes.tolist(), fractions), strict=True):
            address = (dataset.name, words, names[group])
            cell = present[groups[present] == group]
            order = np.argsort([derive(split_seed, "split", *address, place) for place in range(len(cell))])
            assignment[cell[order]] = np.repeat(np.arange(len(counts), dtype=np.int8), counts)
    return assignment


def hold_out(
    dataset: Dataset, parts: np.ndarray, names: Sequence[str], owners: np.ndarray, split_seed: int
) -> np.ndarray:
    """Draw the splits that are missing from the training images, within each class and client.

    Of the training images 16 % are for validation and 20 % for test where both are missing, and 20 % where
    one of them is. Every client keeps a training image.

    Args:
        dataset: Dataset of N images.
        parts: 0 train, 1 validation, 2 test, -1 none. [N]
        names: Names of the clients.
        owners: Client of each image, -1 for none; every training image has one. [N]
        split_seed: Seed of the draw.

    Returns:
        The splits, none of which is missing. [N] int8
    """
    missing = [number for number in (VALIDATION, TEST) if not (parts == number).any()]
    if not missing:
        return parts
    fractions = FRACTIONS if len(missing) == 2 else (Fraction(4, 5), Fraction(1, 5))
    train = np.flatnonzero(parts == TRAIN)
    drawn = stratified(dataset, split_seed, train, names, owners, fractions)[train]
    completed = parts.copy()
    completed[train] = np.array([TRAIN, *missing], dtype=np.int8)[drawn]
    for client in np.setdiff1d(owners[train], owners[completed == TRAIN]):
        completed[train[owners[train] == client][0]] = TRAIN
    return completed


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
    train_indices: np.ndarray,
    labels: np.ndarray,
    shots: int,
    rng: np.random.Generator,
    kept_first: np.ndarray | None = None,
) -> np.ndarray:
    """Draw at most `shots` training images of every class, without replacement.

    Args:
        train_indices: Indices of the training images. [T] int64
        labels: Classes of all images. [N] int64
        shots: Images per class, at least 1; a class with fewer keeps all.
        rng: Generator of the draw.
        kept_first: Training images that are kept in any case; None: there is none.

    Returns:
        Sorted int64 indices, a subset of `train_indices`.

    Raises:
        UserError: `shots` is below 1, or a class has more images in `kept_first`.
    """
    if shots < 1:
        raise UserError(f"shots = {shots} is not allowed: it should be at least 1 image per class")
    first = train_indices[:0] if kept_first is None else kept_first
    most = int(np.bincount(labels[first]).max(initial=0))
    if shots < most:
        raise UserError(
            f"task.shots = {shots} is not allowed: it should be at least {most}, so that each of "
            f"{len(first)} clients keeps an image"
        )
    train_labels = labels[train_indices]
    kept = [first]
    for label in np.unique(train_labels):
        others = np.setdiff1d(train_indices[train_labels == label], first)
        kept.append(rng.permutation(others)[: shots - int((labels[first] == label).sum())])
    return np.sort(np.concatenate(kept))


def _largest_remainder(size: int, fractions: Sequence[Fraction] = FRACTIONS) -> list[int]:
    """Divide `size` images among the splits; ties go to the earlier split."""
    quotas = [fraction * size for fraction in fractions]
    counts = [int(quota) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda s: (counts[s] - quotas[s], s))
    for s in by_remainder[: size - sum(counts)]:
        counts[s] += 1
    return counts


def _cell_counts(sizes: list[int], fractions: Sequence[Fraction] = FRACTIONS) -> list[list[int]]:
    """Return the counts [G, S] for the G cells of one class.

    Rows sum to `sizes`, columns to the largest-remainder counts of the class. Every cell gets its quotas
    rounded down. Its remaining images go to the splits that still need most, at most one image each, cells
    with the most remaining images first. This greedy rule always meets all columns (Gale and Ryser), because
    no split needs more images than there are cells with remaining ones.
    """
    floors = [[int(fraction * size) for fraction in fractions] for size in sizes]
    missing = [
        total - sum(column)
        for total, column in zip(
            _largest_remainder(sum(sizes), fractions), zip(*floors, strict=True), strict=True
        )
    ]
    for cell in sorted(range(len(sizes)), key=lambda c: (sum(floors[c]) - sizes[c], c)):
        for s in sorted(range(len(fractions)), key=lambda s: (-missing[s], s))[
            : sizes[cell] - sum(floors[cell])
        ]:
            floors[cell][s] += 1
            missing[s] -= 1
    return floors
