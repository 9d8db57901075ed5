"""What all figures do alike: rows and drawings become an exhibit, rows and columns become a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import Axes, Figure, legend_below, percent_axis
from ..look.words import count
from ..read.results import Results, Row
from .rows import Column, filled, grouped

Draw = Callable[[list[Row]], Figure]  # draws the rows of a panel
Seen = Callable[[list[Row]], str]  # says what is seen in it
LABEL: Column = ("configuration", lambda row: Cell(row["label"], "tight"))


def evenly_spaced(number: int, most: int) -> list[int]:
    """Return places of at most so many things among 0 to `number` - 1, the first and the last included."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(int)).tolist()


def finished(
    figure: Figure,
    axes: Axes,
    grid: Literal["x", "y", "both"] | None = None,
    percent: str = "",
    **labels: Any,
) -> Figure:
    """Return a figure with labels, a grid, a legend below, and per cent along axes of fractions (`xy`)."""
    if grid:
        axes.grid(axis=grid)
    axes.set(**labels)
    for axis in percent:
        percent_axis(getattr(axes, f"{axis}axis"))
    legend_below(figure, axes)
    return figure


def panel(key: str, title: str, figure: Figure, seen: str) -> Panel:
    """Return a panel with the text of what is seen in it."""
    return Panel(key, title, figure, alt=f"{title}: {seen}" if title else seen)


def panels_by_title(titled: Mapping[str, list[Row]], key: str, draw: Draw, seen: Seen) -> list[Panel]:
    """Return a panel for each title, of its rows; `key` is that of the exhibit."""
    return [panel(f"{key}-{slug(title)}", title, draw(rows), seen(rows)) for title, rows in titled.items()]


def numbers_of(rows: Sequence[Row], columns: Sequence[Column]) -> Table:
    """Return the folded table of the numbers behind a figure, with columns of its own."""
    names, body = filled(rows, columns)
    return Table(names, body, folded=f"The numbers ({count(len(body), 'row')})")


@dataclass(frozen=True)
class Draft:
    """An exhibit or a table in the making, or an exhibit with the table that belongs to it."""

    results: Results
    key: str  # of the exhibit
    title: str

    def missing(self, reason: str, query: str = "") -> Exhibit:
        """Return the exhibit without a drawing."""
        source = self.results.shown(query) if query else ""
        return Exhibit(self.key, self.title, source=source, missing=reason)

    def exhibit(
        self,
        panels: Sequence[Panel],
        rows: Sequence[Row],
        columns: Sequence[str] | Mapping[str, str],
        query: str,
        caption: str,
        says: str | None = "",
        **parameters: Any,
    ) -> Exhibit:
        """Return the exhibit with columns of the rows (or column -> name).

        By default it says what its panels do; None: nothing. `parameters` are those of the query.
        """
        table = numbers(rows, list(columns))
        if isinstance(columns, Mapping):
            table = replace(table, columns=list(columns.values()))
        if says == "":
            says = f"{'; '.join(panel.alt for panel in panels)}."
        source = self.results.shown(query, **parameters)
        return Exhibit(self.key, self.title, caption, source, panels, table, says=says or "")

    def drawn(
        self, figure: Figure, rows: Sequence[Row], columns: Sequence[str], query: str, caption: str, says: str
    ) -> Exhibit:
        """Return the exhibit of one drawing; a screen reader is told what it says."""
        return self.exhibit([Panel(self.key, "", figure, says)], rows, columns, query, caption, says)

    def table(
        self,
        rows: Sequence[Row],
        columns: Sequence[Column],
        query: str,
        caption: str,
        title: str,
        folded: str = "",
        name: Column = LABEL,
    ) -> Table:
        """Return a table of rows in order: scenario and name, then the columns; `folded` opens it, if any."""
        firsts = [group[0] for group in grouped(rows, "scenario").values()]

        def scenario(row: Row) -> Cell:
            return Cell(row["scenario"], "tight" if any(row is first for first in firsts) else "again")

        names, body = filled(rows, [("scenario", scenario), name, *columns])
        source, key = self.results.shown(query), f"table-{self.key}"
        return Table(names, body, caption, source, folded, key=key, title=title)

    def plain_table(
        self, rows: Sequence[Row], columns: Sequence[Column], query: str, caption: str, folded: str = ""
    ) -> Table | None:
        """Return a table of these columns alone, with the title of the draft; None where there is no row."""
        if not rows:
            return None
        names, body = filled(rows, columns)
        source, key = self.results.shown(query), f"table-{self.key}"
        return Table(names, body, caption, source, folded, key=key, title=self.title)
