"""Accuracy against the frequency of a class, and on the head, medium and tail third of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.page import Exhibit, Panel, numbers
from ...look.style import WIDTH, blank, drawing, legend_below, percent_axis
from ...look.words import percent
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import basis, confirmed, entries_of, limits, panel, query_of
from ..lines import LOG_RATIO, Axis, draw_lines, lines_of, panels_of
from .accuracies import GROUPING, GROUPS, NOT_YET, SCOPE_NAMES, SCOPES, SHARED_METRICS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
QUERY_OF_GROUPS = query_of(SHARED_METRICS)
SHOWN = ("scenario", "label", "metric", "mean", "low", "high", "seeds")


@drawing
def draw_balance(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the classes of a run by their training images.

    Args:
        rows: Rows of `QUERY_OF_RUN` with images.
        metric: The metric of the run.
    """
    figure, axes = blank(3.0, WIDTH)
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
    unit = "pixels" if metric.segments else "images"
    axes.set(xlabel=f"training {unit} of the class", ylabel=f"validation {metric}, %")
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
    )
    places = [
        {"x": i, "scope": SCOPE_NAMES[scope], "look": look, "mean": row[scope]}
        for scope, look in SCOPES.items()
        for i, row in enumerate(thirds)
    ]
    axis = Axis("thirds of the classes", f"validation {results.metric}, %", names=GROUPS)
    right = draw_lines(
        [line for line in lines_of(places, "scope") if any(r["mean"] for r in line.rows)], axis
    )
    said = "; ".join(
        f"{row['name']} {SCOPE_NAMES[scope]} {percent(row[scope])}%"
        for row in thirds
        for scope in SCOPES
        if row[scope]
    )
    panels = [
        panel("balance", "Single classes", draw_balance(classes, results.metric), f"{len(classes)} classes"),
        panel("balance-thirds", "Thirds of the classes", right, said),
    ]
    table = numbers(rows, ("name", "images", "shared", "personal"))
    return Exhibit("balance", TITLE, caption, results.shown(QUERY_OF_RUN), panels, table, says=f"{said}.")


def panels_of_groups(results: Results, rows: Sequence[Row], key: str) -> list[Panel]:
    """Return the three groups by scenario; the configurations side by side, each with its interval."""
    frame, axis_y = limits(rows), f"test {results.metric}, %"
    axis = Axis("", axis_y, frame, names=[f"{group} classes" for group in GROUPS])
    placed = [{**row, "x": SHARED_METRICS.index(row["metric"])} for row in entries_of(rows)]
    return panels_of(placed, key, lambda shown: draw_lines(lines_of(shown), axis), groups_said)


def groups_said(rows: Sequence[Row]) -> str:
    """Return what is seen: the accuracy of each configuration on the tail and the head classes."""
    ends = (("tail classes", SHARED_METRICS[-1]), ("head classes", SHARED_METRICS[0]))
    return "; ".join(
        f"on {name} "
        + ", ".join(f"{r['label']} {percent(r['mean'])}%" for r in rows if r["metric"] == metric)
        for name, metric in ends
    )


def exhibit_groups(results: Results) -> Exhibit | None:
    """Return the figure of the shared model on the three groups; None where classes are equally frequent."""
    rows = entries_of(confirmed(results, SHARED_METRICS))
    if not rows:
        grouped = results.sql("SELECT count(*) AS rows FROM rounds WHERE acc_shared_tail IS NOT NULL")
        return Exhibit("groups", TITLE, missing=NOT_YET) if grouped[0]["rows"] else None
    caption = (
        f"Test {results.metric} of the shared parameters alone on fresh seeds: mean and "
        f"{basis(rows, results.confidence)}. {GROUPING} Intervals of single configurations may overlap "
        "although their paired difference is clear."
    )
    panels, source = panels_of_groups(results, rows, "groups"), results.shown(QUERY_OF_GROUPS)
    says = f"{'; '.join(p.alt for p in panels)}."
    return Exhibit("groups", TITLE, caption, source, panels, numbers(rows, SHOWN), says=says)
