"""Frequent and rare classes: accuracy against training images, and of the head, the medium and the tail third of the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import NARROW, WIDTH, blank, drawing, legend_below, percent_axis
from ...read.queries import parts
from ...read.results import Results, Row
from .clients import PERSONAL, SHARED, table_classes
from .curves import panels_by_scenario
from .methods import limits
from .tested import GROUPING, GROUPS, query_of_tested, table_tested

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Head, medium and tail classes"
SCOPES = {"shared": ("s", SHARED, "shared alone"), "personal": ("o", PERSONAL, "personal")}
OF_SHARED = tuple(f"acc_shared_{group}" for group in GROUPS)
LOG = 4  # from this ratio of the most frequent class to the rarest on, the axis is logarithmic


def table_balance(results: Results, rounds: Sequence[Row]) -> list[Row]:
    """Of a run: accuracy by class with its training images, then of the three groups; at the last evaluated round, on validation.

    Returns:
        Rows with name, images (None for a group), shared and personal; [] where classes are about equally
        frequent.
    """
    grouped = [r for r in rounds if any(r.get(f"acc_{scope}_tail") is not None for scope in SCOPES)]
    partition = results.partition()
    if not grouped or partition is None:
        return []
    names, last = results.meta.get("class_names") or [], grouped[-1]
    images = np.bincount(partition["label"].to_numpy(), minlength=len(names))
    place = {name: int(images[label]) for label, name in enumerate(names)}
    rows = [
        {"name": r["name"], "images": place.get(r["name"], 0), **{s: r.get(s) for s in SCOPES}}
        for r in table_classes(results)
    ]
    rows.sort(key=lambda r: -r["images"])
    return rows + [
        {"name": f"{g} classes", "images": None, **{s: last.get(f"acc_{s}_{g}") for s in SCOPES}}
        for g in GROUPS
    ]


@drawing
def draw_balance(rows: Sequence[Row]) -> Figure:
    """Left: a class per place on the x axis, by its training images. Right: the three groups. Squares shared alone, circles personal."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(WIDTH, 3.0), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(2, 1))
    classes, thirds = [r for r in rows if r["images"] is not None], [r for r in rows if r["images"] is None]
    for scope, (mark, tint, name) in SCOPES.items():
        own = [r for r in classes if r[scope] is not None]
        left.plot(
            [r["images"] for r in own],
            [r[scope] for r in own],
            mark,
            color=tint,
            markersize=3.6,
            alpha=0.75,
            markeredgewidth=0,
            label=name if own else None,
        )
        known = [(i, r[scope]) for i, r in enumerate(thirds) if r[scope] is not None]
        right.plot(
            [i for i, _ in known],
            [v for _, v in known],
            mark,
            color=tint,
            markersize=5.5,
            linestyle="-",
            linewidth=0.9,
        )
    images = [r["images"] for r in classes]
    if min(images) > 0 and max(images) / min(images) >= LOG:
        left.set_xscale("log")
        _plain_ticks(left.xaxis)
    left.set(xlabel="training images of the class", ylabel="validation accuracy, %")
    right.set_xticks(range(len(thirds)), GROUPS)
    right.set(xlim=(-0.5, len(thirds) - 0.5), xlabel="thirds of the classes")
    percent_axis(left.yaxis)
    for axes in (left, right):
        axes.grid(axis="y")
    legend_below(figure, left)
    return figure


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))


