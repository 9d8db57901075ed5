"""Files and folders of results: whole files, locked folders, and a folder that is opened or resumed."""

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


def shipped_folder(name: str) -> Path:
    """Return `search_spaces` or `analysis`: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    packed = package / "_shipped" / name
    return packed if packed.exists() else package.parent / name


def temporary_path(path: Path) -> Path:
    """Return the hidden file in which this process writes a file before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def write_text(path: Path, text: str, lasting: bool = True) -> None:
    """Write a text file whole or not at all.

    Args:
        path: The file; its folder is made.
        text: Its contents.
        lasting: Whether the disk must have stored it before this returns, so that it outlives a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    with open(temporary, "w") as file:
        file.write(text)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    os.replace(temporary, path)


def write_json(path: Path, values: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_record(folder: Path) -> dict[str, Any]:
    """Return the contents of `run.json`; empty where there is none yet."""
    path = folder / "run.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    pq.write_table(table, temporary)
    os.replace(temporary, path)


def table_of(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, pa.DataType]) -> pa.Table:
    """Return rows as a table; columns that are not in `columns` are float64, missing values are null."""
    names = list(columns) + sorted({name for row in rows for name in row} - set(columns))
    return pa.table(
        {name: pa.array([row.get(name) for row in rows], columns.get(name, pa.float64())) for name in names}
    )


def make_folder(folder: Path) -> Path:
    """Make a result folder and return it.

    Raises:
        UserError: It cannot be written.
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


def lock_folder(folder: Path, seconds: float = 0) -> FileLock:
    """Lock a result folder for this process, because two runs must not write to one folder.

    Args:
        folder: The folder; it is made where there is none.
        seconds: Longest time to wait for another process that holds the lock.

    Raises:
        UserError: Another process still holds it.
    """
    lock = FileLock(make_folder(folder) / ".lock")
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise UserError(
            f"--out {folder}: another process is writing there; wait for it or choose another folder"
        ) from None
    return lock


def open_or_resume(
    folder: Path, new_record: Mapping[str, Any], *, identity: str, resume: bool
) -> dict[str, Any]:
    """Return the `run.json` of the sweep or stress run in a folder, or a new one where the folder is new.

    Args:
        folder: The result folder.
        new_record: What `run.json` holds at the start: at least `id` and `kind`.
        identity: In words, what gives a sweep or stress run another id.
        resume: Whether the user asked to go on with what the folder holds.

    Raises:
        UserError: The folder holds another run; or this one, and the user did not ask to go on.
    """
    kind, record = new_record["kind"], read_record(folder)
    if not record:
        return dict(new_record)
    if record.get("id") != new_record["id"]:
        raise UserError(
            f"--out {folder}: holds {record.get('kind', 'run')} {record.get('id')}, this is {kind} "
            f"{new_record['id']} (its id changes with {identity}); give the same values again, or choose "
            "another folder"
        )
    if not resume:
        raise UserError(
            f"--out {folder}: holds this {kind} already ({record['status']}); continue it with --resume "
            "or choose another folder"
        )
    return record
