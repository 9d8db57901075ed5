"""Effect of the choices on the winner: the method against every rival, at the anchor and at every level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ...look.page import Cell, Table
from ...look.words import count, difference, listing, points, short_listing, shown
from ...read.results import Results, Row
from ..rows import grouped
from .verdicts import look, query_shown, signed

Key = tuple[str, str, str]  # subject, level and scenario; at the anchor the first two are empty
AT_ANCHOR = {
    "ahead": "is ahead of every rival",
    "behind": "is behind {}",
    "level": "is level with {}",
    "undecided": "is undecided against {}",
    "diverges": "diverges",
    "missing": "was not compared with every rival",
}


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


def table(results: Results, rows: Sequence[Row]) -> Table | None:
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
            *(_tile(leads.get((subject, level, scenario))) for scenario in scenarios),
        ]
        for subject, level in lines
    ]
    caption = (
        f"The method against every rival beside it, on validation {results.metric} and common seeds. "
        "Ahead: of every rival; behind: one at least. The cell names the rival that decides, and the "
        "difference to it in points. A rival that diverges counts as beaten. Training settings are left out "
        "where they would change the rivals too."
    )
    return Table(
        ["at", *scenarios],
        body,
        caption,
        query_shown(results, rows),
        key="leads-table",
        look="matrix",
        folded=f"The outcome at {count(sum(line != ('', '') for line in lines), 'level')}, and at the anchor",
        first=max(4, 1 + sum(many > 0 for many in changing.values())),
        says=sentence(rows),
    )


def _tile(found: Lead | None) -> Cell:
    if found is None:
        return Cell("", "missing")
    row, outcome = found.nearest, found.outcome
    if outcome in ("missing", "diverges"):
        return Cell(signed(outcome, "not run" if outcome == "missing" else ""), outcome)
    hint = " | ".join(f"{r['b']}: {r['verdict']}, {difference(r)}" for r in found.rows)
    beside = f"{row['b']} diverges" if row["verdict"] == "diverges" else f"{points(shown(row))} {row['b']}"
    return Cell(signed(outcome, beside), look({"verdict": outcome}), hint)


def _changes(leads: Mapping[Key, Lead], key: Key) -> bool:
    """Whether the outcome at a level is another one than at the anchor, both decided."""
    here, anchor = leads.get(key), leads.get(("", "", key[2]))
    pair = {here.outcome, anchor.outcome} if here and anchor else set()
    return pair in ({"ahead", "behind"}, {"ahead", "diverges"})


def sentence(rows: Sequence[Row]) -> str:
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
