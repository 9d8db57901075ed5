"""Write the pages of a result folder, as HTML and as Markdown."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from .explore import title_of_page, write_explore
from .look.output import write_whole
from .look.page import Page, panels_of
from .look.style import svg
from .pages import html, markdown
from .pages.run_page import run_page
from .pages.sensitivity_page import sensitivity_page
from .pages.stress_page import stress_page
from .pages.sweep_page import sweep_page
from .read.results import NoResult, Results, open_results
from .verdicts import verdict_tables

PAGES = {"run": run_page, "sweep": sweep_page, "stress": stress_page}


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
    refuse_odd(folder)
    verdict_tables(results)
    write_explore(results, folder / "report")
    return write(pages_of(results), folder / "report")


def refuse_odd(folder: Path) -> None:
    """Refuse to write a report through a link, or where something else has the name of a folder or a file.

    Raises:
        NoResult: Such a thing is there.
    """
    report, tables = folder / "report", folder / "tables"
    for place in (report, report / "figures", *(tables / name for name in ("verdicts", "estimates"))):
        if place.is_symlink() or (place.exists() and not place.is_dir()):
            raise NoResult(f"{place}: is no folder of this result, but a link or a file; remove it")
    names = [f"{name}.{end}" for name in ("index", "sensitivity", "explore") for end in ("html", "md")]
    files = [tables / name / f"{name}.parquet" for name in ("verdicts", "estimates")]
    for place in (*(report / name for name in names), *files):
        if place.is_dir():
            raise NoResult(f"{place}: is a folder, where a file of the report belongs; remove it")


def page_of(results: Results) -> Page:
    """Make the main page of a run, a sweep or a stress run."""
    return PAGES[results.kind](results)


def pages_of(results: Results) -> list[Page]:
    """Make all pages, the main one first, each with links to the others."""
    second = sensitivity_page(results) if results.kind == "sweep" else None
    pages = [page_of(results), *([second] if second else [])]
    titles = [*((page.name, page.title) for page in pages), ("explore.html", title_of_page(results))]
    return [
        dataclasses.replace(page, links=[link for link in titles if link[0] != page.name]) for page in pages
    ]


def write(pages: Sequence[Page], folder: Path) -> Path:
    """Write pages, the main one first, with their drawings, each file whole; return that of the main page.

    Panels of one key are one drawing.
    """
    panels = [panel for page in pages for part in page.parts() for panel in panels_of(part)]
    drawings = {panel.key: svg(panel.figure, panel.key) for panel in panels}
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    files = {write_whole(figures / f"{key}.svg", drawing) for key, drawing in drawings.items()}
    for page in reversed(pages):  # the main page last, when the pages that it links to are there
        write_whole(folder / f"{page.name}.md", markdown.render(page))
        write_whole(folder / f"{page.name}.html", html.render(page, drawings))
    for stale in set(figures.glob("*.svg")) - files:
        stale.unlink(missing_ok=True)
    return folder / f"{pages[0].name}.html"
