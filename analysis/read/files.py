"""Readers of single files: what is damaged is told apart from what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

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
    """Read a Parquet file.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read.
    """
    try:
        return pq.ParquetFile(pa.BufferReader(read_bytes(path))).read().replace_schema_metadata()
    except (FileNotFoundError, DamagedFile):
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DamagedFile(reason(error)) from error
