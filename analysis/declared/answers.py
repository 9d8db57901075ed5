"""What declared figures have in common: their answer, rows of the table of verdicts, the order of entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..figures.choices.verdicts import DECIDED, FIELDS, named, size
from ..figures.estimates import quoted
from ..figures.exhibits import Draft
from ..figures.rows import place_in, scenario_order
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table
from ..look.words import VERBS, listing, other_diverges, percent, quoted_names, short_listing
from ..read.results import Results, Row


@dataclass(frozen=True)
class Answer:
    """What a declared figure shows."""

    parts: Sequence[Exhibit | Table]  # the sentences stand above the first one
    sentences: Sequence[str] = ()  # everything that it says
    headline: str = ""  # the most important part of that, short
    rows: Sequence[Row] = ()  # of `verdicts`; brackets in sentences are their intervals


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
    """Return the surest difference in a short sentence, then how many rows of `verdicts` have which verdict.

    `about` says what is compared: `in test accuracy on tail classes`; `clause` is what is said of a row. What
    diverges has no size: it is named behind its number, and comes first only where nothing else is decided.
    """
    ran = [row for row in rows if row["verdict"] != "missing"]
    if not ran:
        return ""
    sized = [row for row in ran if row["verdict"] in ("ahead", "behind")]
    counts, top = Counter(row["verdict"] for row in ran), max(sized or ran, key=size)
    to = f" to {top['b']}" if len({row["b"] for row in ran}) == 1 else ""
    sides = [row["b" if other_diverges(row) else "a"] for row in ran if row["verdict"] == "diverges"]
    lost = list(dict.fromkeys(map(str, sides))) if sized else []
    names = {"diverges": f" ({short_listing(quoted_names(lost))})"} if lost else {}
    kinds = listing([f"{counts[v]} {v}{names.get(v, '')}" for v in VERBS if v in counts])
    many = f"Of {len(ran)} differences{to}, {kinds}"
    if top["verdict"] not in DECIDED and len(ran) > 1:
        return f"{many} {about}."
    first = f"Under {top['scenario']}, {clause(top)} {about}."
    return f"{first} {many}." if len(ran) > 1 else first
