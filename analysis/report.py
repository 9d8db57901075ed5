"""Write the pages of a result folder, as HTML and as Markdown."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from markupsafe import Markup

from .explore.page import title_of_page, write_explore
from .look.page import Cell, Page, Table, environment, show, slug, write_whole
from .look.style import inline, svg
from .pages.run_page import run_page
from .pages.stress_page import stress_page
from .pages.sweep_page import sensitivity_page, sweep_page
from .read.results import NoResult, Results, open_results
from .verdicts import verdict_tables

# Kind of a result folder -> what makes its main page.
PAGES = {"run": run_page, "sweep": sweep_page, "stress": stress_page}
RELOAD = 60  # seconds after which the page of a running sweep reloads itself
SPECIAL = re.compile(r"([\\`*_{}\[\]|$~#])")
CODE = re.compile(r"(`[^`\\]+`)")  # a command in a sentence


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


def pages_of(results: Results) -> list[Page]:
    """Make all pages, the main one first, each with links to the others."""
    second = sensitivity_page(results) if results.kind == "sweep" else None
    pages = [PAGES[results.kind](results), *([second] if second else [])]
    titles = [*((page.name, page.title) for page in pages), ("explore.html", title_of_page(results))]
    return [
        dataclasses.replace(page, links=[link for link in titles if link[0] != page.name]) for page in pages
    ]


def write(pages: Sequence[Page], folder: Path) -> Path:
    """Write pages, the main one first, with their drawings, each file whole; return that of the main page.

    Panels of one key are one drawing.
    """
    panels = [panel for page in pages for exhibit in page.exhibits() for panel in exhibit.panels]
    drawings = {panel.key: svg(panel.figure, panel.key) for panel in panels}
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    files = {write_whole(figures / f"{key}.svg", drawing) for key, drawing in drawings.items()}
    for page in reversed(pages):  # the main page last, when the pages that it links to are there
        write_whole(folder / f"{page.name}.md", markdown(page))
        write_whole(folder / f"{page.name}.html", html(page, drawings))
    for stale in set(figures.glob("*.svg")) - files:
        stale.unlink(missing_ok=True)
    return folder / f"{pages[0].name}.html"


def html(page: Page, drawings: Mapping[str, str]) -> str:
    """Write a page as HTML without links to other servers, with the SVG text of each panel by its key."""
    panels = {
        panel.key: panel.alt or ". ".join(p for p in (panel.title or exhibit.title, exhibit.says) if p)
        for exhibit in page.exhibits()
        for panel in exhibit.panels
    }
    filters = {
        "slug": slug,
        "lines": lambda text: Markup("<br>").join(str(text).split("\n")),
        "words": lambda text: _explained(text, page.glossary),
    }
    drawn = {key: Markup(inline(drawings[key], title)) for key, title in panels.items()}
    return _rendered("report.html", page, filters, svg=drawn, reload=RELOAD if page.written else 0)


def markdown(page: Page) -> str:
    """Write a page as Markdown; its figures are in `figures/` beside it."""
    filters = {
        "text": markdown_text,
        "sentence": markdown_sentence,
        "grid": markdown_table,
        "code": markdown_code,
        "plain": escape,
    }
    return "\n".join(_squeezed(_rendered("report.md", page, filters).split("\n"))).strip() + "\n"


def _rendered(template: str, page: Page, filters: Mapping[str, Any], **values: Any) -> str:
    """Fill in a template of a page; `values` are what it needs beside the page."""
    env, names = environment(Path(__file__).parent / "pages" / "templates"), page.names()
    env.filters |= {"show": show, **filters}
    env.tests["number"] = lambda value: isinstance(value, int | float) and not isinstance(value, bool)
    values |= {"kind": lambda part: type(part).__name__, "name": lambda part: names.get(id(part), "")}
    return env.get_template(template).render(page=page, **values)


def _explained(text: str, glossary: Mapping[str, str]) -> Any:
    """Return the text as HTML; each word of the glossary leads once to its meaning; `code` is code."""
    left = {term: meaning for term, meaning in glossary.items() if term in text}
    words = "|".join([r"`[^`]+`", *(rf"\b{re.escape(term)}\b" for term in left)])
    link = Markup('<a class="word" href="#word-{}" title="{}">{}</a>')
    pieces = list[Any]()
    for piece in re.split(f"({words})", text):
        if piece.startswith("`"):
            pieces.append(Markup("<code>{}</code>").format(piece[1:-1]))
        elif meaning := left.pop(piece, ""):
            pieces.append(link.format(slug(piece), meaning, piece))
        else:
            pieces.append(piece)  # joining escapes it
    return Markup("").join(pieces)


def _squeezed(lines: Iterable[str]) -> Iterator[str]:
    """Reduce several empty lines to one, outside of code."""
    previous, fence = "", ""
    for line in lines:
        if not fence and not line and not previous:
            continue
        if line.startswith("```"):
            fence = "" if line == fence else fence or line.rstrip("abcdefghijklmnopqrstuvwxyz")
        yield line
        previous = line


def markdown_code(source: str, language: str = "") -> str:
    """Write a code block; its fence is longer than any inside."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", source))])
    return f"{fence}{language}\n{source}\n{fence}"


def markdown_table(table: Table) -> str:
    """Write a table as Markdown."""
    head = [[markdown_text(str(name)) for name in table.columns], ["---"] * len(table.columns)]
    body = [[_cell(value) for value in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *body])


def _cell(value: Any) -> str:
    if not isinstance(value, Cell):
        return markdown_text(show(value))
    if value.look == "again":
        return ""
    words = "; ".join(markdown_text(line) for line in show(value.text).split("\n"))
    inside = value.link.startswith("#")  # Markdown makes its own anchors
    return f"[{words}]({value.link})" if value.link and not inside else words


def markdown_text(words: str) -> str:
    """Escape a text, so that nothing in it is markup."""
    return _escaped(" ".join(str(words).split()))


def markdown_sentence(words: str) -> str:
    """Escape a sentence, but for the command in it, which is between backticks."""
    pieces = CODE.split(" ".join(words.split()))
    return "".join(piece if place % 2 else _escaped(piece) for place, piece in enumerate(pieces))


def _escaped(words: str) -> str:
    return SPECIAL.sub(r"\\\1", escape(words, quote=False))
