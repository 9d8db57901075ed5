"""Accuracy against the frequency of a class, and on the head, medium and tail third of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.marks import draw_line, panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import WIDTH, blank, drawing, legend_below, percent_axis
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row
from .accuracies import SCOPES
from .classes import table_classes
from .curves import panels_by_scenario
from .methods import limits
from .tested import GROUPING, GROUPS, query_of_tested, table_tested

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Head, medium and tail classes"
SHARED_METRICS = tuple(f"acc_shared_{group}" for group in GROUPS)
LOG_RATIO = 4  # of the most frequent class to the rarest, from which on the axis is logarithmic


def table_balance(results: Results, rounds: Sequence[Row]) -> list[Row]:
    """Return the accuracy of each class of a run with its training images, then of the three groups.

    Args:
        results: The run.
        rounds: Rows of the rounds table; the last evaluated round counts, on validation.

    Returns:
        Rows with name, images (None for a group), shared and personal; [] where classes are about equally
        frequent.
    """
    evaluated_rounds = [r for r in rounds if any(r.get(f"acc_{scope}_tail") is not None for scope in SCOPES)]
    partition = results.partition()
    if not evaluated_rounds or partition is None:
        return []
    names, last_round = results.meta.get("class_names") or [], evaluated_rounds[-1]
    images = np.bincount(partition["label"].to_numpy(), minlength=len(names))
    images_of = {name: int(images[label]) for label, name in enumerate(names)}
    rows = [
        {"name": r["name"], "images": images_of.get(r["name"], 0), **{s: r.get(s) for s in SCOPES}}
        for r in table_classes(results)
    ]
    rows.sort(key=lambda r: -r["images"])
    return rows + [
        {"name": f"{g} classes", "images": None, **{s: last_round.get(f"acc_{s}_{g}") for s in SCOPES}}
        for g in GROUPS
    ]


@drawing
def draw_balance(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the classes by their training images on the left, the three groups on the right.

    Args:
        rows: Rows of `table_balance`.
        metric: The metric of the run.
    """
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    classes = [row for row in rows if row["images"] is not None]
    thirds = [row for row in rows if row["images"] is None]
    for scope, look in SCOPES.items():
        measured = [row for row in classes if row[scope] is not None]
        dots: dict[str, Any] = {"markersize": 3.6, "alpha": 0.75, "markeredgewidth": 0, "linestyle": ""}
        x, y = [row["images"] for row in measured], [row[scope] for row in measured]
        name = look.name if measured else None
        left.plot(x, y, marker=look.marker, color=look.colour, label=name, **dots)
        marks = {i: row[scope] for i, row in enumerate(thirds) if row[scope] is not None}
        style: dict[str, Any] = {"markersize": 5.5, "linestyle": "-", "linewidth": 0.9}
        right.plot(list(marks), list(marks.values()), marker=look.marker, color=look.colour, **style)
    images = [row["images"] for row in classes]
    if min(images) > 0 and max(images) / min(images) >= LOG_RATIO:
        left.set_xscale("log")
        _plain_ticks(left.xaxis)
    left.set(xlabel="training images of the class", ylabel=f"validation {metric}, %")
    right.set_xticks(range(len(thirds)), GROUPS)
    right.set(xlim=(-0.5, len(thirds) - 0.5), xlabel="thirds of the classes")
    percent_axis(left.yaxis)
    for axes in (left, right):
        axes.grid(axis="y")
    legend_below(figure, left)
    return figure


def _plain_ticks(axis: Any) -> None:
    """Write the ticks of a logarithmic axis as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def exhibit_balance(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Return the figure of a run; None where classes are about equally frequent.

    Args:
        results: The run.
        rounds: Rows of the rounds table, on validation.
    """
    rows = table_balance(results, rounds)
    if not rows:
        return None
    grouped = [row["round"] for row in rounds if any(row.get(f"acc_{s}_tail") is not None for s in SCOPES)]
    last_round = max(grouped)
    caption = (
        f"After round {last_round}. Left: {results.metric.per_class} of each class against its training "
        f"images over all clients. Right: the thirds of the classes. {GROUPING} Squares: the shared "
        "parameters alone; circles: with the private ones, mean over clients."
    )
    scopes = [scope for scope in SCOPES if any(row[scope] is not None for row in rows)]
    panel = Panel("balance", "", draw_balance(rows, results.metric))
    table = numbers(rows, ("name", "images", "shared", "personal"))
    return Exhibit("balance", TITLE, caption, _query_of_run(last_round, scopes), [panel], table)


