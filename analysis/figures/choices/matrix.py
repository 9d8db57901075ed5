"""The first table of a sweep: choices by scenarios, a verdict in each cell; what the paper leaves open."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.page import Cell, Table
from ...look.style import VERDICTS
from ...look.words import WITHIN, count, described, other_diverges, points, shorten, shown
from ...read.results import Results, Row
from ..rows import Column, filled, grouped
from .verdicts import is_decided, look, query_shown, signed, size

LEVEL = 13  # letters of a level in a cell
BASIS = (
    "Basis: paper = stated in the paper's public text; relative = from the code of a published relative; "
    "computed = follows from a computation; guess = ours."
)


def matrix(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the table of choices (rows of the kind `choice`) by scenarios; None where no choice is open."""
    if not rows:
        return None
    factors = {f["path"]: f for f in results.meta.get("factors") or []}
    symbols = {path: f["symbol"] for path, f in factors.items()} | {r["subject"]: r["symbol"] for r in rows}
    levels = {subject: list[Row]() for subject in symbols} | grouped(rows, "subject")
    subjects = sorted(symbols, key=lambda s: -max(map(_weight, levels[s]), default=-1.0))
    scenarios = list(grouped(rows, "scenario"))
    body = [
        [
            Cell(symbols[subject], "code", _hint(factors.get(subject, {}))),
            *(_tile([row for row in levels[subject] if row["scenario"] == s]) for s in scenarios),
        ]
        for subject in subjects
    ]
    decided = sum(any(is_decided(row) for row in levels[s]) for s in subjects)
    signs = "; ".join(map(signed, VERDICTS))
    caption = (
        "Each cell names the level that is shown, beside its difference to the anchor in points of "
        f"validation {results.metric}: the surest that is decided, else the largest. {signs}. Every level: "
        "see below."
    )
    return Table(
        ["choice", *scenarios],
        body,
        caption,
        query_shown(results, rows),
        key="answer",
        title="Choices by scenarios",
        look="matrix",
        first=min(max(decided, 4), 7),
    )


def _weight(row: Row) -> float:
    """Return the order of a row: decided ones, level ones, undecided ones, those that did not run."""
    places = {"missing": -0.5, "undecided": 0.0}
    return size(row) if is_decided(row) else places.get(row["verdict"], 0.5)


def _hint(factor: Row) -> str:
    """Return what a choice is, its anchor, and where the value comes from."""
    if not factor:
        return ""
    source = f" ({factor['source']})" if factor.get("source") else ""
    basis = f"Anchor {factor.get('anchor')}: {factor.get('basis')}{source}"
    return f"{factor.get('doc') or ''}. {basis}. Levels: {_levels(factor)}."


def _tile(rows: Sequence[Row]) -> Cell:
    """Return the verdicts on one choice under one scenario: its best and its worst decided level, or none."""
    ran = [row for row in rows if row["verdict"] != "missing"]
    hint = " | ".join(f"{row['level']}: {described(row)}" for row in rows)
    if not ran:
        return Cell(signed("missing", "not run"), "missing", hint)
    if all(map(other_diverges, ran)):
        return Cell(signed("diverges", "anchor diverges"), "diverges", hint, "#choices")
    decided = sorted(filter(is_decided, ran), key=size, reverse=True)
    undecided = [row for row in ran if row["verdict"] == "undecided"]
    if decided:
        ahead = [row for row in decided if row["verdict"] == "ahead"][:1]
        other = [row for row in decided if row["verdict"] != "ahead"][:1]
        text, word = "\n".join(map(_line, ahead + other)), decided[0]["verdict"]
    elif len(ran) < len(rows):
        word = "undecided"
        text = signed(word, f"{len(rows) - len(ran)} of {count(len(rows), 'level')} not run")
    elif undecided:
        text, word = _line(max(undecided, key=size)), "undecided"
    elif all(row["verdict"] == "no effect" for row in ran):
        text, word = signed("no effect"), "no effect"
    else:
        word = "negligible" if any(row["verdict"] == "negligible" for row in ran) else "level"
        text = signed(word, WITHIN)
    return Cell(text, look({"verdict": word}), hint, "#choices")


def _line(row: Row) -> str:
    """Write a sign, a size and a level: `▲ +2.1 at 0.01`."""
    size_said = "diverges" if row["verdict"] == "diverges" else points(shown(row))
    lost = max(row["diverged_a"] or 0, row["diverged_b"] or 0) if row["verdict"] != "diverges" else 0
    seeds = f" ({lost} of {row['seeds_planned']} seeds lost)" if lost else ""
    return signed(row["verdict"], f"{size_said} at {shorten(str(row['level']), LEVEL)}{seeds}")


def choices_table(results: Results) -> Table | None:
    """Return the folded table of what the paper leaves open; None where nothing is declared."""
    columns: list[Column] = [
        ("choice", lambda factor: Cell(factor["path"], "code")),
        ("what it is", lambda factor: factor.get("doc") or ""),
        ("basis", lambda factor: Cell(factor.get("basis") or "not said", "tight")),
        ("source of its value", lambda factor: factor.get("source") or ""),
        ("anchor", lambda factor: str(factor.get("anchor"))),
        ("levels declared", _levels),
        ("range declared", lambda factor: factor.get("search") or ""),
    ]
    names, body = filled(results.meta.get("factors") or [], columns)
    text = f"What the paper leaves open, and where its values come from ({count(len(body), 'choice')})"
    source = results.shown("SELECT unnest(factors, recursive := true) FROM meta") if body else ""
    return Table(names, body, BASIS, source, folded=text, key="table-choices") if body else None


def _levels(factor: Row) -> str:
    return ", ".join(str(level) for level in factor.get("levels") or [])
