"""Rows of the table of verdicts, and what every kind of them shares: a figure, its table and its sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...look.forest import axis_frame, draw_verdicts
from ...look.page import Cell, Exhibit, Panel, Table, run_link, slug
from ...look.style import VERDICTS
from ...look.words import WITHIN, bracket, difference, listing, points, seeds_said, shown
from ...read.queries import with_values
from ...read.results import OBJECTIVE, Results, Row
from ..rows import place_in, scenario_order, symbol_of, symbols_of

DECIDED = ("diverges", "ahead", "behind")  # the verdicts that a sentence names
QUERY = """SELECT v.* EXCLUDE (seeds), coalesce(len(v.seeds), 0) AS seeds,
  (SELECT any_value(t.runs[1]) FROM trials t WHERE t.trial = v.trial_a AND t.scenario = v.scenario) AS run
FROM verdicts v WHERE v.kind = $kind AND v.metric = $metric ORDER BY v.number"""
GLOBAL = "acc_personal_global"
READING = (
    "A thick bar is the interval of one difference, a thin one the interval adjusted for all differences "
    "of its family (false coverage rate); the adjusted one decides. \u25b2 ahead, \u25bc behind: it excludes "
    f"zero and reaches beyond one point. = level: it lies {WITHIN} (the shaded band). \u2248 negligible: it "
    "excludes zero and lies in that band. ? undecided. \u2715 diverges: at least half of the seeds ended "
    "without a finite number. A lost seed counts as 0 in the difference and in the adjusted interval. "
    "Intervals wider than the axis end in an arrow."
)
VERBS = {  # verdict -> what the first side is beside the second
    "diverges": "cannot be compared with {}",
    "ahead": "is ahead of {}",
    "behind": "is behind {}",
    "negligible": "is all but equal to {}",
    "level": f"is level ({WITHIN}) with {{}}",
    "no effect": "gives the same runs as {}",
    "undecided": "is undecided against {}",
}


def rows_of(results: Results, *kinds: str, metric: str = OBJECTIVE) -> list[Row]:
    """Return the rows of these kinds with `symbol` and `run`; scenarios in the order of the sweep."""
    symbols, order = symbols_of(results), scenario_order(results)
    rows = [row for kind in kinds for row in results.sql(QUERY, kind=kind, metric=metric)]
    rows = [{**row, "symbol": symbol_of(symbols, row["subject"] or "")} for row in rows]
    return sorted(rows, key=lambda row: place_in(order, row["scenario"]))


def size(row: Row) -> float:
    """Return how much a row says: what diverges comes first, then what is decided, by what is sure of it.

    The largest estimate of many is mostly one whose noise helped it; the end of its adjusted interval that is
    nearest to zero is not.
    """
    if row["verdict"] == "diverges":
        return float("inf")
    ends = [abs(row[end]) for end in ("adjusted_low", "adjusted_high") if row[end] is not None]
    return 1.0 + min(ends, default=0.0) if row["verdict"] in DECIDED else abs(shown(row) or 0.0)


def look(row: Row) -> str:
    """Return the CSS class of a verdict."""
    return str(row["verdict"]).replace(" ", "-")


def by_scenario(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each scenario, in order."""
    scenarios: dict[str, list[Row]] = {}
    for row in rows:
        scenarios.setdefault(row["scenario"], []).append(row)
    return scenarios


def named(rows: Sequence[Row], name: Callable[[Row], str], verbs: Mapping[str, str] = VERBS) -> str:
    """Write the verdicts of rows with one first side: `is ahead of a (+2.0 points, ...); it is level with b`.

    Args:
        rows: Rows of the table of verdicts, with `seeds` as a number.
        name: What a row is called.
        verbs: Verdict -> verb with a place for the names; others are left out.
    """
    clauses = []
    for verdict, verb in verbs.items():
        found = sorted((row for row in rows if row["verdict"] == verdict), key=size, reverse=True)
        names = [name(r) + (f" ({difference(r)})" if verdict != "no effect" else "") for r in found]
        clauses += [verb.format(listing(names))] if names else []
    return "; it ".join(clauses)


