"""Write the pages of a result folder, as HTML and as Markdown."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Sequence
from pathlib import Path

from .explore import title_of_page, write_explore
from .look.page import Exhibit, Page
from .look.style import svg
from .pages import html, markdown
from .pages.run_page import run_page
from .pages.sensitivity_page import sensitivity_page
from .pages.stress_page import stress_page
from .pages.sweep_page import sweep_page
from .read.results import Results, open_results
from .verdicts import verdict_tables

PAGES = {"run": run_page, "sweep": sweep_page, "stress": stress_page}
# A second page, linked with the first; a function returns None where a folder has nothing to show on it.
SECOND_PAGES = {"sweep": sensitivity_page}


def write_report(folder: Path) -> Path:
    """Write the report of a run, a sweep or a stress run, finished or not, from its files alone.

    Args:
        folder: A result folder (what `--out` named).

    Returns:
        The path of `report/index.html`. `report/index.md` says the same; the figures of both are in
        `report/figures/`. A sweep may have a second page (`sensitivity.html`, `sensitivity.md`); the two link
        to each other, and to `report/explore.html`, whose figures a reader can filter and brush.

    Raises:
        NoResult: The folder is not a result folder.
    """
    folder = Path(folder)
    results = open_results(folder)
    verdict_tables(results)
    write_explore(results, folder / "report")
    pages = pages_of(results)
    if results.meta.get("status", "running") == "running":
        written = time.strftime("%Y-%m-%d %H:%M:%S %Z")
        pages = [dataclasses.replace(page, written=written) for page in pages]
    return write(pages, folder / "report")


def page_of(results: Results) -> Page:
    """Make the main page of a run, a sweep or a stress run."""
    return PAGES[results.kind](results)


def pages_of(results: Results) -> list[Page]:
    """Make all pages, the main one first, each with links to the others."""
    second = SECOND_PAGES[results.kind](results) if results.kind in SECOND_PAGES else None
    pages = [page_of(results), *([second] if second else [])]
    titles = [(page.name, page.title) for page in pages]
    explore = ("explore.html", title_of_page(results))
    return [
        dataclasses.replace(page, links=[*(link for link in titles if link[0] != page.name), explore])
        for page in pages
    ]


def write(pages: Sequence[Page], folder: Path) -> Path:
    """Write pages with their drawings, each file whole or not at all.

    Args:
        pages: The pages, the main one first; panels of one key are one drawing.
        folder: The folder of the report.

    Returns:
        The path of the main page as HTML.
    """
    panels = [
        panel for page in pages for part in page.parts() if isinstance(part, Exhibit) for panel in part.panels
    ]
    drawings = {panel.key: svg(panel.figure, panel.key) for panel in panels}
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for key, drawing in drawings.items():
        _replace(figures / f"{key}.svg", drawing)
    written = []
    for page in reversed(pages):  # the main page last, when the pages that it links to are there
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
