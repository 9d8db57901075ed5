"""What all figures do alike: rows and drawings become an exhibit, rows and columns become a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..look.page import Cell, Exhibit, Panel, Table, numbers
from ..read.results import Results, Row
from .rows import Column, filled, group_cell


def exhibit_of_rows(
    results: Results,
    key: str,
    title: str,
    panels: Sequence[Panel],
    rows: Sequence[Row],
    columns: Sequence[str] | Mapping[str, str],
    *,
    query: str,
    caption: str,
    says: str = "",
) -> Exhibit:
    """Return an exhibit; the rows are the numbers behind it.

    Args:
        results: The result folder.
        key: Key of the exhibit.
        title: Its title.
        panels: Its drawings.
        rows: What is drawn.
        columns: The columns of the rows that are shown, or column -> its name.
        query: The SQL that gives the rows.
        caption: How to read it.
        says: What it shows; by default what is seen in its panels.
    """
    says = says or f"{'; '.join(panel.alt for panel in panels)}."
    table = numbers(rows, list(columns))
    if isinstance(columns, Mapping):
        table = replace(table, columns=list(columns.values()))
    return Exhibit(key, title, caption, results.shown(query), panels, table, says=says)


def table_by_scenario(
    results: Results,
    rows: Sequence[Row],
    columns: Sequence[Column],
    *,
    query: str,
    caption: str,
    key: str,
    title: str,
    folded: str = "",
    name: Column = ("configuration", lambda row: Cell(row["label"], "tight")),
) -> Table:
    """Return a table with the scenario and the name of each row on the left.

    Args:
        results: The result folder.
        rows: With a scenario, in order.
        columns: The other columns.
        query: The SQL that gives the rows.
        caption: Sentences below it.
        key: Key of the table.
        title: Its title.
        folded: The line that opens it; empty: it is open.
        name: The second column.
    """
    body: list[list[Any]] = []
    names, cells = filled(rows, (name, *columns))
    for row, line in zip(rows, cells, strict=True):
        body.append([group_cell(body, row["scenario"]), *line])
    return Table(["scenario", *names], body, caption, results.shown(query), folded, key=key, title=title)