def exhibit_balance(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Of a run; None where classes are about equally frequent."""
    rows = table_balance(results, rounds)
    if not rows:
        return None
    last = max(r["round"] for r in rounds if any(r.get(f"acc_{scope}_tail") is not None for scope in SCOPES))
    scopes = [scope for scope in SCOPES if any(r[scope] is not None for r in rows)]
    sums = ", ".join(
        f"sum(correct) FILTER (scope = '{s}') / sum(total) FILTER (scope = '{s}') AS {s}" for s in scopes
    )
    thirds = "".join(
        f"""
UNION ALL BY NAME SELECT DISTINCT '{g} classes' AS name, {", ".join(f"acc_{s}_{g} AS {s}" for s in scopes)} FROM {parts("rounds")}
WHERE split = 'validation' AND round = {last}"""
        for g in GROUPS
    )
    query = f"""SELECT class_name AS name, coalesce(any_value(images), 0) AS images, {sums}
FROM {parts("classes")} LEFT JOIN (SELECT label, count(*) AS images FROM 'partition.parquet' GROUP BY label) USING (label)
WHERE split = 'validation' AND round = {last} GROUP BY class_name{thirds}"""
    caption = (
        f"After round {last}: left, accuracy of each class against its training images over all clients; "
        "right, the thirds of the classes. "
        f"{GROUPING} Squares: the shared parameters alone; circles: with the private ones, mean over clients."
    )
    behind = numbers(rows, ("name", "images", "shared", "personal"))
    return Exhibit("balance", TITLE, caption, query, [Panel("balance", "", draw_balance(rows))], behind)


@drawing
def draw_groups(rows: Sequence[Row], frame: tuple[float, float], width: float = WIDTH) -> Figure:
    """One scenario: head, medium and tail from left to right; a mark with its interval for each configuration, side by side.

    Args:
        rows: Rows of `tested.table_tested` for `OF_SHARED`.
        frame: The y axis, as fractions.
        width: Of the panel, inches.
    """
    figure, axes = blank(3.1, width)
    labels = list(dict.fromkeys(r["label"] for r in rows))
    step = 0.7 / max(3, len(labels))
    for i, label in enumerate(labels):
        own = sorted((r for r in rows if r["label"] == label), key=lambda r: OF_SHARED.index(r["metric"]))
        look, x = (
            own[0]["look"],
            [OF_SHARED.index(r["metric"]) + step * (i - (len(labels) - 1) / 2) for r in own],
        )
        for at, row in zip(x, own, strict=True):
            if row["low"] is not None:
                axes.plot([at, at], [row["low"], row["high"]], color=look.colour, linewidth=1.1)
        axes.plot(
            x,
            [r["mean"] for r in own],
            look.marker,
            color=look.colour,
            markersize=4.6,
            linestyle="",
            markerfacecolor=look.face,
            label=label,
            clip_on=False,
        )
    for edge in (0.5, 1.5):
        axes.axvline(edge, color="#dddddd", linewidth=0.7, zorder=0)
    axes.set_xticks(range(len(GROUPS)), [f"{group} classes" for group in GROUPS])
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="y")
    axes.set(ylim=frame, xlim=(-0.5, len(GROUPS) - 0.5), ylabel="test accuracy, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def panels_of_groups(results: Results, rows: Sequence[Row], key: str) -> list[Panel]:
    """A panel per scenario, or several where one would hold too many configurations."""
    places = panels_by_scenario(results, rows)
    panels = []
    for scenario, labels, part in places:
        own = sorted(
            (r for r in rows if r["scenario"] == scenario and r["label"] in labels),
            key=lambda r: labels.index(r["label"]),
        )
        plot = draw_groups(own, limits(rows), NARROW if len(places) > 2 else WIDTH)
        panels.append(Panel(f"{key}-{slug(scenario + part)}", scenario + part, plot))
    return panels


def exhibit_groups(results: Results, compared: Sequence[Row], rounds: Sequence[Row]) -> Exhibit | None:
    """Of a sweep: the shared model on the three groups, a panel per scenario; None where classes are about equally frequent.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of the drawn runs, on validation.
    """
    if not any(r.get(metric) is not None for r in rounds for metric in OF_SHARED):
        return None
    rows = table_tested(results, compared, OF_SHARED)
    if not rows:
        return Exhibit(
            "groups",
            TITLE,
            missing="No configuration has been confirmed on fresh seeds yet: the test split is still closed.",
        )
    caption = (
        f"Test accuracy of the shared parameters alone on fresh seeds: mean and {results.confidence:.0%} t "
        f"interval over seeds. {GROUPING} "
        "Intervals of single configurations may overlap where the paired difference is still clear."
    )
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds")
    return Exhibit(
        "groups", TITLE, caption, LEVELS, panels_of_groups(results, rows, "groups"), numbers(rows, columns)
    )


LEVELS = query_of_tested(
    OF_SHARED,
    """SELECT scenario, label, metric, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds
FROM tested GROUP BY ALL ORDER BY ALL""",
)
