"""What is slow to learn of files and needed by every process that opens them: kept in the cache folder beside the features."""

from __future__ import annotations

import logging
import os
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from filelock import FileLock

from raysim.core.config import digest

T = TypeVar("T")
Arrays = dict[str, np.ndarray]
LOG = logging.getLogger(__name__)


def remember(folder: Path, name: str, key: Any, compute: Callable[[], Arrays]) -> Arrays:
    """What `compute` returns for this key: from the folder, or computed now and kept there.

    A folder that cannot be written costs time, not the answer.

    Args:
        folder: Where the files lie.
        name: What the file's name starts with.
        key: Everything that the answer depends on; plain data.
        compute: Returns named arrays of numbers or texts.

    Returns:
        The arrays.
    """
    path = folder / f"{name}-{digest(key, 20)}.npz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            known = _read(path)
            if known is None:
                known = compute()
                beside = path.with_name(f".{path.name}.{os.getpid()}")
                with beside.open("wb") as file:
                    np.savez_compressed(file, **known)  # type: ignore[arg-type]
                os.replace(beside, path)
            return known
    except OSError as error:
        LOG.warning(
            "%s cannot be written (%s): what is learned of %s is learned again by every process",
            folder,
            error,
            name,
        )
        return compute()


def stamp(files: Sequence[Path]) -> list[list[Any]]:
    """Path, size and time of change of each file: while they stay the same, the content is taken to be the same."""
    found = [(file, file.stat()) for file in files]
    return [[str(file.absolute()), status.st_size, status.st_mtime_ns] for file, status in found]


def in_threads(work: Callable[[int], T], number: int) -> list[T]:
    """`work` for 0 .. number - 1, in order, by a few threads."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(work, range(number)))


def _read(path: Path) -> Arrays | None:
    """The arrays of a file; None where there is none or it is damaged."""
    try:
        with np.load(path) as content:
            return {name: content[name] for name in content.files}
    except (FileNotFoundError, BadZipFile, zlib.error, ValueError, EOFError, KeyError):
        return None
