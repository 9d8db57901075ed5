"""Helpers of many tables: columns of an interval, firm verdicts, the declared order, symbols of choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..look.page import Cell
from ..look.words import MINUS
from ..read.results import Results, Row
from ..stats.intervals import Interval, benjamini_hochberg


def interval_columns(interval: Interval) -> Row:
    """Return the columns interval, mean, low, high and seeds of an interval."""
    ends = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return {"interval": interval, **ends, "seeds": interval.n}


def with_firm(rows: Sequence[Row], confidence: float, key: str = "interval") -> list[Row]:
    """Return the rows with the column `firm`: the difference remains when adjusted for the number of rows.

    Args:
        rows: Each with an interval of a difference.
        confidence: Coverage in (0, 1); the false discovery rate is 1 - confidence.
        key: Column of the interval.
    """
    flags = benjamini_hochberg([row[key] for row in rows], 1 - confidence)
    return [{**row, "firm": flag} for row, flag in zip(rows, flags, strict=True)]


def place_in(order: Sequence[Any], item: Any) -> int:
    """Return the place of an item in a declared order; what is not declared comes last."""
    return order.index(item) if item in order else len(order)


def scenario_order(results: Results) -> list[str]:
    """Return the labels of the scenarios, in the order of the sweep."""
    return [scenario["label"] for scenario in results.meta.get("scenarios") or []]


def symbols_of(results: Results) -> dict[str, str]:
    """Return the symbol of each declared choice by its path."""
    return {factor["path"]: factor["symbol"] for factor in results.meta.get("factors") or []}


def symbol_of(symbols: Mapping[str, str], path: str) -> str:
    """Return the symbol of a choice, else the last part of its path."""
    return symbols.get(path) or path.rpartition(".")[2]


def two_digits(value: float | None) -> str:
    """Return a number with two digits after the point; a dash for None."""
    return "\u2013" if value is None else f"{value:.2f}".replace("-", MINUS)


def group_cell(body: Sequence[Sequence[Any]], text: str) -> Cell:
    """Return the first cell of a table's next row; a text that the rows above have already is drawn faint."""
    return Cell(text, "again" if any(row[0].text == text for row in body) else "tight")
