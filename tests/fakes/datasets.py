"""Loading of datasets that fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.data.registry import load_dataset


def error_of(name: str, path: Path | str | None = None) -> str:
    """The message of the error when a dataset is loaded: one line."""
    with pytest.raises(UserError) as error:
        load_dataset(name, None if path is None else str(path))
    assert "\n" not in str(error.value)
    return str(error.value)
