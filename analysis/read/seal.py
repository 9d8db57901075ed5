"""Check of the seal of a file: the SHA-256 that raysim keeps in the file itself (`raysim/storage/seal.py`).

The digest stands behind the key `raysim_sha256`, and is taken over the file with 64 zeros in its place. A
file without the key is of an earlier version.
"""

from __future__ import annotations

import hashlib
import re

KEY = b"raysim_sha256"
SEAL = re.compile(re.escape(KEY) + rb".{2,5}?([0-9a-f]{64})", re.DOTALL)


def is_intact(data: bytes) -> bool:
    """Return whether the bytes of a file are those that were sealed; true for a file without a seal."""
    key = data.rfind(KEY)
    found = SEAL.match(data, key) if key >= 0 else None
    if found is None:
        return True
    view, total = memoryview(data), hashlib.sha256()
    for part in (view[: found.start(1)], b"0" * 64, view[found.end(1) :]):
        total.update(part)
    return total.hexdigest().encode() == found[1]
