"""What a result was computed from: the record of a dataset's images, and what differs between two records."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from raysim.data.unreadable import shown

DIGITS = 12  # of the digest of a class, and of a fingerprint in a message
MOST_CHANGES = 8  # that a message names


def describe_contents(dataset: Dataset) -> dict[str, Any]:
    """Return the record of a dataset's images, as run.json has it.

    Returns:
        By name: name; fingerprint (of all images, and of the settings by which files are read); images (their
        number); classes; counts (images of each class); digests (of the images of each class; empty where
        they are no files); left_out (what was not taken from the folder: reason, number, places).
    """
    counts = np.bincount(dataset.labels, minlength=len(dataset.classes))
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "images": len(dataset),
        "classes": list(dataset.classes),
        "counts": counts.tolist(),
        "digests": _class_digests(dataset),
        "left_out": dataset.left_out.json(),
    }


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two records of a dataset; nothing where the fingerprints are equal."""
    if before["fingerprint"] == now["fingerprint"]:
        return []
    old, new = (dict(zip(record["classes"], record["counts"], strict=True)) for record in (before, now))
    digests = [dict(zip(record["classes"], record["digests"], strict=False)) for record in (before, now)]
    found = [f"class '{words}' is new" for words in new if words not in old]
    found += [f"class '{words}' is gone" for words in old if words not in new]
    for words in [words for words in new if words in old]:
        if new[words] != old[words]:
            found.append(f"'{words}' has {new[words]:,} images instead of {old[words]:,}")
        elif digests[0].get(words) != digests[1].get(words):
            found.append(f"'{words}' has other images ({new[words]:,})")
    if not found:
        return ["masks, domains or the order of classes are others"]
    rest = len(found) - MOST_CHANGES
    return found[:MOST_CHANGES] + ([f"and {rest:,} more classes"] if rest > 0 else [])


def refuse_other_images(
    folder: object, before: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> None:
    """Refuse to go on with a result that was computed from other images.

    Args:
        folder: The result folder, for the message.
        before: Records of the datasets that the result names; none for a result of an older version.
        now: Records of the datasets as they are.

    Raises:
        UserError: A dataset is another one; says what changed.
    """
    keys = ("name", "path", "crop", "bands", "stretch", "per_cell")
    old = {tuple(record.get(key) for key in keys): record for record in before}
    for record in now:
        earlier = old.get(tuple(record.get(key) for key in keys))
        if earlier is not None and (found := changes(earlier, record)):
            prints = [str(one["fingerprint"])[:DIGITS] for one in (earlier, record)]
            raise UserError(
                f"{shown(str(folder))}: the images of dataset '{record['name']}' are not those that this "
                f"result began with: {'; '.join(found)} (fingerprint {prints[0]} then, {prints[1]} now). "
                "Restore the images, or start anew in another folder (--out)"
            )


def _class_digests(dataset: Dataset) -> list[str]:
    """Return a digest over the files of each class, whatever their names; none where images are no files."""
    files = dataset.digests
    if not len(files):
        return []
    digests = []
    for label in range(len(dataset.classes)):
        members = sorted(files[int(index)] for index in np.flatnonzero(dataset.labels == label))
        digests.append(hashlib.sha256(b"".join(members)).hexdigest()[:DIGITS])
    return digests
