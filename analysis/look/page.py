"""Parts of a page, the notice on an unfinished folder, templates, and files that are written whole."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..read.results import Results
from .words import short_listing

if TYPE_CHECKING:
    from jinja2 import Environment
    from matplotlib.figure import Figure

NAMES = {"run": "run", "sweep": "sweep", "stress": "stress run"}  # kind of a result folder -> its name
# Complete trials of which a run has no round on disk.
WITHOUT_ROUNDS = """SELECT DISTINCT trial, label
FROM (SELECT trial, label, unnest(runs) AS run FROM trials WHERE state = 'COMPLETE')
WHERE run NOT IN (SELECT run FROM rounds WHERE run IS NOT NULL) ORDER BY trial, label"""
SHOWN_ROWS = 400  # rows of the numbers behind a figure that are shown; the query gives all of them


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure. Panels are side by side on paper and below each other on a phone."""

    key: str
    title: str
    figure: Figure
    alt: str = ""  # what is seen in it; by default its title and the sentence above the figure
    pictures: bool = False  # whether it holds photographs, whose colours stay as they are on a dark page


@dataclass(frozen=True)
class Cell:
    """A text with a CSS class."""

    text: str  # several lines stand below each other
    look: str = ""  # a verdict (`style.VERDICTS`), `code`, `tight` (one line), `again` (as in the row above)
    hint: str = ""  # appears when the reader points at the cell
    link: str = ""  # where the text leads, relative to the page
    code: str = ""  # a command; the text is the line that opens it


