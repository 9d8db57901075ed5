"""Images that are in a dataset more than once: files with equal bytes, within and across classes, splits.

Shapes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raysim.data.unreadable import shown

MOST_PAIRS = 3  # examples that a sentence names


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
    within = [group for group in equal if len({int(labels[index]) for index in group}) == 1]
    across = [group for group in equal if len({int(labels[index]) for index in group}) > 1]
    leaks = [group for group in equal if len({int(parts[index]) for index in group} - {-1}) > 1]
    kinds = {
        "within a class": within,
        "in several classes (their labels contradict each other)": across,
        "in several of training, validation and test": leaks,
    }
    return [
        f"{sum(map(len, kind)):,} images are equal to another {words}: {_examples(kind, names)}"
        for words, kind in kinds.items()
        if kind
    ]


def _examples(groups: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    pairs = [" = ".join(shown(names[index]) for index in group[:2]) for group in groups[:MOST_PAIRS]]
    return ", ".join(pairs) + (", ..." if len(groups) > MOST_PAIRS else "")
