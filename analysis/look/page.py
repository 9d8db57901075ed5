"""What a report is made of: sections of figures, tables and text. `html` and `markdown` make files of it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_ROWS = 400  # of the numbers behind a figure; the query gives all of them


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure. Panels stand side by side on paper and one under the other on a phone."""

    key: str
    title: str
    figure: Figure


@dataclass(frozen=True)
class Table:
    """A table. A cell is text or a number, or `Cell` for text with a CSS class; `source` is the SQL that gives its numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    source: str = ""
    folded: str = ""  # a summary line: the table is shown when the reader opens it
    key: str = ""
    title: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell with a look: `helps`, `hurts`, `level`, `undecided`, `code`, `tight` (one line), `again` (said in the row above)."""

    text: str
    look: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Exhibit:
    """A figure with its caption and the SQL that gives its numbers; or the sentence that says what is not there yet."""

    key: str
    title: str
    caption: str = ""
    source: str = ""
    panels: Sequence[Panel] = ()
    numbers: Table | None = None
    missing: str = ""


@dataclass(frozen=True)
class Text:
    """Paragraphs, a list or a script, under a heading of its own where it has a title."""

    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    code: str = ""
    folded: str = ""
    title: str = ""


Part = Exhibit | Table | Text


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    parts: Sequence[Part]
    intro: str = ""
    facts: Sequence[tuple[str, str]] = ()

    @property
    def anchor(self) -> str:
        """The id of the heading."""
        return slug(self.title)


@dataclass(frozen=True)
class Page:
    """A whole report.

    Attributes:
        title: What it is about.
        question: What it answers.
        lead: The sentences that follow from the intervals; the first is the answer.
        flags: What went wrong inside the runs, in words.
        notice: What is unfinished, or nothing.
        sections: Everything else, in order.
        commands: What repeats every number: the run, then the report.
        written: When; of a page that will be written again.
        name: Of its files, without ending.
        links: Names and titles of the pages beside it.
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

    def parts(self) -> Iterator[Part]:
        """All parts, in order."""
        for section in self.sections:
            yield from section.parts

    def names(self) -> dict[int, str]:
        """`Figure 1` and `Table 1` by the identity of the part, in the order of the page; what is not there yet has no number."""
        names: dict[int, str] = {}
        counts = {"Figure": 0, "Table": 0}
        for part in self.parts():
            if isinstance(part, Text) or (isinstance(part, Exhibit) and part.missing):
                continue
            kind = "Figure" if isinstance(part, Exhibit) else "Table"
            counts[kind] += 1
            names[id(part)] = f"{kind} {counts[kind]}"
        return names


def slug(text: str) -> str:
    """Letters, digits and hyphens only: for ids and file names."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "x"


def numbers(rows: Sequence[dict[str, Any]], columns: Sequence[str]) -> Table:
    """The numbers behind a figure, folded away."""
    shown = [[row.get(c) for c in columns] for row in rows[:SHOWN_ROWS]]
    more = f" (the first {SHOWN_ROWS} of {len(rows)} rows)" if len(rows) > SHOWN_ROWS else ""
    return Table(columns, shown, folded=f"The numbers behind it{more}")


def show(value: Any) -> str:
    """A cell's value as text."""
    if value is None or value == "":
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}".replace("-", "\u2212")
    if isinstance(value, list | tuple):
        return ", ".join(show(v) for v in value)
    return f"{value:,}" if isinstance(value, int) else str(value)
