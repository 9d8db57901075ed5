"""Parts of a page: sections of figures, tables and text. `html` and `markdown` write them as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_ROWS = 400  # rows of the numbers behind a figure that are shown; the query gives all of them


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure. Panels are side by side on paper and below each other on a phone.

    `alt` says what is seen in it; by default that is the title and the sentence above the figure. The
    colours of `pictures` are those of the images; on a dark page they stay as they are.
    """

    key: str
    title: str
    figure: Figure
    alt: str = ""
    pictures: bool = False


@dataclass(frozen=True)
class Cell:
    """A text with a CSS class.

    Attributes:
        text: The text; several lines stand below each other.
        look: A verdict (see `style.VERDICTS`), `code`, `tight` (on one line) or `again` (the same text as in
            the row above).
        hint: A text that appears when the reader points at the cell.
        link: Where the text leads, relative to the page; empty: nowhere.
        code: A command; the text is the line that opens it.
    """

    text: str
    look: str = ""
    hint: str = ""
    link: str = ""
    code: str = ""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        columns: Names of the columns.
        rows: Cells of each row: a text, a number, or a `Cell`.
        caption: Sentences below it.
        source: The SQL that gives its numbers.
        folded: A summary line; where there is one, the table is shown when the reader opens it.
        key: Its id in the page.
        title: Its title.
        says: What it shows, in a sentence above it.
        look: `matrix` (every cell is a tile), `cards` (every row is a card) or empty.
        first: Rows that a phone shows at once; 0: all of them.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    source: str = ""
    folded: str = ""
    key: str = ""
    title: str = ""
    says: str = ""
    look: str = ""
    first: int = 0


@dataclass(frozen=True)
class Exhibit:
    """A figure, or the sentence that says why it is missing.

    Attributes:
        key: Its id in the page.
        title: Its title.
        caption: How to read it.
        source: The SQL that gives its numbers.
        panels: Its drawings.
        numbers: The table of its numbers.
        missing: Why there is no drawing; empty where there is one.
        says: What it shows, in a sentence above it; also what a screen reader is told.
    """

    key: str
    title: str
    caption: str = ""
    source: str = ""
    panels: Sequence[Panel] = ()
    numbers: Table | None = None
    missing: str = ""
    says: str = ""


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

    @property
    def anchor(self) -> str:
        """The id of the heading."""
        return slug(self.title)


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: Its title.
        question: The question that it answers.
        lead: The main sentences; the first is the answer.
        alert: A sentence beside the answer that takes away from it; empty where there is none.
        answer: Tables beside each other right below them.
        notice: What is unfinished or unreadable; empty where nothing is.
        sections: Everything else, in order.
        commands: The commands that repeat every number: the run, then the report.
        flags: Sentences on what went wrong inside the runs.
        written: The time of writing, for a page that will be written again; else empty.
        name: Name of its files, without the suffix.
        links: Name and title of each other page of the report; a page that is no Markdown has its ending.
        glossary: Word -> meaning; the words are explained where the reader points at them.
    """

    title: str
    question: str
    lead: Sequence[str]
    notice: str
    sections: Sequence[Section]
    commands: Sequence[str] = ()
    flags: Sequence[str] = ()
    written: str = ""
    name: str = "index"
    links: Sequence[tuple[str, str]] = ()
    answer: Sequence[Part] = ()
    alert: str = ""
    glossary: Mapping[str, str] = field(default_factory=dict)

    def parts(self) -> Iterator[Part]:
        """Yield all parts, in order."""
        yield from self.answer
        for section in self.sections:
            yield from section.parts

    def names(self) -> dict[int, str]:
        """Return id of a part -> `Figure 1` or `Table 1`; missing figures have no number."""
        names: dict[int, str] = {}
        counts = {"Figure": 0, "Table": 0}
        for part in self.parts():
            if isinstance(part, Text) or (isinstance(part, Exhibit) and part.missing):
                continue
            kind = "Figure" if isinstance(part, Exhibit) else "Table"
            counts[kind] += 1
            names[id(part)] = f"{kind} {counts[kind]}"
        return names


def panels_of(part: Part) -> Sequence[Panel]:
    """Return the drawings of a part."""
    return part.panels if isinstance(part, Exhibit) else ()


def slug(text: str) -> str:
    """Reduce a text to letters, digits and hyphens, for ids and file names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


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
