"""The first table of a sweep: choices by scenarios, a verdict in each cell; what the paper leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.page import Cell, Table
from ...look.style import VERDICTS
from ...look.words import WITHIN, count, described, points, shorten, shown
from ...read.results import OBJECTIVE, Results, Row
from ..rows import scenario_order
from .verdicts import DECIDED, QUERY, look, size

LEVEL = 13  # letters of a level in a cell
BASIS = (
    "Basis: paper = stated in the paper's public text; relative = from the code of a published relative; "
    "computed = follows from a computation; guess = ours."
)


def matrix(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the table of choices (rows) by scenarios (columns); None where no choice is open.

    Args:
        results: The sweep.
        rows: Rows of `verdicts.rows_of` of the kind `choice`.
    """
    factors = {f["path"]: f for f in results.meta.get("factors") or []}
    subjects = list(dict.fromkeys([*factors, *(row["subject"] for row in rows)]))
    scenarios = [s for s in scenario_order(results) if any(row["scenario"] == s for row in rows)]
    if not rows or not subjects:
        return None
    symbols = {row["subject"]: row["symbol"] for row in rows}
    levels = {s: [row for row in rows if row["subject"] == s] for s in subjects}
    subjects.sort(key=lambda s: -max(map(_weight, levels[s]), default=-1.0))
    body = [
        [
            Cell(symbols.get(s) or factors[s]["symbol"], "code", _hint(factors.get(s, {}))),
            *(_tile([row for row in levels[s] if row["scenario"] == scenario]) for scenario in scenarios),
        ]
        for s in subjects
    ]
    first = sum(any(row["verdict"] in DECIDED for row in levels[s]) for s in subjects)
    caption = (
        "Each cell names the level that is shown, beside its difference to the anchor in points of "
        "validation "
        f"{results.metric}: the surest that is decided, else the largest. {_signs()} Every level: see below."
    )
    source = results.shown(QUERY, kind="choice", metric=OBJECTIVE)
    columns = ["choice", *scenarios]
    title, shown = "Choices by scenarios", min(max(first, 4), 7)
    return Table(columns, body, caption, source, key="answer", title=title, look="matrix", first=shown)


def _weight(row: Row) -> float:
    """Return the order of a row: decided ones, level ones, undecided ones, those that did not run."""
    places = {"missing": -0.5, "undecided": 0.0}
    return size(row) if row["verdict"] in DECIDED else places.get(row["verdict"], 0.5)


def _signs() -> str:
    return "; ".join(f"{verdict.sign} {word}" for word, verdict in VERDICTS.items()) + "."


def _hint(factor: Row) -> str:
    """Return what a choice is, its anchor, and where the value comes from."""
    if not factor:
        return ""
    source = f" ({factor['source']})" if factor.get("source") else ""
    tried = ", ".join(str(v) for v in factor.get("levels") or [])
    basis = f"Anchor {factor.get('anchor')}: {factor.get('basis')}{source}"
    return f"{factor.get('doc') or ''}. {basis}. Levels: {tried}."


def _tile(rows: Sequence[Row]) -> Cell:
    """Return the verdicts on one choice under one scenario: its best and its worst decided level, or none."""
    ran = [row for row in rows if row["verdict"] != "missing"]
    hint = " | ".join(f"{row['level']}: {described(row)}" for row in rows)
    if not ran:
        return Cell(f"{VERDICTS['missing'].sign} not run", "missing", hint)
    decided = sorted((row for row in ran if row["verdict"] in DECIDED), key=size, reverse=True)
    if decided:
        ahead = [row for row in decided if row["verdict"] == "ahead"][:1]
        other = [row for row in decided if row["verdict"] != "ahead"][:1]
        return Cell("\n".join(map(_line, ahead + other)), look(decided[0]), hint, "#choices")
    left = len(rows) - len(ran)
    if left:
        return Cell(f"? {left} of {count(len(rows), 'level')} not run", "undecided", hint, "#choices")
    undecided = [row for row in ran if row["verdict"] == "undecided"]
    if undecided:
        return Cell(_line(max(undecided, key=size)), "undecided", hint, "#choices")
    if all(row["verdict"] == "no effect" for row in ran):
        return Cell(f"{VERDICTS['no effect'].sign} no effect", "no-effect", hint, "#choices")
    word = "negligible" if any(row["verdict"] == "negligible" for row in ran) else "level"
    return Cell(f"{VERDICTS[word].sign} {WITHIN}", word, hint, "#choices")


def _line(row: Row) -> str:
    """Write a sign, a size and a level: `▲ +2.1 at 0.01`."""
    size_said = "diverges" if row["verdict"] == "diverges" else points(shown(row))
    return f"{VERDICTS[row['verdict']].sign} {size_said} at {shorten(str(row['level']), LEVEL)}"


def choices_table(results: Results) -> Table | None:
    """Return the folded table of what the paper leaves open; None where nothing is declared."""
    factors = results.meta.get("factors") or []
    if not factors:
        return None
    body = [
        [
            Cell(f["path"], "code"),
            f.get("doc") or "",
            Cell(f.get("basis") or "not said", "tight"),
            f.get("source") or "",
            str(f.get("anchor")),
            ", ".join(str(level) for level in f.get("levels") or []),
            f.get("search") or "",
        ]
        for f in factors
    ]
    columns = [
        "choice",
        "what it is",
        "basis",
        "source of its value",
        "anchor",
        "levels tried",
        "range searched",
    ]
    text = f"What the paper leaves open, and where its values come from ({count(len(body), 'choice')})"
    query = "SELECT unnest(factors, recursive := true) FROM meta"
    return Table(columns, body, BASIS, results.shown(query), folded=text, key="table-choices")
