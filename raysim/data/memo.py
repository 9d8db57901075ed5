"""Small results that are slow to compute from files and needed by every process, kept in the cache folder."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from raysim.core.config import digest
from raysim.core.machine import check_folder, usable_cores
from raysim.data.unreadable import UnreadableImage, all_unreadable

T = TypeVar("T")
Arrays = dict[str, np.ndarray]
LOG = logging.getLogger(__name__)
DIGEST = "raysim_sha256"  # name of the array that holds the digest of the others


def cache_folder(cache_dir: Path | None = None) -> Path:
    """Return the folder of the cache.

    It is the argument, else `$RAYSIM_CACHE`, else `$XDG_CACHE_HOME/raysim`, else `~/.cache/raysim`. A
    relative `$XDG_CACHE_HOME` is ignored, as its standard demands.

    Raises:
        UserError: It is an address in a bucket, not a folder.
    """
    chosen = cache_dir or os.environ.get("RAYSIM_CACHE")
    if chosen:
        check_folder("RAYSIM_CACHE", chosen)
        return Path(chosen).expanduser()
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (caches if caches.is_absolute() else Path("~/.cache").expanduser()) / "raysim"


def remember(folder: Path, name: str, key: Any, compute: Callable[[], Arrays]) -> Arrays:
    """Return the arrays of this key: read from the folder, or computed now and written to it.

    Where the folder cannot be written, every process computes them again.

    Args:
        folder: Folder of the files.
        name: Beginning of the file's name.
        key: Everything on which the arrays depend, as plain data.
        compute: Function that returns named arrays of numbers or texts.

    Returns:
        The arrays.
    """
    from filelock import FileLock

    path = folder / f"{name}-{digest(key, 20)}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            arrays = _read(path)
            if arrays is None:
                arrays = compute()
                beside = path.with_name(f".{path.name}.{os.getpid()}")
                with beside.open("wb") as file:
                    sealed = {**arrays, DIGEST: np.array(_digest(path, arrays))}
                    np.savez_compressed(file, **sealed)  # type: ignore[arg-type]
                os.replace(beside, path)
            return arrays
    except OSError as error:
        LOG.warning(
            "%s cannot be written (%s): every process computes %s again",
            folder,
            error,
            name,
        )
        return compute()


def stamp(files: Sequence[Path]) -> list[list[Any]]:
    """Return path, size and time of change of each file; equal stamps are taken to mean equal content."""
    stats = [(file, file.stat()) for file in files]
    return [[str(file.absolute()), stat.st_size, stat.st_mtime_ns] for file, stat in stats]


def folder_stamp(folder: Path, depth: int) -> str:
    """Return a digest of name, size and time of change of all files in a folder; equal for an unchanged one.

    Args:
        folder: The folder; one that is gone or cannot be listed has a stamp, too.
        depth: Folders below it that are listed as well; 0: of those in it only the names count.
    """
    total = hashlib.sha256()
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        return f"cannot be listed: {error.strerror}"
    for entry in entries:
        total.update(os.fsencode(entry.name) + b"\0")
        try:
            if not entry.is_dir():
                stat = entry.stat()
                total.update(f"{stat.st_size} {stat.st_mtime_ns}".encode())
            elif depth:
                total.update(folder_stamp(Path(entry.path), depth - 1).encode())
        except OSError:  # a link that leads nowhere
            continue
    return total.hexdigest()


def in_threads(work: Callable[[int], T], number: int) -> list[T]:
    """Return `work` of 0 .. number - 1, in this order, computed by a few threads."""
    with ThreadPoolExecutor(min(8, usable_cores())) as pool:
        return list(pool.map(work, range(number)))


def each_readable(name: str, work: Callable[[int], T], number: int) -> list[T]:
    """Return `work` of 0 .. number - 1 where it succeeds for all; else name all images that cannot be read.

    Args:
        name: Name of the dataset.
        work: Function of an image's index.
        number: Number of images.

    Raises:
        UserError: Images cannot be read; the message names the first ones, each with its reason.
    """

    def attempt(index: int) -> tuple[T | None, str]:
        try:
            return work(index), ""
        except UnreadableImage as error:
            return None, error.line

    results = in_threads(attempt, number)
    lines = [line for _, line in results if line]
    if lines:
        raise all_unreadable(name, lines, number)
    return [result for result, _ in results]  # type: ignore[misc]  # none is None


def _digest(path: Path, arrays: Arrays) -> str:
    """Return a digest of arrays and of the name of their file, in which their key stands."""
    total = hashlib.sha256(path.name.encode())
    for name, array in sorted(arrays.items()):
        total.update(f"{name} {array.dtype} {array.shape}".encode())
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _read(path: Path) -> Arrays | None:
    """Return the arrays of a file, or None where there is no file or it is damaged."""
    try:
        with np.load(path) as content:
            arrays = {name: content[name] for name in content.files}
        if str(arrays.pop(DIGEST, "")) != _digest(path, arrays):
            raise ValueError("its contents are not what was written to it")
        return arrays
    except FileNotFoundError:
        return None
    except Exception as error:  # of a damaged zip file: zlib's, struct's, what a wrong flag asks for ...
        LOG.warning("the cache file %s is damaged (%s); it is computed again", path, str(error)[:120])
        return None
