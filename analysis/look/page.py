"""Parts of a page: sections of figures, tables and text. `html` and `markdown` write them as files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    look: str = (
        ""  # a verdict (see `style.VERDICTS`), `code`, `tight` (one line) or `again` (as in the row above)
    )
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

    @property
    def anchor(self) -> str:
        """The id of the heading."""
        return slug(self.title)


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
    links: Sequence[
        tuple[str, str]
    ] = ()  # name and title of each other page; what is no Markdown has its ending
    answer: Sequence[Part] = ()  # tables beside each other right below the first sentence
    alert: str = ""  # a sentence beside the answer that takes away from it; empty where there is none
    glossary: Mapping[str, str] = field(default_factory=dict)  # word -> what is said where the reader points

    def parts(self) -> Iterator[Part]:
        """Yield all parts, in order."""
        yield from self.answer
        for section in self.sections:
            yield from section.parts

    def names(self) -> dict[int, str]:
        """Return id of a part -> `Figure 1` or `Table 1`; missing figures have no number."""
        figures = [part for part in self.parts() if isinstance(part, Exhibit) and not part.missing]
        tables = [part for part in self.parts() if isinstance(part, Table)]
        named: dict[str, Sequence[Part]] = {"Figure": figures, "Table": tables}
        return {id(p): f"{kind} {i}" for kind, parts in named.items() for i, p in enumerate(parts, 1)}


def panels_of(part: Part) -> Sequence[Panel]:
    """Return the drawings of a part."""
    return part.panels if isinstance(part, Exhibit) else ()


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
