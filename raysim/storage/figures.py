"""Figures of a report that plug-ins add: a query, and what draws its rows. `analysis/` shows them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from raysim.core.errors import UserError
from raysim.core.registry import Registry


class ReportFigure(ABC):
    """A figure: its numbers are the rows of a query, its drawing is made of them.

    A space declares it as `FIGURES = [{"kind": NAME}]`, with a title and the figure's own keys where it has
    some. The page shows the drawing, the sentence, the numbers as a table, and the query.

    Attributes:
        name: Its kind, as a space declares it.
        sql: The query, for DuckDB. Its tables are those of docs/tables.md: trials, rounds, clients, classes.
        caption: How to read it.
        keys: Keys that a declaration may have beside kind and title; their values are texts.
    """

    name: ClassVar[str]
    sql: ClassVar[str]
    caption: ClassVar[str] = ""
    keys: ClassVar[Sequence[str]] = ()

    @abstractmethod
    def draw(self, rows: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> Any:
        """Draw the rows.

        Args:
            rows: Rows of the query, at least one: column -> value.
            declared: The figure as the space declares it.

        Returns:
            A `matplotlib.figure.Figure`; made by `Figure()`, not by pyplot, which keeps every figure.
        """

    def says(self, rows: Sequence[Mapping[str, Any]], declared: Mapping[str, Any]) -> str:
        """Return the sentence above the figure: what the rows show. It is also what a screen reader says."""
        return ""


def _check(name: str, thing: object) -> None:
    """Raise UserError where a thing is no class of figures."""
    if not (isinstance(thing, type) and issubclass(thing, ReportFigure)):
        raise UserError(f"'{name}' is {thing!r}; it should be a subclass of raysim.ReportFigure")
    missing = sorted(getattr(thing, "__abstractmethods__", ()))
    missing += [] if isinstance(getattr(thing, "sql", None), str) else ["sql"]
    if missing:
        raise UserError(f"class {thing.__name__} ('{name}') lacks {', '.join(missing)}")


REPORT_FIGURES: Registry[type[ReportFigure]] = Registry("figure", {}, _check)
