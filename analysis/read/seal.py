"""The seal of a file: the SHA-256 that raysim keeps in the file itself (`raysim/storage/seal.py`).

The digest stands behind the key `raysim_sha256`, and is taken over the file with 64 zeros in its place. A
file without the key is of an earlier version.
"""

from __future__ import annotations

import hashlib
import re

KEY = b"raysim_sha256"
SEAL = re.compile(re.escape(KEY) + rb".{2,5}?([0-9a-f]{64})", re.DOTALL)


BLANK = b"0" * 64  # stands in the place of the digest while the digest is taken


def is_intact(data: bytes) -> bool:
    """Return whether the bytes of a file are those that were sealed; true for a file without a seal."""
    place = _find(data)
    return place is None or _digest(data, place.start(1)) == place[1]


def sealed(data: bytes) -> bytes:
    """Return the bytes of a file with its digest in the place of the zeros behind the key."""
    place = _find(data)
    if place is None:
        raise ValueError(f"the file has no key {KEY.decode()}")
    return b"".join([data[: place.start(1)], _digest(data, place.start(1)), data[place.end(1) :]])


def _find(data: bytes) -> re.Match[bytes] | None:
    """Return where the seal stands; None where there is none."""
    key = data.rfind(KEY)
    return SEAL.match(data, key) if key >= 0 else None


def _digest(data: bytes, start: int) -> bytes:
    """Return the digest of a file, in hex, whose digest begins at `start`."""
    view, total = memoryview(data), hashlib.sha256()
    for part in (view[:start], BLANK, view[start + len(BLANK) :]):
        total.update(part)
    return total.hexdigest().encode()
