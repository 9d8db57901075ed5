"""The report: `analysis/` is loaded by file path and reads result files only."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from raysim.config import UserError
from raysim.spaces import shipped


def write_report(folder: Path) -> Path:
    """Write DIR/report/index.html and its figures; returns the page.

    Raises:
        UserError: the folder holds no result.
    """
    if "analysis" not in sys.modules:
        root = shipped("analysis")
        spec = importlib.util.spec_from_file_location("analysis", root / "__init__.py", submodule_search_locations=[str(root)])
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["analysis"] = module
        spec.loader.exec_module(module)
    try:
        page: Path = sys.modules["analysis"].write_report(folder)
    except ValueError as error:
        raise UserError(str(error)) from None
    return page
