"""What declared figures have in common: their answer, rows of the table of verdicts, the order of entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..figures.choices.verdicts import DECIDED, VERBS, named, size
from ..figures.differences import FIELDS
from ..figures.estimates import quoted
from ..figures.exhibits import Draft
from ..figures.rows import place_in, scenario_order
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table
from ..look.words import listing, percent
from ..read.results import Results, Row


@dataclass(frozen=True)
class Answer:
    """What a declared figure shows.

    Attributes:
        parts: Its exhibits and tables; the sentences stand above the first one.
        sentences: Everything that it says.
        headline: The most important part of that, short.
        rows: The rows of `verdicts` behind the sentences; brackets in these are their intervals.
    """

    parts: Sequence[Exhibit | Table]
    sentences: Sequence[str] = ()
    headline: str = ""
    rows: Sequence[Row] = ()


def nothing(draft: Draft, needed: str) -> Answer:
    """Return the answer of a figure that lacks what it needs."""
    return Answer([draft.missing(f"It takes {needed}.")])


def query_of_verdicts(kind: str) -> str:
    """Return the SQL of the differences that the figures of a kind declare."""
    return f"""SELECT {FIELDS} FROM verdicts
WHERE kind = 'recipe' AND subject = {quoted(kind)} ORDER BY number"""


def base_sql(column: str) -> str:
    """Return the SQL of a label without how it was tuned."""
    return rf"regexp_replace({column}, ' \((tuned|untuned|best of .*)\)$', '')"


def in_order(results: Results, rows: Sequence[Row], label: str = "label") -> list[Row]:
    """Return rows in the order of scenarios and of the recipe's entries."""
    order, grid = scenario_order(results), list(results.meta.get("grid") or [])
    return sorted(rows, key=lambda r: (place_in(order, r["scenario"]), place_in(grid, base_label(r[label]))))


def range_cell(row: Row | None, mean: str = "mean", low: str = "low", high: str = "high") -> Cell:
    """Return `62.0 [58.1, 65.0]` with the lowest and the highest seed, or `62.0 (one seed)`."""
    if row is None or row[mean] is None:
        return Cell("", "tight")
    ends = f"[{percent(row[low])}, {percent(row[high])}]" if row["seeds"] > 1 else "(one seed)"
    return Cell(f"{percent(row[mean])} {ends}", "tight")


def beside(row: Row) -> str:
    """Return the verdict on a difference: `a is ahead of b (+2.0 points [+1.0, +3.0])`."""
    return f"{row['a']} {named([row], lambda shown: str(shown['b']))}"


def headline(rows: Sequence[Row], about: str, clause: Callable[[Row], str] = beside) -> str:
    """Return the surest difference in a short sentence, then how many have which verdict.

    Args:
        rows: Rows of `verdicts`.
        about: What is compared, in words: `in test accuracy on tail classes`.
        clause: What is said of a row.
    """
    ran = [row for row in rows if row["verdict"] != "missing"]
    if not ran:
        return ""
    counts, top = Counter(row["verdict"] for row in ran), max(ran, key=size)
    first = f"Under {top['scenario']}, {clause(top)} {about}."
    many = f"Of {len(ran)} differences, {listing([f'{counts[v]} {v}' for v in VERBS if v in counts])}."
    if len(ran) == 1:
        return first
    return f"{first} {many}" if top["verdict"] in DECIDED else f"{many[:-1]} {about}."
