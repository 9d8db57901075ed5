"""Tables of the contrasts: a verdict per choice and study, and all differences."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.page import Cell, Table
from ...look.style import VERDICT_MARK
from ...look.words import (
    WITHIN,
    mean_span,
    points,
    span,
)
from ...read import queries
from ...read.results import Results, Row
from ...stats.intervals import EQUIVALENCE_MARGIN, Interval
from ..rows import symbols_of
from .contrasts import paths_without_effect, reported_rows, study_names


def table_verdicts(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the table of choices by studies, a verdict in each cell; None without rows.

    Args:
        results: The sweep.
        rows: Rows of `contrasts.table_contrasts`.
    """
    if not rows:
        return None
    several_methods = len({row["method"] for row in rows}) > 1
    symbols = symbols_of(results) | {row["path"]: row["symbol"] for row in rows}
    cells: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        cells.setdefault((row["path"], row["study"]), []).append(row)
    body = [
        [Cell(symbol, "code"), *(_verdict_cell(cells.get((path, study), [])) for study in study_names(rows))]
        for path, symbol in symbols.items()
    ]
    scenario_of = {row["study"]: row["scenario"] for row in rows}
    heads = [study if several_methods else scenario_of[study] for study in study_names(rows)]
    caption = (
        f"{VERDICT_MARK['helps']}: some level helps (the best is named). {VERDICT_MARK['hurts']}: leaving "
        f"the anchor hurts (the worst level is named). {VERDICT_MARK['level']}: no level matters "
        f"({WITHIN}). Undecided: the brackets hold the range of all intervals, or how many levels have no "
        f"finished trial. Points of validation {results.metric}. A star: the verdict remains when adjusted "
        "for the number of contrasts."
    )
    title = f"Effect of each open choice on {results.metric}"
    return Table(["choice", *heads], body, caption, queries.CONTRASTS, key="verdicts", title=title)


def _verdict_cell(rows: Sequence[Row]) -> Cell:
    """Return the verdict on one choice in one study."""
    if not rows:
        return Cell("not tried yet", "missing")
    reported = reported_rows(rows)
    if reported:
        row = reported[0]
        star = " *" if row["firm"] else ""
        return Cell(
            f"{VERDICT_MARK[row['verdict']]} {row['level']}: {points(row['mean'])}{star}",
            row["verdict"],
            span(row["interval"]),
        )
    if paths_without_effect(rows):
        return Cell(
            f"{VERDICT_MARK['level']} {WITHIN}",
            "level",
            f"every level: no effect of more than {100 * EQUIVALENCE_MARGIN:g} point",
        )
    intervals: list[Interval] = [r["interval"] for r in rows if r["low"] is not None]
    if not intervals:
        return Cell("undecided (one seed)", "undecided")
    if all(r["verdict"] == "level" for r in rows):
        return Cell(f"undecided ({rows[0]['missing_levels']})", "undecided", f"each finished level: {WITHIN}")
    span_of_all = (
        f"{points(min(i.low or 0 for i in intervals))} to {points(max(i.high or 0 for i in intervals))}"
    )
    return Cell(f"undecided ({span_of_all})", "undecided", rows[0]["missing_levels"])


def table_differences(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the folded table of all contrasts; None without rows."""
    if not rows:
        return None
    body = [
        [
            r["scenario"],
            Cell(r["path"], "code"),
            r["level"],
            str(r["anchor"]),
            mean_span(r["interval"], points),
            r["seeds"],
            Cell(r["verdict"] + (" *" if r["firm"] else ""), r["verdict"]),
        ]
        for r in rows
    ]
    head = [
        "scenario",
        "choice",
        "level",
        "anchor",
        f"difference, points [{results.confidence:.0%}]",
        "seeds",
        "verdict",
    ]
    caption = (
        "Each contrast, paired by seed. A star: the verdict remains when adjusted for the number of "
        "contrasts."
    )
    return Table(
        head,
        body,
        caption,
        queries.CONTRASTS,
        folded=f"All {len(rows)} contrasts",
        key="table-contrasts",
        title="Contrasts",
    )
