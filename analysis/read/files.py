"""Readers of single files: what is damaged is told apart from what is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


class DamagedFile(ValueError):
    """A file that is there but cannot be read; the message is the reason."""


def reason(error: Exception) -> str:
    """Return the first line of an error's message, at most 120 letters."""
    return (str(error) or type(error).__name__).splitlines()[0][:120]


def read_object(path: Path) -> dict[str, Any]:
    """Read a JSON object; empty where there is no file.

    Raises:
        DamagedFile: It is no JSON object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise DamagedFile(reason(error)) from error
    if not isinstance(value, dict):
        raise DamagedFile("it is not a JSON object")
    return value


def read_table(path: Path) -> pa.Table:
    """Read a Parquet file.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read.
    """
    try:
        return pq.ParquetFile(path).read()
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedFile(reason(error)) from error