@dataclass(frozen=True)
class Table:
    """A table. A cell is a text, a number, or a `Cell`."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""  # sentences below it
    source: str = ""  # the SQL that gives its numbers
    folded: str = ""  # a summary line; where there is one, the reader opens the table
    key: str = ""  # its id in the page
    title: str = ""
    says: str = ""  # what it shows, in a sentence above it
    look: str = ""  # `matrix` (every cell is a tile), `cards` (every row is a card) or empty
    first: int = 0  # rows that a phone shows at once; 0: all of them


@dataclass(frozen=True)
class Exhibit:
    """A figure, or the sentence that says why it is missing."""

    key: str  # its id in the page
    title: str
    caption: str = ""  # how to read it
    source: str = ""  # the SQL that gives its numbers
    panels: Sequence[Panel] = ()
    numbers: Table | None = None  # behind the drawings
    missing: str = ""  # why there is no drawing; empty where there is one
    says: str = ""  # what it shows, in a sentence above it; also what a screen reader is told


@dataclass(frozen=True)
class Text:
    """Paragraphs, a list or a script; with a heading where it has a title."""

    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    code: str = ""
    folded: str = ""
    title: str = ""


Part = Exhibit | Table | Text


@dataclass(frozen=True)
class Section:
    """A heading with facts (name and value) and parts; folded or open."""

    title: str
    parts: Sequence[Part]
    facts: Sequence[tuple[str, str]] = ()
    folded: bool = False


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    question: str  # the one that it answers
    lead: Sequence[str]  # the main sentences; the first is the answer
    notice: str  # what is unfinished or unreadable; empty where nothing is
    sections: Sequence[Section]  # everything behind the answer, in order
    commands: Sequence[str] = ()  # they repeat every number: the run, then the report
    flags: Sequence[str] = ()  # sentences on what went wrong inside the runs
    written: str = ""  # the time of writing, for a page that will be written again; else empty
    name: str = "index"  # of its files, without the suffix
    links: Sequence[tuple[str, str]] = ()  # name and title of each other page; no Markdown: with its ending
    answer: Sequence[Part] = ()  # tables beside each other right below the first sentence
    alert: str = ""  # a sentence beside the answer that takes away from it; empty where there is none
    glossary: Mapping[str, str] = field(default_factory=dict)  # word -> what is said where the reader points

    def parts(self) -> Iterator[Part]:
        """Yield all parts, in order."""
        yield from self.answer
        for section in self.sections:
            yield from section.parts

    def exhibits(self) -> list[Exhibit]:
        """Return the figures among the parts."""
        return [part for part in self.parts() if isinstance(part, Exhibit)]

    def names(self) -> dict[int, str]:
        """Return id of a part -> `Figure 1` or `Table 1`; missing figures have no number."""
        figures = [exhibit for exhibit in self.exhibits() if not exhibit.missing]
        tables = [part for part in self.parts() if isinstance(part, Table)]
        named: dict[str, Sequence[Part]] = {"Figure": figures, "Table": tables}
        return {id(p): f"{kind} {i}" for kind, parts in named.items() for i, p in enumerate(parts, 1)}


def slug(text: str) -> str:
    """Reduce a text to letters, digits and hyphens, for ids and file names.

    Where letters or the sign of a number would be lost, a digest of the text keeps it apart from others.
    """
    lost = re.search(r"[^\x00-\x7f]|(?<![A-Za-z0-9])-[0-9.]|[0-9]e-[0-9]", text)
    digest = f"-{hashlib.sha256(text.encode()).hexdigest()[:6]}" if lost else ""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") + digest or "x"


def run_link(run: str | None) -> str:
    """Return where a run is shown: its curve and its clients on the explore page; empty without a run."""
    return f"explore.html#run={run}" if run else ""


def numbers(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    """Make the folded table of the numbers behind a figure."""
    shown = [[row.get(c) for c in columns] for row in rows[:SHOWN_ROWS]]
    more = f" (the first {SHOWN_ROWS} of {len(rows)} rows)" if len(rows) > SHOWN_ROWS else ""
    return Table(columns, shown, folded=f"The numbers behind it{more}")


def show(value: Any) -> str:
    """Write the value of a cell as text."""
    if value is None or value == "":
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "\u2212")
    if isinstance(value, list | tuple):
        return ", ".join(show(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def notice(results: Results, finished: str = "") -> str:
    """Say what is unfinished, how much is `finished`, and what is unreadable; empty when nothing is."""
    what, so_far = NAMES[results.kind], f": {finished}" if finished else ""
    states = {
        "running": f"This {what} is still running{so_far}, or its command was killed; then the same command "
        "with --resume goes on. The page shows what is on disk so far.",
        "interrupted": f"This {what} was interrupted{so_far}. What is finished is on disk; run the command "
        "again with --resume.",
        "failed": f"This {what} failed{so_far}. The page shows what it left on disk.",
        "done": "",
    }
    status = str(results.meta.get("status", "running"))
    texts = [states.get(status, f"Status: {status}.")]
    if results.meta.get("reason") and status != "done":
        texts.append(f"Reason: {results.meta['reason']}.")
    if results.unreadable:
        damaged = short_listing(sorted(set(results.unreadable)), 6)
        texts.append(f"Left out because they cannot be read: {damaged}.")
    if without := [f"trial {row['trial']} ({row['label']})" for row in results.sql(WITHOUT_ROUNDS)]:
        texts.append(
            "Complete by their rows, but the rounds of their runs are not in this folder "
            f"(tables/rounds): {short_listing(without, 6)}."
        )
    return " ".join(texts).strip()


def written(results: Results) -> str:
    """Return the time, for a page that will be written again; empty where the results are final."""
    running = results.meta.get("status", "running") == "running"
    return time.strftime("%Y-%m-%d %H:%M:%S %Z") if running else ""


def environment(templates: Path) -> Environment:
    """Return a reader of templates: HTML escapes every text, and nothing may be missing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    escaped, loader = select_autoescape(), FileSystemLoader(templates)
    return Environment(
        autoescape=escaped, loader=loader, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def write_whole(path: Path, contents: str | bytes) -> Path:
    """Write a file whole or not at all; return its path."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(contents.encode() if isinstance(contents, str) else contents)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
