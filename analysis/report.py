"""From a result folder to its page, as HTML and as Markdown."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

from .look.metric import worded
from .look.page import Exhibit, Page
from .look.style import svg
from .pages import html, markdown
from .pages.run_page import run_page
from .pages.sensitivity_page import sensitivity_page
from .pages.stress_page import stress_page
from .pages.sweep_page import sweep_page
from .read.results import Results, open_results

PAGES = {"run": run_page, "sweep": sweep_page, "stress": stress_page}
BESIDE = {
    "sweep": sensitivity_page
}  # a second page, linked with the first, where there is anything to say on it


def write_report(folder: Path) -> Path:
    """Write the report of a run or a sweep, finished or not, from its files alone.

    Args:
        folder: A result folder (what `--out` named).

    Returns:
        The path of `report/index.html`; `report/index.md` says the same, and the figures of both stand in
        `report/figures/`. Beside it may stand other pages (`sensitivity.html`, `sensitivity.md`), linked both
        ways.

    Raises:
        ValueError: The folder is not a result folder.
    """
    folder = Path(folder)
    results = open_results(folder)
    pages = pages_of(results)
    if results.meta.get("status", "running") == "running":
        written = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        pages = [dataclasses.replace(page, written=written) for page in pages]
    return write(pages, folder / "report")


def page_of(results: Results) -> Page:
    """The page of a run or a sweep, in the word of its metric."""
    return worded(PAGES[results.kind](results), results.metric)


def pages_of(results: Results) -> list[Page]:
    """All pages, the main one first, each with links to the others."""
    second = BESIDE[results.kind](results) if results.kind in BESIDE else None
    pages = [page_of(results), *([worded(second, results.metric)] if second else [])]
    titles = [(page.name, page.title) for page in pages]
    return [
        dataclasses.replace(page, links=[link for link in titles if link[0] != page.name]) for page in pages
    ]


def write(pages: Sequence[Page], folder: Path) -> Path:
    """Write pages into `folder`, each file whole or not at all; returns the path of the first. Pages share drawings of one key."""
    panels = [
        panel for page in pages for part in page.parts() if isinstance(part, Exhibit) for panel in part.panels
    ]
    drawings = {panel.key: svg(panel.figure, panel.key) for panel in panels}
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for key, drawing in drawings.items():
        _replace(figures / f"{key}.svg", drawing)
    written = []
    for page in reversed(pages):  # the first last: what it links to is there
        _replace(folder / f"{page.name}.md", markdown.render(page))
        written.append(_replace(folder / f"{page.name}.html", html.render(page, drawings)))
    for stale in {file.name for file in figures.glob("*.svg")} - {f"{key}.svg" for key in drawings}:
        (figures / stale).unlink(missing_ok=True)
    return written[-1]


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
