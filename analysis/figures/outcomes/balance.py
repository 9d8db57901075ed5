"""Accuracy against the frequency of a class, and on the head, medium and tail third of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.page import Exhibit
from ...look.style import Figure, blank, drawing, legend_below, percent_axis
from ...look.words import percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import COLUMNS, ONE_FLOOR, basis, entries_of, floors_of, limits, panel, quoted, sort
from ..exhibits import exhibit_of_rows
from ..lines import LOG_RATIO, Axis, draw_lines, lines_of, panels_of
from .accuracies import GROUPING, GROUPS, NOT_YET, SCOPE_NAMES, SCOPES, SHARED_METRICS, counted

TITLE = "Head, medium and tail classes"
SHARES = ", ".join(
    f"sum(correct) FILTER (scope = '{s}') / nullif(sum(total) FILTER (scope = '{s}'), 0) AS {s}"
    for s in SCOPES
)
LAST = "(SELECT max(round) FROM {table} WHERE split = 'validation' AND {column} IS NOT NULL)"
THIRDS = "\nUNION ALL\n".join(
    f"""SELECT '{group} classes', NULL, acc_shared_{group}, acc_personal_{group}, round FROM rounds
WHERE split = 'validation' AND round = {LAST.format(table="rounds", column="acc_shared_tail")}"""
    for group in GROUPS
)
QUERY_OF_RUN = f"""(SELECT class_name AS name, coalesce(any_value(images), 0) AS images, {SHARES},
  any_value(round) AS round
FROM classes LEFT JOIN (SELECT label, count(*) AS images FROM partition GROUP BY label) USING (label)
WHERE split = 'validation' AND round = {LAST.format(table="classes", column="correct")}
GROUP BY class_name ORDER BY images DESC, name)
UNION ALL
{THIRDS}"""
# The floors are measured over all classes only.
QUERY_OF_GROUPS = f"""SELECT {COLUMNS} FROM estimates
WHERE split = 'test' AND ((kind = 'confirm' AND metric IN ({quoted(*SHARED_METRICS)}))
  OR (kind = 'floor' AND metric = 'acc_personal_global'))
{ONE_FLOOR}
ORDER BY ALL"""
SHOWN = ("scenario", "label", "metric", "mean", "low", "high", "seeds")


@drawing
def draw_balance(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the classes of a run (rows of `QUERY_OF_RUN` with images) by their training images."""
    figure, axes = blank(3.0)
    for scope, look in SCOPES.items():
        measured = [row for row in rows if row[scope] is not None]
        dots: dict[str, Any] = {"markersize": 3.6, "alpha": 0.75, "markeredgewidth": 0, "linestyle": ""}
        x, y = [row["images"] for row in measured], [row[scope] for row in measured]
        if measured:
            axes.plot(x, y, marker=look.marker, color=look.colour, label=SCOPE_NAMES[scope], **dots)
    images = [row["images"] for row in rows]
    if min(images) > 0 and max(images) / min(images) >= LOG_RATIO:
        axes.set_xscale("log")
        _plain_ticks(axes.xaxis)
    axes.set(xlabel="training images of the class", ylabel=f"validation {metric.per_class}, %")
    percent_axis(axes.yaxis)
    axes.grid(axis="y")
    legend_below(figure, axes)
    return figure


def _plain_ticks(axis: Any) -> None:
    """Write the ticks of a logarithmic axis as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def exhibit_balance(results: Results) -> Exhibit | None:
    """Return the figure of a run; None where classes are about equally frequent."""
    rows = results.sql(QUERY_OF_RUN)
    thirds, classes = ([r for r in rows if (r["images"] is None) == is_third] for is_third in (True, False))
    if not classes or not any(row["images"] for row in classes) or not thirds:
        return None
    caption = (
        f"After round {thirds[0]['round']}. Left: {results.metric.per_class} of each class against its "
        f"training images over all clients. Right: the thirds of the classes. {GROUPING} Squares: the "
        "shared parameters alone; circles: with the private ones, mean over clients."
        f"{counted(results.metric)}"
    )
    reached = [
        {"x": i, "name": row["name"], "scope": SCOPE_NAMES[scope], "look": look, "mean": row[scope]}
        for scope, look in SCOPES.items()
        for i, row in enumerate(thirds)
        if row[scope] is not None
    ]
    axis = Axis("thirds of the classes", f"validation {results.metric}, %", names=GROUPS)
    said = "; ".join(f"{row['name']} {row['scope']} {percent(row['mean'])}%" for row in reached)
    panels = [
        panel("balance", "Single classes", draw_balance(classes, results.metric), f"{len(classes)} classes"),
        panel("balance-thirds", "Thirds of the classes", draw_lines(lines_of(reached, "scope"), axis), said),
    ]
    columns = ("name", "images", *SCOPES)
    return exhibit_of_rows(
        results, "balance", TITLE, panels, rows, columns, query=QUERY_OF_RUN, caption=caption, says=f"{said}."
    )


def table_groups(results: Results) -> list[Row]:
    """Return the accuracies of the shared model on the three groups, and the floors on the global split."""
    rows = results.sql(QUERY_OF_GROUPS)
    scenarios = {row["scenario"] for row in entries_of(rows)}
    return sort(results, [row for row in rows if row["scenario"] in scenarios])


def exhibit_reached(results: Results, rows: Sequence[Row], key: str, title: str) -> Exhibit:
    """Return the three groups by scenario; the configurations side by side, each with its interval.

    Args:
        results: The sweep.
        rows: Rows of `table_groups`.
        key: Key of the exhibit.
        title: Its title.
    """
    axis = Axis("", f"test {results.metric}, %", limits(rows), names=[f"{group} classes" for group in GROUPS])
    placed = [
        {**row, "x": SHARED_METRICS.index(row["metric"])} if row["kind"] != "floor" else row for row in rows
    ]

    def draw(shown: Sequence[Row]) -> Figure:
        return draw_lines(lines_of(entries_of(shown)), axis, floors_of(shown))

    caption = (
        f"Test {results.metric} of the shared parameters alone on fresh seeds: mean and "
        f"{basis(rows, results.confidence)}. {GROUPING} Intervals of single configurations may overlap "
        "although their paired difference is clear."
    )
    if floors_of(rows):
        caption += (
            " Thin lines: what no method should fall below, on all classes of the global split; floors are "
            "not measured on a third of the classes."
        )
    panels = panels_of(placed, key, draw, groups_said)
    return exhibit_of_rows(results, key, title, panels, rows, SHOWN, query=QUERY_OF_GROUPS, caption=caption)


def groups_said(rows: Sequence[Row]) -> str:
    """Return what is seen: the accuracy of each configuration on the tail and the head classes."""
    said = []
    for name, metric in (("tail", SHARED_METRICS[-1]), ("head", SHARED_METRICS[0])):
        reached = [f"{row['label']} {percent(row['mean'])}%" for row in rows if row["metric"] == metric]
        said.append(f"on {name} classes {', '.join(reached)}")
    return "; ".join(said)


def exhibit_groups(results: Results) -> Exhibit | None:
    """Return the figure of the shared model on the three groups; None where classes are equally frequent."""
    if rows := table_groups(results):
        return exhibit_reached(results, rows, "groups", TITLE)
    unequal = results.sql("FROM rounds WHERE acc_shared_tail IS NOT NULL LIMIT 1")
    return Exhibit("groups", TITLE, missing=NOT_YET) if unequal else None