def _query_of_run(last_round: int, scopes: Sequence[str]) -> str:
    """Return the SQL that gives the numbers of `table_balance`."""
    shares = ", ".join(
        f"sum(correct) FILTER (scope = '{s}') / sum(total) FILTER (scope = '{s}') AS {s}" for s in scopes
    )
    thirds = "".join(
        f"""
UNION ALL BY NAME SELECT DISTINCT '{group} classes' AS name,
  {", ".join(f"acc_{s}_{group} AS {s}" for s in scopes)} FROM {parts("rounds")}
WHERE split = 'validation' AND round = {last_round}"""
        for group in GROUPS
    )
    return f"""SELECT class_name AS name, coalesce(any_value(images), 0) AS images, {shares}
FROM {parts("classes")} LEFT JOIN (
  SELECT label, count(*) AS images FROM 'partition.parquet' GROUP BY label
) USING (label)
WHERE split = 'validation' AND round = {last_round} GROUP BY class_name{thirds}"""


@drawing
def draw_groups(
    rows: Sequence[Row], frame: tuple[float, float], metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw head, medium and tail of one scenario; the configurations side by side, each with its interval.

    Args:
        rows: Rows of `tested.table_tested` for `SHARED_METRICS`.
        frame: Ends of the y axis, as fractions.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.1, width)
    labels = list(dict.fromkeys(row["label"] for row in rows))
    step = 0.7 / max(3, len(labels))
    for i, label in enumerate(labels):
        line = {SHARED_METRICS.index(row["metric"]): row for row in rows if row["label"] == label}
        line = dict(sorted(line.items()))
        look = next(iter(line.values()))["look"]
        x = [place + step * (i - (len(labels) - 1) / 2) for place in line]
        style: dict[str, Any] = {"markersize": 4.6, "linestyle": "", "clip_on": False}
        draw_line(axes, x, list(line.values()), look, label, **style)
    for edge in (0.5, 1.5):
        axes.axvline(edge, color="#dddddd", linewidth=0.7, zorder=0)
    axes.set_xticks(range(len(GROUPS)), [f"{group} classes" for group in GROUPS])
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set(ylim=frame, xlim=(-0.5, len(GROUPS) - 0.5), ylabel=f"test {metric}, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def panels_of_groups(results: Results, rows: Sequence[Row], key: str) -> list[Panel]:
    """Return a panel per scenario, or several where one would hold too many configurations."""
    places, panels = panels_by_scenario(results, rows), []
    for scenario, labels, suffix in places:
        panel_rows = [row for row in rows if row["scenario"] == scenario and row["label"] in labels]
        panel_rows.sort(key=lambda row: labels.index(row["label"]))
        figure = draw_groups(panel_rows, limits(rows), results.metric, panel_width(len(places)))
        panels.append(Panel(f"{key}-{slug(scenario + suffix)}", scenario + suffix, figure))
    return panels


def exhibit_groups(results: Results, compared: Sequence[Row], rounds: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the shared model on the three groups; None where classes are equally frequent.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of the drawn runs, on validation.
    """
    if not any(r.get(metric) is not None for r in rounds for metric in SHARED_METRICS):
        return None
    rows = table_tested(results, compared, SHARED_METRICS)
    if not rows:
        return Exhibit(
            "groups",
            TITLE,
            missing="No configuration has been confirmed on fresh seeds yet: the test split is still closed.",
        )
    caption = (
        f"Test {results.metric} of the shared parameters alone on fresh seeds: mean and "
        f"{results.confidence:.0%} t interval over seeds. {GROUPING} Intervals of single configurations "
        "may overlap although their paired difference is clear."
    )
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds")
    return Exhibit(
        "groups",
        TITLE,
        caption,
        QUERY_OF_GROUPS,
        panels_of_groups(results, rows, "groups"),
        numbers(rows, columns),
    )


QUERY_OF_GROUPS = query_of_tested(
    SHARED_METRICS,
    """SELECT scenario, label, metric, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds
FROM tested GROUP BY ALL ORDER BY ALL""",
)
