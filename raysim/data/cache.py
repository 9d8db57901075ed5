"""Cache of one large array per key: an Arrow file that every process maps into memory.

The file holds a single record batch with a fixed-shape-tensor column, so that the mapped file is the array.
The key and the SHA-256 of the array are kept in the file and compared when it is opened.

Shapes: N images, B images a block.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from filelock import FileLock

from raysim.core.config import canonical_json, digest
from raysim.core.errors import UserError
from raysim.data.memo import cache_folder

LOG = logging.getLogger(__name__)


class Supplier(Protocol):
    """The caches of other hosts, as this process sees them."""

    def fetch(self, path: Path) -> bool:
        """Write the file that another host has computed; False where this host is to compute it."""

    def watched(self, path: Path, blocks: Iterator[np.ndarray], images: int) -> Iterator[np.ndarray]:
        """Pass on the blocks of a file that is computed here."""

    def offer(self, path: Path) -> None:
        """Offer a file that was computed here to other hosts."""


_suppliers: list[Supplier] = []  # of this process: one where it serves a cluster, else none


def supply_from(supplier: Supplier) -> None:
    """Ask other hosts for what this host's cache lacks, from now on."""
    _suppliers[:] = [supplier]


def cached_array(
    name: str,
    key: dict[str, Any],
    images: int,
    cache_dir: Path | None,
    compute: Callable[[], Iterator[np.ndarray]],
    *,
    sent: bool = True,
) -> np.ndarray:
    """Return the array of this name and key, computed and written now where the cache does not have it.

    Safe when several processes ask at once: one computes, the others wait. A damaged file is computed again,
    with a warning.

    Args:
        name: Beginning of the file's name.
        key: Everything on which the array depends, as plain data.
        images: Number N of the array's rows.
        cache_dir: Folder of the cache, as for `cache_folder`.
        compute: Function that yields the array in blocks. [B, ...]
        sent: Whether hosts of a cluster send it to each other; not where computing it again is cheaper.

    Returns:
        A read-only memory map. [N, ...]

    Raises:
        UserError: The folder cannot be written, or the file cannot be read back.
    """
    folder = cache_folder(cache_dir)
    path = folder / f"{name}-{digest(key, 20)}.arrow"
    cached = _load(path, canonical_json(key), images) if path.exists() else None
    if cached is not None:
        return cached
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            cached = _load(path, canonical_json(key), images) if path.exists() else None
            if cached is None:
                if path.exists():
                    LOG.warning(
                        "the cache file %s is damaged or of another version; it is computed again", path
                    )
                suppliers = _suppliers if sent else []
                cached = _supplied(path, canonical_json(key), images, compute, suppliers)
    except OSError as error:
        raise UserError(
            f"cannot write the feature cache in {folder} ({error.strerror or error}); set RAYSIM_CACHE to "
            "a folder with write permission and free space"
        ) from error
    if cached is None:
        raise UserError(
            f"the cache file {path} cannot be read back right after it was written: set RAYSIM_CACHE to a "
            "sound disk"
        )
    return cached


def _supplied(
    path: Path,
    key: str,
    images: int,
    compute: Callable[[], Iterator[np.ndarray]],
    suppliers: Sequence[Supplier],
) -> np.ndarray | None:
    """Get the file from another host, or compute it here and offer it; return its array."""
    for supplier in suppliers:
        if supplier.fetch(path) and (fetched := _load(path, key, images)) is not None:
            return fetched
        _store(path, key, supplier.watched(path, compute(), images))
        supplier.offer(path)
    if not suppliers:
        _store(path, key, compute())
    return _load(path, key, images)


def _store(path: Path, key: str, blocks: Iterator[np.ndarray]) -> None:
    """Write the blocks as one Arrow file, which gets its name when it is complete.

    The blocks go to a plain file first, which is then mapped and written as one record batch, so that the
    whole array is never in memory.
    """
    plain, scratch = path.with_suffix(".blocks"), path.with_suffix(".building")
    content, shape, dtype = hashlib.sha256(), (0,), np.dtype(np.uint8)
    try:
        with plain.open("wb") as file:
            for block in blocks:
                block = np.ascontiguousarray(block)
                content.update(block.data)
                file.write(block.data)
                shape, dtype = (shape[0] + len(block), *block.shape[1:]), block.dtype
        tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(
            np.memmap(plain, dtype=dtype, mode="r", shape=shape)
        )
        schema = pa.schema(
            [pa.field("values", tensors.type)],
            metadata={"raysim.key": key, "raysim_sha256": content.hexdigest()},
        )
        with pa.OSFile(str(scratch), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch([tensors], schema=schema))
        os.replace(scratch, path)
    finally:
        plain.unlink(missing_ok=True)
        scratch.unlink(missing_ok=True)


def _load(path: Path, key: str, images: int) -> np.ndarray | None:
    """Map the file and check its key and content; return None where they differ from what was written."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        metadata = reader.schema.metadata or {}
        if metadata.get(b"raysim.key") != key.encode() or reader.num_record_batches != 1:
            return None
        values = reader.get_batch(0).column("values").to_numpy_ndarray()
    except (pa.ArrowException, OSError, KeyError, AttributeError, ValueError):
        return None
    if len(values) != images or hashlib.sha256(values.data).hexdigest().encode() != metadata.get(
        b"raysim_sha256"
    ):
        return None
    return values
