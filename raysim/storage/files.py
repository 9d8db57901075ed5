"""Files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from raysim.core.errors import UserError


def shipped(name: str) -> Path:
    """The folder `search_spaces` or `analysis`: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "_shipped" / name
    return inside if inside.exists() else package.parent / name


def write_text(path: Path, text: str, lasting: bool = True) -> None:
    """Write a file whole or not at all; where it is `lasting`, on the disk itself before this returns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with open(beside, "w") as file:
        file.write(text)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    os.replace(beside, path)


def write_json(path: Path, values: Any) -> None:
    """Plain data as indented JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def write_table(path: Path, table: pa.Table) -> None:
    """A Parquet file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, beside)
    os.replace(beside, path)


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Rows as a table; columns not named here are float64, missing values are null."""
    names = list(columns) + sorted({name for row in rows for name in row} - set(columns))
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], columns.get(name, pa.float64())) for name in names}
    )


def make_folder(folder: Path) -> Path:
    """Create a result folder.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe.{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot be written ({error.strerror}); choose a folder that you may write to"
        ) from None
    return folder


def hold(folder: Path, seconds: float = 0) -> FileLock:
    """Lock a result folder for this process, waiting at most so long: two runs must not write to one folder.

    Raises:
        UserError: another process holds it.
    """
    lock = FileLock(make_folder(folder) / ".lock")
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise UserError(
            f"--out {folder}: another process is writing there; wait for it or choose another folder"
        ) from None
    return lock


def open_or_resume(folder: Path, begun: Mapping[str, Any], differs: str, resume: bool) -> dict[str, Any]:
    """What `run.json` of a sweep or stress run says that is to be continued; `begun` where the folder is new.

    Args:
        folder: The result folder.
        begun: Its id and kind, and more.
        differs: What makes another id, in words.
        resume: Whether it was asked to go on.

    Raises:
        UserError: the folder holds another one; or the same, and nobody said to go on.
    """
    path, kind = folder / "run.json", begun["kind"]
    described = dict(json.loads(path.read_text())) if path.exists() else dict(begun)
    if described.get("id") != begun["id"]:
        raise UserError(
            f"--out {folder}: holds {described.get('kind', 'run')} {described.get('id')}, this is {kind} "
            f"{begun['id']} ({differs}); "
            "say what was said then, or choose another folder"
        )
    if path.exists() and not resume:
        raise UserError(
            f"--out {folder}: holds this {kind} already ({described['status']}); continue it with --resume "
            "or choose another folder"
        )
    return described
