"""Convergence of the shared parameters: their accuracy on the global split, round by round."""

from __future__ import annotations

from typing import Any

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS, difference_cell, with_basis
from ..figures.outcomes.curves import SHOWN, panels_of_curves, query_of_rounds, table_curves
from ..figures.rows import group_cell, grouped, place_in, scenario_order
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import percent
from ..read.results import Results, Row

METRIC = "acc_shared_global"
VERDICTS = (
    f"""SELECT {FIELDS} FROM verdicts WHERE kind = 'recipe' AND subject = 'convergence' ORDER BY number"""
)


def exhibit_convergence(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """Return learning curves of the shared parameters alone, and the table of start, end and best round.

    Args:
        results: The sweep.
        figure: As declared: title.
        key: Key of the exhibit.
    """
    title, ends = figure.get("title") or "Convergence of the shared parameters", results.sql(VERDICTS)
    sharing = {(row["scenario"], row["level"]) for row in ends}
    rows = [row for row in table_curves(results, METRIC) if (row["scenario"], row["label"]) in sharing]
    if not rows:
        missing = "It takes two evaluated rounds of a confirmed configuration that shares parameters."
        return [Exhibit(key, title, missing=missing)]
    caption = (
        f"Validation {results.metric} of the shared parameters alone on the global split after each "
        "evaluated round, of configurations confirmed on fresh seeds: mean over seeds, and the range from "
        "the lowest to the highest seed (band; no interval)."
    )
    panels, query = panels_of_curves(results, rows, key, floors=False), query_of_rounds(results, METRIC)
    says = " ".join(sentences_convergence(results, figure)) or f"{'; '.join(p.alt for p in panels)}."
    curves = Exhibit(key, title, caption, results.shown(query), panels, numbers(rows, SHOWN), says=says)
    return [curves, table_of_convergence(results, ends, rows, key)]


def table_of_convergence(results: Results, ends: list[Row], curves: list[Row], key: str) -> Table:
    """Return start, end and best round of each configuration and scenario as a table."""
    body: list[list[Any]] = []
    by_line = grouped(curves, "scenario", "label")
    for row in sorted_ends(results, ends):
        best = max(by_line[row["scenario"], row["level"]], key=lambda r: r["mean"])
        names = [group_cell(body, row["scenario"]), Cell(row["level"], "tight")]
        words = {"ahead": "above", "behind": "below"}
        top = f"{percent(best['mean'])} (round {best['round']})"
        body.append(
            [*names, percent(row["mean_b"]), percent(row["mean_a"]), difference_cell(row, words), top]
        )
    columns = ["scenario", "configuration", "start, %", "end, %", "end minus start, points", "best, %"]
    caption = (
        f"Validation {results.metric} of the shared parameters alone on the global split. Differences are "
        "paired by seed, with intervals adjusted for all of them. The best round has the highest mean, so "
        "its value is a little too high."
    )
    title, source = "Start and end of the shared parameters", results.shown(VERDICTS)
    return Table(columns, body, caption, source, key=f"{key}-table", title=title)


def sorted_ends(results: Results, rows: list[Row]) -> list[Row]:
    """Return the differences in the order of scenarios and of the recipe's entries."""
    order, grid = scenario_order(results), list(results.meta.get("grid") or [])
    return sorted(
        rows,
        key=lambda r: (place_in(order, r["scenario"]), place_in(grid, base_label(r["level"])), r["number"]),
    )


def sentences_convergence(results: Results, _: Row) -> list[str]:
    """Return a sentence about the recipe's first entry, then one about the others per scenario."""
    rows, texts, grid = (
        sorted_ends(results, results.sql(VERDICTS)),
        list[str](),
        list(results.meta.get("grid") or []),
    )
    main = [
        row for row in rows if base_label(row["level"]) == (grid[0] if grid else base_label(rows[0]["level"]))
    ]
    if main:
        said = named(main, lambda row: f"its start under {row['scenario']}")
        texts.append(f"On the global validation split, the shared part of {main[0]['level']} {said}.")
    for scenario, group in grouped([row for row in rows if row not in main], "scenario").items():
        said = "; that of ".join(f"{row['level']} {named([row], lambda _: 'its start')}" for row in group)
        texts.append(f"Under {scenario}, the shared part of {said}.")
    return with_basis(texts, rows, results.confidence)
