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

from raysim.core.errors import DamagedFile, UserError
from raysim.storage.seal import BLANK, KEY, is_intact, seal

SCHEMA = 2  # version of the files of a result; 1 has no digests. Increase it when a file means something else
EDITED = (  # remedy for a file that a user may have changed
    "undo the change or put a copy of the file back; if you changed it on purpose, delete its line "
    f"with {KEY}"
)


def shipped_folder(name: str) -> Path:
    """Return `search_spaces` or `analysis`: beside the package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    packed = package / "_shipped" / name
    return packed if packed.exists() else package.parent / name


def temporary_path(path: Path) -> Path:
    """Return the hidden file in which this process writes a file before it takes its place."""
    return path.with_name(f".{path.name}.{os.getpid()}")


def write_bytes(path: Path, data: bytes, lasting: bool = True) -> None:
    """Write a file whole or not at all.

    Args:
        path: The file; its folder is made.
        data: Its contents.
        lasting: Whether the disk must have stored it before this returns, so that it outlives a power cut.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    with open(temporary, "wb") as file:
        file.write(data)
        if lasting:
            file.flush()
            os.fsync(file.fileno())
    try:
        os.replace(temporary, path)
    except OSError:  # a folder has its name
        temporary.unlink(missing_ok=True)
        raise
    if lasting:
        flush(path.parent)


def flush(path: Path) -> None:
    """Return when the disk has stored a file's contents, or a folder's names; nothing where it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # a compacted part
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, lasting: bool = True) -> None:
    """Write a text file whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode(), lasting)


def write_json(path: Path, values: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=1) + "\n")


def sealed_json(values: Mapping[str, Any]) -> bytes:
    """Return a JSON object with the version of raysim's files and its own digest (`raysim.storage.seal`)."""
    text = json.dumps({**values, "schema": SCHEMA, KEY: BLANK}, indent=1)
    return seal(f"{text}\n".encode())


def read_bytes(path: Path, remedy: str) -> bytes:
    """Return the contents of a file that raysim wrote.

    Args:
        path: The file.
        remedy: What to do where it is damaged, for the message.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or its bytes are not those that were sealed.
    """
    refuse_odd(path, remedy)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise damaged(path, f"it cannot be read: {error.strerror}", remedy) from None
    if not is_intact(data):
        raise damaged(path, "its contents are not what raysim wrote: the digest in it differs", remedy)
    return data


def refuse_odd(path: Path, remedy: str) -> None:
    """Refuse what stands in the place of a file and is none: a folder, a pipe, a link that leads nowhere.

    Raises:
        DamagedFile: Such a thing is there.
    """
    if path.is_file():
        return
    if path.exists():
        raise damaged(
            path, f"it is a {'folder' if path.is_dir() else 'device or a pipe'}, not a file", remedy
        )
    if path.is_symlink():
        raise damaged(path, "it is a link that leads nowhere", remedy)


def damaged(path: Path, why: str, remedy: str) -> DamagedFile:
    """Return the error of a damaged file."""
    return DamagedFile(f"{path} is damaged ({why})", remedy)


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """Read a JSON object that raysim wrote, without its seal; empty where there is no file.

    Raises:
        DamagedFile: It is no JSON object, or not what was written.
        UserError: It is of a later version of raysim.
    """
    try:
        data = read_bytes(path, remedy)
    except FileNotFoundError:
        return {}
    try:
        values = json.loads(data)
    except (ValueError, RecursionError) as error:  # of the parser's words the place alone helps a reader
        raise damaged(path, f"it is no JSON{place_in_json(error)}", remedy) from None
    if not isinstance(values, dict):
        raise damaged(path, "it is no JSON object", remedy)
    version = values.pop("schema", 1)
    if type(version) is not int or version < 1:
        raise damaged(path, f"schema = {version!r} should be a whole number from 1 to {SCHEMA}", remedy)
    if version > SCHEMA:
        raise UserError(
            f"{path}: is of a later raysim (version {version} of its files, this one reads up to {SCHEMA}); "
            "use the raysim that wrote it, or a later one"
        )
    values.pop(KEY, None)
    return values


def place_in_json(error: Exception) -> str:
    """Return `, at line 3, column 5` where a parser gave up; empty where it does not say."""
    if isinstance(error, json.JSONDecodeError):
        return f", at line {error.lineno}, column {error.colno}"
    return ""


def read_record(folder: Path) -> dict[str, Any]:
    """Return the contents of `run.json`; empty where there is none yet.

    Raises:
        DamagedFile: It is damaged, or was changed by hand.
        UserError: It is of a later version of raysim.
    """
    return read_object(
        folder / "run.json",
        EDITED,
    )


def write_record(folder: Path, values: Mapping[str, Any]) -> None:
    """Write `run.json`."""
    write_bytes(folder / "run.json", sealed_json(values))


def write_table(path: Path, table: pa.Table, lasting: bool = True) -> None:
    """Write a sealed Parquet file whole or not at all."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, table.schema) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({KEY: BLANK})
    write_bytes(path, seal(sink.getvalue().to_pybytes()), lasting)


def read_table(path: Path, remedy: str) -> pa.Table:
    """Read a Parquet file that raysim wrote.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or is not what was written.
    """
    try:
        return pq.ParquetFile(pa.BufferReader(read_bytes(path, remedy))).read().replace_schema_metadata()
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise damaged(path, f"it is no whole Parquet file: {first_line(error)}", remedy) from None


def first_line(error: Exception) -> str:
    """Return the beginning of an error's message, for a message of one line."""
    return (str(error) or type(error).__name__).splitlines()[0][:120]


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
        str(folder).encode()
    except UnicodeEncodeError:
        raise UserError(f"--out {str(folder)!r}: is no name in UTF-8; choose another folder") from None
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
    except OSError as error:
        raise UserError(
            f"{lock.lock_file}: cannot be locked ({error.strerror}); remove what is there"
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