def exhibit(
    results: Results,
    rows: Sequence[Row],
    key: str,
    title: str,
    says: str,
    *,
    label: str,
    caption: str,
    name: Callable[[Row], str],
    heads: tuple[str, str] = ("", "against"),
) -> Exhibit:
    """Return a forest plot per scenario, with the same lines in each, its table and its sentence.

    Args:
        results: The sweep.
        rows: Rows of `rows_of`.
        key: Key of the exhibit.
        title: Its title.
        says: What it shows.
        label: Of the x axis.
        caption: What is compared; how to read the marks follows.
        name: Name of a line.
        heads: Names of the columns of the two sides.
    """
    ran = [row for row in rows if row["verdict"] != "missing"]
    kinds = dict.fromkeys((row["kind"], row["metric"]) for row in rows)
    query = "\nUNION ALL BY NAME\n".join(
        f"({with_values(QUERY, {'kind': kind, 'metric': metric})})" for kind, metric in kinds
    )
    if not ran:
        missing = f"none of {len(rows)} comparisons ran." if rows else "nothing was compared."
        return Exhibit(key, title, missing=missing)
    names = _lines(ran, name)
    frame = axis_frame(ran)
    panels = [
        Panel(f"{key}-{slug(scenario)}", scenario, draw_verdicts(names, _by_line(group, name), frame, label))
        for scenario, group in by_scenario(ran).items()
    ]
    table = table_of(rows, heads, name)
    return Exhibit(key, title, f"{caption} {READING}", results.shown(query), panels, table, says=says)


def _lines(rows: Sequence[Row], name: Callable[[Row], str]) -> Mapping[Any, str]:
    """Return the names of all lines; lines of one subject stand together, those that say most come first."""
    weights: dict[str, float] = {}
    for row in rows:
        subject = row["subject"] or ""
        weights[subject] = max(weights.get(subject, 0.0), size(row))
    ordered = sorted(rows, key=lambda row: -weights[row["subject"] or ""])
    return {_line(row, name): name(row) for row in ordered}


def _by_line(rows: Sequence[Row], name: Callable[[Row], str]) -> dict[Any, Row]:
    return {_line(row, name): row for row in rows}


def _line(row: Row, name: Callable[[Row], str]) -> tuple[Any, ...]:
    """Return what is the same in all scenarios: the level of a choice, or the other side."""
    return row["kind"], row["level"], name(row)


def _of_common_seeds(row: Row, over: str) -> str:
    """Write an interval that no lost seed is counted in; where some are, with the estimate that it is of."""
    interval = bracket(row[f"low{over}"], row[f"high{over}"])
    if row["verdict"] == "no effect" or not interval or row["worst_case"] is None:
        return interval if row["verdict"] != "no effect" else ""
    return f"{points(row['estimate'])} {interval} without the lost seeds"


def table_of(rows: Sequence[Row], heads: tuple[str, str], name: Callable[[Row], str]) -> Table:
    """Return the folded table of differences, the strongest first; a row leads to its first run."""
    body = []
    for row in sorted(rows, key=size, reverse=True):
        sign = VERDICTS[row["verdict"]].sign
        body.append(
            [
                Cell(row["scenario"], "tight"),
                Cell(name(row), "tight", row["a"] or "", run_link(row["run"])),
                row["b"],
                Cell(f"{sign} {row['verdict']}", f"tight {look(row)}", row["reason"] or ""),
                Cell(
                    points(shown(row)), "number", f"{points(row['estimate'])} on {row['seeds']} common seeds"
                ),
                Cell(bracket(row["adjusted_low"], row["adjusted_high"]), "tight"),
                Cell(_of_common_seeds(row, ""), "tight"),
                Cell(_of_common_seeds(row, "_both"), "tight"),
                Cell(seeds_said(row), "tight"),
                row["seeds_needed"],
            ]
        )
    columns = [
        *("scenario", heads[0] or "configuration", heads[1], "verdict", "points", "90 %, adjusted"),
        *("90 %, these images", "90 %, seeds and images", "seeds", "seeds that would decide"),
    ]
    return Table(columns, body, folded=f"The numbers ({len(body)} rows)")
