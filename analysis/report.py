"""From a result folder to its page."""

from __future__ import annotations

from pathlib import Path

from .page import write
from .results import open_results
from .run_page import run_page
from .sweep_page import sweep_page

PAGES = {"run": run_page, "sweep": sweep_page}


def write_report(folder: Path) -> Path:
    """Write the report of a run or a sweep, finished or not, from its files alone.

    Args:
        folder: A result folder (what `--out` named).

    Returns:
        The path of `report/index.html`; the figures stand beside it in `report/figures/`.

    Raises:
        ValueError: The folder is not a result folder.
    """
    folder = Path(folder)
    results = open_results(folder)
    return write(PAGES[results.kind](results), folder / "report")
