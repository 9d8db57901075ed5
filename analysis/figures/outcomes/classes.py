"""Accuracy by class and by domain, of the shared parameters alone and with the private ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.marks import name_rows
from ...look.page import Exhibit, Table
from ...look.style import Figure, blank, drawing, legend_below, percent_axis
from ...look.words import capitalized, percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import panel
from ..exhibits import exhibit_of_rows
from .accuracies import SCOPE_NAMES, SCOPES

LAST = "(SELECT max(round) FROM classes WHERE split = 'validation')"
POOLED = "sum(correct) FILTER (scope = '{0}') / nullif(sum(total) FILTER (scope = '{0}'), 0)"
MEAN = "avg(correct / total) FILTER (scope = '{0}' AND total > 0)"  # over classes: IoU is no share of pixels


def query_of_names(column: str, share: str = POOLED) -> str:
    """Return the SQL of the accuracy by `class_name` or `domain_name` at the last evaluated round."""
    shares = ", ".join(f"{share.format(scope)} AS {scope}" for scope in SCOPES)
    return f"""SELECT {column} AS name, any_value(round) AS round, {shares}
FROM classes WHERE split = 'validation' AND round = {LAST}
GROUP BY {column} HAVING sum(total) > 0
ORDER BY coalesce(personal, shared) DESC, name"""


@drawing
def draw_classes(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw each class in a line: shared alone as a square, personal as a circle, joined."""
    figure, axes = blank(0.75 + 0.17 * len(rows))
    for height, row in enumerate(rows):
        if None not in (ends := [row["shared"], row["personal"]]):
            axes.plot(ends, [height] * 2, color="#bbbbbb", linewidth=1.2, zorder=1)
        for scope, look in SCOPES.items():
            if row[scope] is not None:
                label = SCOPE_NAMES[scope] if height == 0 else None
                style: dict[str, Any] = {"color": look.colour, "markersize": 4, "linestyle": "", "zorder": 2}
                axes.plot([row[scope]], [height], look.marker, label=label, **style)
    name_rows(axes, [row["name"] for row in rows])
    axes.grid(axis="x")
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=f"validation {metric.per_class} of each class, %")
    percent_axis(axes.xaxis)
    legend_below(figure, axes)
    return figure


def exhibit_classes(results: Results) -> Exhibit:
    """Return the figure of each class, shared alone against personal."""
    metric, query = results.metric, query_of_names("class_name")
    rows, title = results.sql(query), f"{capitalized(results.metric.per_class)} by class"
    if not rows:
        return Exhibit("classes", title, missing="No evaluation by class is on disk.")
    caption = (
        f"After round {rows[0]['round']}, over all evaluated clients and domains. Squares: the shared "
        "parameters alone; circles: with the private parameters."
    )
    best, worst = (
        f"{row['name']} {percent(row['personal'] or row['shared'])}%" for row in (rows[0], rows[-1])
    )
    says = f"From {best} to {worst}."
    panels, columns = [panel("classes", "", draw_classes(rows, metric), says)], ("name", *SCOPES)
    return exhibit_of_rows(
        results, "classes", title, panels, rows, columns, query=query, caption=caption, says=says
    )


def table_domains(results: Results) -> Table | None:
    """Return the accuracy by domain; None where there are not two domains.

    In segmentation it is the mean over classes of the overlap in the domain.
    """
    query = query_of_names("domain_name", MEAN if results.metric.segments else POOLED)
    rows = results.sql(query)
    body = [[row["name"], percent(row["shared"]), percent(row["personal"])] for row in rows]
    caption = (
        "After the last evaluated round, over all evaluated clients and classes. One seed, so no interval."
    )
    title = f"{capitalized(str(results.metric))} by domain"
    columns, source = ["domain", "shared alone, %", "personal, %"], results.shown(query)
    return Table(columns, body, caption, source, key="table-domains", title=title) if len(rows) > 1 else None
