"""Seal of a file: the SHA-256 of its bytes, kept inside the file itself.

A file that raysim reads back carries a key `raysim_sha256` with 64 hexadecimal digits: in the footer of a
Parquet file, in the header of a safetensors file, as the last key of a JSON object. The digest is taken over
all bytes of the file, with 64 zeros in the place of the digest. So every bit of the file is covered, the file
can be copied anywhere, and other programs read it as before. A file without the key is of an earlier version.

`analysis/read/files.py` checks the same seal, because it may not import this package.
"""

from __future__ import annotations

import hashlib
import re

KEY = "raysim_sha256"
BLANK = "0" * 64  # stands in the place of the digest while the digest is taken
_SEAL = re.compile(re.escape(KEY).encode() + rb".{2,5}?([0-9a-f]{64})", re.DOTALL)


def seal(data: bytes) -> bytes:
    """Return the bytes of a file with its digest in the place of the zeros behind the key."""
    start = _place(data)
    if start is None:
        raise ValueError(f"the file has no key {KEY}")
    return b"".join([data[:start], _digest(data, start), data[start + len(BLANK) :]])


def is_intact(data: bytes) -> bool:
    """Return whether the bytes of a file are those that were sealed; true for a file without a seal."""
    start = _place(data)
    return start is None or data[start : start + len(BLANK)] == _digest(data, start)


def _place(data: bytes) -> int | None:
    """Return where the digest begins; None where there is none."""
    key = data.rfind(KEY.encode())
    found = _SEAL.match(data, key) if key >= 0 else None
    return found.start(1) if found else None


def _digest(data: bytes, start: int) -> bytes:
    """Return the digest of a file, in hex, whose digest begins at `start`."""
    view, total = memoryview(data), hashlib.sha256()
    for part in (view[:start], BLANK.encode(), view[start + len(BLANK) :]):
        total.update(part)
    return total.hexdigest().encode()
