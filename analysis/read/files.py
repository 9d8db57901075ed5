"""Readers of single files, and their seal: what is damaged is told apart from what is not there.

The seal is the SHA-256 that raysim keeps in the file itself, behind the key `raysim_sha256`. It is taken over
the file with 64 zeros in its place (`raysim/storage/seal.py`). A file of an earlier version has no key.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .columns import PARTITION, TABLES

KEY = b"raysim_sha256"
SEAL = re.compile(KEY + rb".{2,5}?([0-9a-f]{64})", re.DOTALL)
BLANK = b"0" * 64  # stands in the place of the digest while the digest is taken
RUN_PART = re.compile(r"([0-9a-f]{12})-\d{6}-\w+\.parquet")  # a part of one run
CHANGED = "its contents are not what raysim wrote: the digest in it differs"
SCHEMA = 2  # latest version of the files that this program reads


class DamagedFile(ValueError):
    """A file that is there but cannot be read; the message is the reason."""


def reason(error: Exception) -> str:
    """Return the first line of an error's message, at most 120 letters."""
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def is_intact(data: bytes) -> bool:
    """Return whether the bytes of a file are those that were sealed; true for a file without a seal."""
    return sealed(data) == data


def sealed(data: bytes) -> bytes:
    """Return the bytes of a file with its digest behind the key; without a key, as they are."""
    key = data.rfind(KEY)
    place = SEAL.match(data, key) if key >= 0 else None
    if place is None:
        return data
    before, after = data[: place.start(1)], data[place.end(1) :]
    digest = hashlib.sha256(b"".join([before, BLANK, after])).hexdigest().encode()
    return b"".join([before, digest, after])


def read_bytes(path: Path) -> bytes:
    """Read a file whose seal, where it has one, is that of its contents.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or is not what was written.
    """
    if path.is_symlink() and not path.exists():
        raise DamagedFile("it is a link that leads nowhere")
    if path.exists() and not path.is_file():
        raise DamagedFile("it is not a file")
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(reason(error)) from error
    if not is_intact(data):
        raise DamagedFile(CHANGED)
    if other := _other_run(path, data):
        raise DamagedFile(f"its rows are of run {other}")
    return data


def _other_run(path: Path, data: bytes) -> str:
    """Return the run of the rows of a run's part, where its name says another one; else nothing."""
    named = RUN_PART.fullmatch(path.name)
    if not named:
        return ""
    try:
        rows = pq.ParquetFile(pa.BufferReader(data)).metadata
        groups = [rows.row_group(number) for number in range(rows.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError):
        return ""  # the reader of the table says what is wrong
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    of_run = [column.statistics for column in columns if column.path_in_schema == "run" and column.statistics]
    ends = {end for found in of_run if found.has_min_max for end in (found.min, found.max)}
    return str(next(iter(ends - {named[1]}), ""))


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where there is no file.

    Raises:
        DamagedFile: It is no JSON object.
    """
    try:
        value = json.loads(read_bytes(path))
    except FileNotFoundError:
        return {}
    except DamagedFile:
        raise
    except (ValueError, RecursionError) as error:  # the parser's words say nothing to a reader
        raise DamagedFile("it is no JSON") from error
    if not isinstance(value, dict):
        raise DamagedFile("it is not a JSON object")
    version = value.get("schema", 1)
    if type(version) is not int or version < 1:
        raise DamagedFile(f"schema = {version!r} should be a whole number from 1 to {SCHEMA}")
    if version > SCHEMA:
        raise DamagedFile(f"it is of a later raysim: version {version}, this one reads up to {SCHEMA}")
    return value


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file, which is a part of the table that its folder is named after.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or is of another program.
    """
    data = read_bytes(path)
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read().replace_schema_metadata()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(reason(error)) from error
    if foreign := foreign_column(path, table.schema):
        raise DamagedFile(f"it is no table of raysim: {foreign}")
    return table


def foreign_column(path: Path, schema: pa.Schema) -> str:
    """Return in words why a file is no part of the table that its place names; empty where it is one.

    Files of an earlier version have no seal, and lack columns, but never the first ones.
    """
    alone = path.name == "partition.parquet"
    columns = PARTITION if alone else TABLES.get(path.parent.name, {})
    needed = list(columns)[1:] if alone else list(columns)[:1]
    if missing := [name for name in needed if name not in schema.names]:
        return f"it has no column '{missing[0]}'"
    for name, kind in columns.items():
        if name in schema.names and not _is_of(schema.field(name).type, kind):
            return f"its column '{name}' holds {schema.field(name).type}"
    return ""


def _is_of(held: pa.DataType, kind: str) -> bool:
    """Return whether DuckDB can read a column as this kind."""
    if pa.types.is_null(held):
        return True
    if kind.endswith("[]"):
        return pa.types.is_list(held) and _is_of(held.value_type, kind.removesuffix("[]"))
    if kind in ("VARCHAR", "JSON"):
        return pa.types.is_string(held) or pa.types.is_large_string(held)
    if kind == "BOOLEAN":
        return pa.types.is_boolean(held)
    return pa.types.is_integer(held) or pa.types.is_floating(held)
