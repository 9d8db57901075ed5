"""Images that are in a dataset more than once: files with equal bytes, within and across classes, splits.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysim.data.dataset import Dataset
from raysim.data.unreadable import shown

MOST_PAIRS = 3  # examples that a sentence names


def image_names(dataset: Dataset) -> list[str]:
    """Return the name of each image in messages: the path of its file, else its class and place. N."""
    files = getattr(dataset, "images", None)  # of a dataset with masks
    return dataset.paths() if files is None else [f"{file.parent.name}/{file.name}" for file in files]


def duplicate_sentences(
    digests: Sequence[bytes], names: Sequence[str], labels: np.ndarray, parts: np.ndarray
) -> list[str]:
    """Say which images are there more than once; nothing where all are different.

    Args:
        digests: Digest of each file. N
        names: Name of each file, for examples. N
        labels: Class of each image. [N]
        parts: Split of each image; -1 for none. [N]

    Returns:
        A sentence for copies within a class, one for copies in several classes, whose labels contradict each
        other, and one for copies in several splits, by which a model is tested on what it was trained on.
    """
    groups: dict[bytes, list[int]] = {}
    for index, digest in enumerate(digests):
        groups.setdefault(digest, []).append(index)
    equal = [group for group in groups.values() if len(group) > 1]
    kinds = {
        "within a class": [_pair(group, labels, same=True) for group in equal],
        "in several classes (their labels contradict each other)": [
            _pair(group, labels, same=False) for group in equal
        ],
        "in several of training, validation and test": [
            _pair([index for index in group if parts[index] >= 0], parts, same=False) for group in equal
        ],
    }
    sentences = []
    for words, pairs in kinds.items():
        found = [(group, pair) for group, pair in zip(equal, pairs, strict=True) if pair]
        if found:
            images = sum(len(group) for group, _ in found)
            sentences.append(f"{images:,} images are equal to another {words}: {_examples(found, names)}")
    return sentences


def _pair(group: Sequence[int], values: np.ndarray, same: bool) -> tuple[int, int] | None:
    """Return the first two images of a group with the same value, or with different ones; None for none."""
    first: dict[int, int] = {}  # of each value
    for index in group:
        value = int(values[index])
        if same and value in first:
            return first[value], index
        first.setdefault(value, index)
    pair = list(first.values())[:2]
    return None if same or len(pair) < 2 else (pair[0], pair[1])


def _examples(found: Sequence[tuple[Sequence[int], tuple[int, int]]], names: Sequence[str]) -> str:
    pairs = [" = ".join(shown(names[index]) for index in pair) for _, pair in found[:MOST_PAIRS]]
    return ", ".join(pairs) + (", ..." if len(found) > MOST_PAIRS else "")
