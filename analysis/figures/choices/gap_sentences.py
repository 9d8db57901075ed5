"""Sentences about the specification gaps."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.words import WITHIN, count, listing
from ...read.metric import Metric
from ...read.results import Row
from ..sentences import be

EFFECTS = ("helps", "hurts")


def sentences(rows: Sequence[Row], confidence: float, metric: Metric) -> list[str]:
    """Return a sentence about the effects of all choices, then one about the lead in each scenario.

    Args:
        rows: Rows of `gaps.table_gaps`.
        confidence: Coverage of the intervals.
        metric: The metric of the sweep.
    """
    if all(row["interval"] is None for row in rows):
        return ["No open choice is contrasted with the anchor yet, so nothing can be said about them."]
    return [_effect_sentence(rows, confidence, metric), *_lead_sentences(rows)]


def _effect_sentence(rows: Sequence[Row], confidence: float, metric: Metric) -> str:
    """Return which choices matter, which may, which do not, and how many are undecided or not tried."""
    symbols = {row["path"]: row["symbol"] for row in rows}
    tried_rows: dict[str, list[Row]] = {path: [] for path in symbols}
    for row in (row for row in rows if row["interval"] is not None):
        tried_rows[row["path"]].append(row)
    scenarios = len({row["scenario"] for row in rows})
    state_of = {path: _state(path_rows, scenarios) for path, path_rows in tried_rows.items()}
    paths = {state: [path for path, s in state_of.items() if s == state] for state in state_of.values()}
    firm = [_with_scenarios(symbols[path], tried_rows[path]) for path in paths.get("firm", [])]
    possible, level = ([symbols[path] for path in paths.get(state, [])] for state in ("possible", "level"))
    undecided, untried = (len(paths.get(state, [])) for state in ("undecided", "untried"))
    clauses = [
        f"{listing(firm)} {be(len(firm))} shown to change validation {metric}"
        if firm
        else f"none is shown to change validation {metric}",
        f"{listing(possible)} may (not when adjusted for the number of choices)" if possible else "",
        f"{listing(level)} {be(len(level))} shown not to matter ({WITHIN})" if level else "",
        f"{undecided} {be(undecided)} undecided" if undecided else "",
        f"{untried} without a finished trial" if untried else "",
    ]
    return (
        f"Of {count(len(symbols), 'open choice')}, {'; '.join(clause for clause in clauses if clause)} "
        f"({confidence:.0%} intervals, adjusted because the largest of a choice's levels is shown)."
    )


def _state(rows: Sequence[Row], scenarios: int) -> str:
    """Return what is known of one choice: `firm`, `possible`, `level`, `undecided` or `untried`.

    Args:
        rows: Its rows that have an interval.
        scenarios: Number of scenarios; `level` has to be shown in all of them.
    """
    if not rows:
        return "untried"
    if any(row["firm"] and row["verdict"] in EFFECTS for row in rows):
        return "firm"
    if any(row["verdict"] in EFFECTS for row in rows):
        return "possible"
    shown_level = len(rows) == scenarios and all(row["verdict"] == "level" for row in rows)
    return "level" if shown_level else "undecided"


def _with_scenarios(symbol: str, rows: Sequence[Row]) -> str:
    """Return `lam (under A)`: the scenarios with a firm effect, unless these are all."""
    scenarios = [row["scenario"] for row in rows if row["firm"] and row["verdict"] in EFFECTS]
    return symbol + ("" if len(scenarios) == len(rows) else f" (under {listing(scenarios)})")


def _lead_sentences(rows: Sequence[Row]) -> list[str]:
    texts = []
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        leads = [row for row in rows if row["scenario"] == scenario and row["lead"] is not None]
        if not leads:
            continue
        rival = leads[0]["rival"].label
        if any(row["lasts"] == "behind" for row in leads):
            behind = f"the method is behind {rival} at the anchor already: there is no lead to lose"
            texts.append(f"Under {scenario}, {behind}.")
        else:
            texts.append(f"Under {scenario}, the lead over {rival} {'; '.join(_lead_clauses(leads))}.")
    return texts


def _lead_clauses(leads: Sequence[Row]) -> list[str]:
    """Return a clause for each value of `lasts`; `may` where some of its rows are not firm."""
    phrases = {
        "survives": ("lasts", "may last", "over all tried levels of {}"),
        "reverses": ("turns", "may turn", "into a deficit at some level of {}"),
        "deficit": ("is", "may be", "a deficit at some level of {} (undecided at the anchor)"),
    }
    clauses = []
    for value, (verb, may_verb, phrase) in phrases.items():
        value_rows = [row for row in leads if row["lasts"] == value]
        if value_rows:
            is_firm = all(row["lasts_firm"] for row in value_rows)
            symbols = listing([row["symbol"] for row in value_rows])
            clauses.append(f"{verb if is_firm else may_verb} {phrase.format(symbols)}")
    undecided = sum(row["lasts"] == "undecided" for row in leads)
    return [
        *clauses,
        *([f"is undecided over the levels of {count(undecided, 'choice')}"] if undecided else []),
    ]
