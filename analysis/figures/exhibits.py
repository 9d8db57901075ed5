"""What all figures do alike: rows and drawings become an exhibit, rows and columns become a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..look.page import Cell, Exhibit, Panel, Table, numbers
from ..read.results import Results, Row
from .rows import Column, filled, group_cell

LABEL: Column = ("configuration", lambda row: Cell(row["label"], "tight"))


def evenly_spaced(number: int, most: int) -> list[int]:
    """Return places of at most so many things among 0 to `number` - 1, the first and the last included."""
    return np.unique(np.linspace(0, number - 1, min(number, most)).round().astype(int)).tolist()


@dataclass(frozen=True)
class Draft:
    """An exhibit in the making, with the table that belongs to it.

    Attributes:
        results: The result folder.
        key: Key of the exhibit.
        title: Its title.
    """

    results: Results
    key: str
    title: str

    def missing(self, reason: str) -> Exhibit:
        """Return the exhibit without a drawing."""
        return Exhibit(self.key, self.title, missing=reason)

    def exhibit(
        self,
        panels: Sequence[Panel],
        rows: Sequence[Row],
        columns: Sequence[str] | Mapping[str, str],
        query: str,
        caption: str,
        says: str = "",
    ) -> Exhibit:
        """Return the exhibit; the columns of the rows (or column -> name) are the numbers behind it.

        By default it says what is seen in its panels.
        """
        table = numbers(rows, list(columns))
        if isinstance(columns, Mapping):
            table = replace(table, columns=list(columns.values()))
        says = says or f"{'; '.join(panel.alt for panel in panels)}."
        source = self.results.shown(query)
        return Exhibit(self.key, self.title, caption, source, panels, table, says=says)

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
        """Return a table with the scenario and the name of each row on the left, then the columns.

        Rows are in order; the line `folded` opens a table that is folded.
        """
        names, cells = filled(rows, [name, *columns])
        body: list[list[Any]] = []
        for row, others in zip(rows, cells, strict=True):
            body.append([group_cell(body, row["scenario"]), *others])
        source, key = self.results.shown(query), f"table-{self.key}"
        return Table(["scenario", *names], body, caption, source, folded, key=key, title=title)
