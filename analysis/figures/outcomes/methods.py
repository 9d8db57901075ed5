"""Confirmed configurations on the test split and fresh seeds."""

from __future__ import annotations

from ...look.page import Exhibit, numbers
from ...look.words import listing
from ...read.results import Results, Row
from ..estimates import (
    basis,
    below_floors,
    clients_said,
    confirmed,
    draw_accuracies,
    limits,
    panel,
    query_of,
    said,
)
from .accuracies import NOT_YET, PERSONAL_METRICS, title_of

QUERY = query_of(tuple(PERSONAL_METRICS))
SHOWN = ("scenario", "label", "metric", "mean", "low", "high", "seeds", "seeds_planned", "lost")
PATCHES = """SELECT patches, list(DISTINCT label ORDER BY label) AS labels
FROM trials
WHERE kind = 'confirm' AND patches IS NOT NULL
GROUP BY patches ORDER BY patches"""


def table_methods(results: Results) -> list[Row]:
    """Return the confirmed configurations and the floors, personal own and global (see `confirmed`)."""
    return confirmed(results, tuple(PERSONAL_METRICS))


def exhibit_methods(results: Results) -> Exhibit:
    """Return the figure of the methods by scenario, a panel per metric; floors are thin lines."""
    title, metric, rows = "Methods by scenario", results.metric, table_methods(results)
    if not rows:
        return Exhibit("methods", title, missing=NOT_YET)
    own = [row for row in rows if row["metric"] == "acc_personal_own"]
    panels = []
    for column in PERSONAL_METRICS:
        shown = [row for row in rows if row["metric"] == column]
        figure = draw_accuracies(shown, limits(rows), f"test {metric}, %")
        panels.append(
            panel(f"methods-{column.replace('_', '-')}", title_of(column, metric), figure, said(shown))
        )
    caption = (
        f"Test {metric} on fresh seeds: mean (mark), {basis(rows, results.confidence)} (bar), single seeds "
        "(dots below the bar). Hollow marks are untuned. The thin lines are what no method should fall "
        "below. Intervals of single methods may overlap although their paired difference is clear; the "
        f"table of methods has the verdicts. {clients_said(own)}{patches(results)}"
    )
    says = " ".join([f"{said(own)}.", *below_floors(own)])
    return Exhibit("methods", title, caption, results.shown(QUERY), panels, numbers(rows, SHOWN), says=says)


def patches(results: Results) -> str:
    """Return a sentence per number of image patches that names the configurations that work on so many."""
    return "".join(
        f" With this backbone, {listing(row['labels'])} {'works' if len(row['labels']) == 1 else 'work'} on "
        f"M = {row['patches']} patches."
        for row in results.sql(PATCHES)
    )
