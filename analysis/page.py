"""What a report is made of, and how it becomes one HTML file: sections of exhibits, an exhibit being a figure or a table."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .style import inline, svg

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
    """A table. A cell is text or a number, or `Cell` for text with a CSS class."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    source: str = ""
    folded: str = ""  # a summary line: the table is shown when the reader opens it
    key: str = ""
    title: str = ""


@dataclass(frozen=True)
class Cell:
    """A cell with a look: `helps`, `hurts`, `undecided`, `code`, `tight` (one line), `again` (said in the row above)."""

    text: str
    look: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Exhibit:
    """A figure with its caption and the exact source of its numbers; or the sentence that says what is not there yet."""

    key: str
    title: str
    caption: str = ""
    source: str = ""
    panels: Sequence[Panel] = ()
    numbers: Table | None = None
    missing: str = ""


@dataclass(frozen=True)
class Text:
    """Paragraphs or a list."""

    paragraphs: Sequence[str] = ()
    points: Sequence[str] = ()
    code: str = ""
    folded: str = ""


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    parts: Sequence[Exhibit | Table | Text]
    intro: str = ""

    @property
    def anchor(self) -> str:
        """The id of the heading."""
        return slug(self.title)


@dataclass(frozen=True)
class Page:
    """A whole report."""

    title: str
    question: str
    lead: Sequence[str]  # the sentences that follow from the intervals
    points: Sequence[tuple[str, Sequence[str]]]  # groups of further sentences, each under a heading
    notice: str  # what is unfinished, or nothing
    sections: Sequence[Section]
    facts: Sequence[tuple[str, str]] = field(default=())


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


def write(page: Page, folder: Path) -> Path:
    """Write `index.html` and `figures/*.svg` into `folder`; returns the page's path. Each file appears whole or not at all."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    drawn: dict[str, Markup] = {}
    files: dict[str, str] = {}
    for exhibit in (part for section in page.sections for part in section.parts if isinstance(part, Exhibit)):
        for panel in exhibit.panels:
            files[f"{panel.key}.svg"] = svg(panel.figure, panel.key)
            drawn[panel.key] = Markup(inline(files[f"{panel.key}.svg"], panel.title or exhibit.title))
    here = Path(__file__).parent / "templates"
    env = Environment(loader=FileSystemLoader(here), autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    env.filters["show"] = show
    env.tests["number"] = lambda v: isinstance(v, int | float) and not isinstance(v, bool)
    css = Markup((here / "style.css").read_text(encoding="utf-8"))
    html = env.get_template("report.html").render(page=page, svg=drawn, css=css, kind=lambda part: type(part).__name__)
    figures = folder / "figures"
    figures.mkdir(parents=True, exist_ok=True)
    for stale in {p.name for p in figures.glob("*.svg")} - set(files):
        (figures / stale).unlink()
    for name, text in files.items():
        _replace(figures / name, text)
    return _replace(folder / "index.html", html)


def _replace(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
    return path
