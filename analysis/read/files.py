"""Readers of single files: what is damaged is told apart from what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .columns import PARTITION, TABLES
from .seal import is_intact

CHANGED = "its contents are not what raysim wrote: the digest in it differs"
SCHEMA = 2  # latest version of the files that this program reads


class DamagedFile(ValueError):
    """A file that is there but cannot be read; the message is the reason."""


def reason(error: Exception) -> str:
    """Return the first line of an error's message, at most 120 letters."""
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def read_bytes(path: Path) -> bytes:
    """Read a file whose seal, where it has one, is that of its contents.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or is not what was written.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise DamagedFile(reason(error)) from error
    if not is_intact(data):
        raise DamagedFile(CHANGED)
    return data


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
    except ValueError as error:
        raise DamagedFile(reason(error)) from error
    if not isinstance(value, dict):
        raise DamagedFile("it is not a JSON object")
    version = value.get("schema", 1)
    if not isinstance(version, int) or version > SCHEMA:
        raise DamagedFile(f"it is of a later raysim: version {version}, this one reads up to {SCHEMA}")
    return value


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file, which is a part of the table that its folder is named after.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or is of another program.
    """
    try:
        table = pq.ParquetFile(pa.BufferReader(read_bytes(path))).read().replace_schema_metadata()
        if foreign := foreign_column(path, table.schema):
            raise DamagedFile(f"it is no table of raysim: {foreign}")
        return table
    except (FileNotFoundError, DamagedFile):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(reason(error)) from error


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
