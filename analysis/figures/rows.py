"""Helpers of many tables: the declared order, symbols of choices, columns, first cells of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..look.page import Cell
from ..look.words import MINUS
from ..read.results import Results, Row

Column = tuple[str, Callable[[Row], Any]]  # its name, and its cell in a row


def place_in(order: Sequence[Any], item: Any) -> int:
    """Return the place of an item in a declared order; what is not declared comes last."""
    return order.index(item) if item in order else len(order)


def scenario_order(results: Results) -> list[str]:
    """Return the labels of the scenarios, in the order of the sweep."""
    return [scenario["label"] for scenario in results.meta.get("scenarios") or []]


def grouped(rows: Iterable[Row], *keys: str) -> dict[Any, list[Row]]:
    """Return the rows by the value of a column, or by the values of several, in the order of the rows."""
    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(row[keys[0]] if len(keys) == 1 else tuple(row[key] for key in keys), []).append(row)
    return groups


def symbol_of(results: Results, path: str) -> str:
    """Return the symbol of a choice, else the last part of its path."""
    known = {factor["path"]: factor["symbol"] for factor in results.meta.get("factors") or []}
    return known.get(path) or path.rpartition(".")[2]


def two_digits(value: float | None) -> str:
    """Return a number with two digits after the point; a dash for None."""
    return "\u2013" if value is None else f"{value:.2f}".replace("-", MINUS)


def filled(rows: Iterable[Row], columns: Sequence[Column]) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns and the cells of each row, as `Table` takes them."""
    return [name for name, _ in columns], [[cell(row) for _, cell in columns] for row in rows]


def group_cell(body: Sequence[Sequence[Any]], text: str) -> Cell:
    """Return the first cell of a table's next row; a text that the rows above have already is drawn faint."""
    return Cell(text, "again" if any(row[0].text == text for row in body) else "tight")
