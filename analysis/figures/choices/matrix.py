"""Tables of the choices by scenarios: their verdicts, who leads at each level, what the paper leaves open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...look.page import Cell, Table
from ...look.style import VERDICTS
from ...look.words import (
    WITHIN,
    count,
    described,
    difference,
    listing,
    other_diverges,
    points,
    short_listing,
    shorten,
    shown,
)
from ...read.results import Results, Row
from ..exhibits import Draft
from ..rows import Column, grouped
from .verdicts import is_decided, look, query_shown, signed, size

LEVEL = 13  # letters of a level in a cell
BASIS = (
    "Basis: paper = stated in the paper's public text; relative = from the code of a published relative; "
    "computed = follows from a computation; guess = ours."
)
Key = tuple[str, str, str]  # subject, level and scenario; at the anchor the first two are empty
AT_ANCHOR = {
    "ahead": "is ahead of every rival",
    "behind": "is behind {}",
    "level": "is level with {}",
    "undecided": "is undecided against {}",
    "diverges": "diverges",
    "missing": "was not compared with every rival",
}


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
    columns, source, first = ["choice", *scenarios], query_shown(results, rows), min(max(decided, 4), 7)
    names = {"key": "answer", "title": "Choices by scenarios", "look": "matrix"}
    return Table(columns, body, caption, source, first=first, **names)


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
    factors = results.meta.get("factors") or []
    text = f"What the paper leaves open, and where its values come from ({count(len(factors), 'choice')})"
    query = "SELECT unnest(factors, recursive := true) FROM meta"
    return Draft(results, "choices", "").plain_table(factors, columns, query, BASIS, text)


def _levels(factor: Row) -> str:
    return ", ".join(str(level) for level in factor.get("levels") or [])


@dataclass(frozen=True)
class Lead:
    """The method at one level under one scenario, beside all of its rivals.

    The outcome is `ahead` of every rival, `behind` one, `level` with one and behind none, `undecided`,
    `diverges` or `missing`. A rival that diverges is beaten.
    """

    rows: Sequence[Row]  # of the table of verdicts, a rival each
    nearest: Row  # decides the outcome: of the rivals that have it, the one that is nearest or farthest ahead
    outcome: str


def lead(rows: Sequence[Row]) -> Lead:
    """Return the outcome of the method at one level under one scenario, from its rows (one or more)."""
    ran = [row for row in rows if row["verdict"] != "missing"]
    lost = [row for row in rows if row["verdict"] == "diverges"]
    verdicts = {"ahead" if row in lost else row["verdict"] for row in rows}
    finite = [row for row in ran if row not in lost and shown(row) is not None]
    if any(2 * row["diverged_a"] >= max(row["seeds_planned"] - row["missing"], 1) for row in lost):
        outcome = "diverges"
    elif verdicts == {"ahead"}:
        outcome = "ahead"
    else:
        outcome = next((word for word in ("behind", "missing", "undecided") if word in verdicts), "level")
    deciding = [row for row in finite if row["verdict"] == outcome] or finite
    nearest = (sorted(deciding, key=lambda row: shown(row) or 0.0) or ran or list(rows))[0]
    return Lead(rows, nearest, outcome)


def leads_of(rows: Sequence[Row]) -> dict[Key, Lead]:
    """Return (subject, level, scenario) -> outcome, the anchor's with an empty subject and level."""
    groups: dict[Key, list[Row]] = {}
    for row in rows:
        at_anchor = row["subject"] in ("", "anchor", None)
        key = ("", "") if at_anchor else (row["subject"], str(row["level"]))
        groups.setdefault((*key, row["scenario"]), []).append(row)
    return {key: lead(group) for key, group in groups.items()}


def table_leads(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return levels (rows) by scenarios (columns), an outcome in each cell; None where no `lead` ran."""
    if all(row["verdict"] == "missing" for row in rows):
        return None
    leads, scenarios = leads_of(rows), list(grouped(rows, "scenario"))
    symbols = {row["subject"]: row["symbol"] for row in rows}
    lines = list(dict.fromkeys((subject, level) for subject, level, _ in leads))
    changing = {line: sum(_changes(leads, (*line, s)) for s in scenarios) for line in lines}
    lines.sort(key=lambda line: (line != ("", ""), -changing[line]))  # the anchor first
    body = [
        [
            Cell(f"{symbols[subject]} = {level}" if subject else "anchor", "code"),
            *(_lead_tile(leads.get((subject, level, scenario))) for scenario in scenarios),
        ]
        for subject, level in lines
    ]
    caption = (
        f"The method against every rival beside it, on validation {results.metric} and common seeds. "
        "Ahead: of every rival; behind: one at least. The cell names the rival that decides, and the "
        "difference to it in points. A rival that diverges counts as beaten. Training settings are left out "
        "where they would change the rivals too."
    )
    levels = count(sum(line != ("", "") for line in lines), "level")
    first, source = max(4, 1 + sum(many > 0 for many in changing.values())), query_shown(results, rows)
    names = {"key": "leads-table", "look": "matrix", "says": leads_sentence(rows)}
    names["folded"] = f"The outcome at {levels}, and at the anchor"
    return Table(["at", *scenarios], body, caption, source, first=first, **names)


def _lead_tile(found: Lead | None) -> Cell:
    if found is None:
        return Cell("", "missing")
    row, outcome = found.nearest, found.outcome
    if outcome in ("missing", "diverges"):
        return Cell(signed(outcome, "not run" if outcome == "missing" else ""), outcome)
    hint = " | ".join(f"{r['b']}: {r['verdict']}, {difference(r)}" for r in found.rows)
    beside = f"{row['b']} diverges" if row["verdict"] == "diverges" else f"{points(shown(row))} {row['b']}"
    return Cell(signed(outcome, beside), look({"verdict": outcome}), hint)


def _changes(leads: Mapping[Key, Lead], key: Key) -> bool:
    """Return whether the outcome at a level differs from that at the anchor, both decided."""
    here, anchor = leads.get(key), leads.get(("", "", key[2]))
    pair = {here.outcome, anchor.outcome} if here and anchor else set()
    return pair in ({"ahead", "behind"}, {"ahead", "diverges"})


def leads_sentence(rows: Sequence[Row]) -> str:
    """Say which levels change the winner, and where; that none does; or that it is open."""
    leads, symbols = leads_of(rows), {row["subject"]: row["symbol"] for row in rows}
    verbs: dict[str, list[str]] = {}
    changes: dict[str, list[str]] = {}
    for (subject, level, scenario), found in leads.items():
        if not subject:
            verb = AT_ANCHOR[found.outcome].format(found.nearest["b"])
            verbs.setdefault(verb, []).append(scenario)
        elif _changes(leads, (subject, level, scenario)):
            changes.setdefault(scenario, []).append(f"{symbols[subject]} = {level}")
    start = "; ".join(f"{verb} under {listing(places)}" for verb, places in verbs.items())
    text = f"At the anchor the method {start}. " if start else ""
    if changes:
        where = [f"{short_listing(names)} under {scenario}" for scenario, names in changes.items()]
        return f"{text}The winner changes at {'; and '.join(where)}."
    levels = [found.outcome for key, found in leads.items() if key[0]]
    decided = sum(outcome not in ("undecided", "missing") for outcome in levels)
    return f"{text}No level is shown to change the winner ({decided} of {len(levels)} outcomes are decided)."
