"""Helpers of many tables: the declared order, groups, symbols of choices, columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Any

from ..look.words import MINUS
from ..read.results import Results, Row

# The name of a column and its cell in a row; a name alone: the value of the row.
Column = str | tuple[str, Callable[[Row], Any]]


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


def is_plain_number(value: Any) -> bool:
    """Return whether a value is a number that can stand on an axis; a truth value is none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def filled(rows: Iterable[Row], columns: Sequence[Column]) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns and the cells of each row, as `Table` takes them."""
    pairs = [(column, itemgetter(column)) if isinstance(column, str) else column for column in columns]
    return [name for name, _ in pairs], [[cell(row) for _, cell in pairs] for row in rows]
