"""From a result folder to its page, as HTML and as Markdown."""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from .metric import worded
from .page import Exhibit, Page
from .pages import html, markdown
from .pages.run_page import run_page
from .pages.stress_page import stress_page
from .pages.sweep_page import sweep_page
from .results import Results, open_results
from .style import svg

PAGES = {"run": run_page, "sweep": sweep_page, "stress": stress_page}


def write_report(folder: Path) -> Path:
    """Write the report of a run or a sweep, finished or not, from its files alone.

    Args:
        folder: A result folder (what `--out` named).

    Returns:
        The path of `report/index.html`; `report/index.md` says the same, and the figures of both stand in `report/figures/`.

    Raises:
        ValueError: The folder is not a result folder.
    """
    folder = Path(folder)
    results = open_results(folder)
    page = page_of(results)
    if results.meta.get("status", "running") == "running":
        page = dataclasses.replace(page, written=time.strftime("%Y-%m-%d %H:%M:%S %Z"))
    return write(page, folder / "report")


def page_of(results: Results) -> Page:
    """The page of a run or a sweep, in the word of its metric."""
    return worded(PAGES[results.kind](results), results.metric)


def write(page: Page, folder: Path) -> Path:
    """Write a page into `folder`, each file whole or not at all; returns the path of `index.html`."""
    panels = [panel for part in page.parts() if isinstance(part, Exhibit) for panel in part.panels]
    drawings = {panel.key: svg(panel.figure, panel.key) for panel in panels}
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for key, drawing in drawings.items():
        _replace(figures / f"{key}.svg", drawing)
    _replace(folder / "index.md", markdown.render(page))
    path = _replace(folder / "index.html", html.render(page, drawings))
    for stale in {file.name for file in figures.glob("*.svg")} - {f"{key}.svg" for key in drawings}:
        (figures / stale).unlink(missing_ok=True)
    return path


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
