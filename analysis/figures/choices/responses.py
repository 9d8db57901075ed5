"""Response curves: accuracy along a numeric choice, around the anchor and over the whole space."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import draw_intervals, shifted_along
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import LINES, MARKERS, PALETTE, SOFT, blank, drawing, legend_below, percent_axis
from ...read.metric import Metric
from ...read.results import Results, Row
from ...stats.comparisons import MARGIN
from ...stats.intervals import t_interval
from ..rows import symbol_of, symbols_of
from .indices import QUERY, DesignPoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_VALUES = 3  # on a curve, the anchor among them
BINS = 5
LOG_RATIO = 20.0  # of the largest value to the smallest, beyond which the axis is logarithmic
CHOICES = """SELECT scenario, subject, level, estimate, low, high, verdict
FROM verdicts WHERE kind = 'choice' AND metric = 'acc_personal_own' ORDER BY number"""
COLUMNS = ("path", "scenario", "x", "mean", "low", "high")


def table_responses(changed: Sequence[Row]) -> list[Row]:
    """Return points along each numeric choice with at least three values: differences to the anchor.

    Args:
        changed: Rows of verdicts on choices, with path, symbol, anchor and mean; levels that diverged have no
            point.

    Returns:
        Rows with path, symbol, scenario, x, mean, low, high (fractions; 0 and None at the anchor, by
        definition) and anchor (whether it is that).
    """
    rows = []
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in changed:
        groups.setdefault((row["path"], row["scenario"]), []).append(row)
    for (path, scenario), levels in groups.items():
        anchor = number(levels[0]["anchor"])
        kept = [r for r in levels if r["verdict"] != "diverges"]
        numeric = [(x, r) for r in kept if (x := number(r["level"])) is not None and x != anchor]
        if anchor is None or len(numeric) + 1 < LEAST_VALUES:
            continue
        choice = {"path": path, "symbol": levels[0]["symbol"], "scenario": scenario}
        at_anchor = {"x": anchor, "mean": 0.0, "low": None, "high": None}
        points = [{"x": x, "mean": r["mean"], "low": r["low"], "high": r["high"]} for x, r in numeric]
        line = sorted([*points, at_anchor], key=lambda r: r["x"])
        rows += [{**choice, **point, "anchor": point is at_anchor} for point in line]
    return rows


def number(value: Any) -> float | None:
    """Return a level as a number; None where it is none, or where other settings go with it."""
    if isinstance(value, bool):
        return None
    try:
        finite = float(value)
    except (TypeError, ValueError):
        return None
    return finite if math.isfinite(finite) else None


def table_binned(results: Results, designs: Sequence[DesignPoints]) -> list[Row]:
    """Return mean accuracy over the whole space along each numeric parameter, in bins of equally many points.

    Points of one Saltelli block or trajectory share coordinates. So a bin's interval is one over the means of
    its blocks. Each point by itself is uniform over the space. So a block's mean has the bin's mean as its
    expectation, however many of its points lie in the bin.

    Returns:
        Rows with path, symbol, scenario, x (the bin's median), mean, low, high, blocks, points and log
         (whether the axis is logarithmic).
    """
    symbols, rows = symbols_of(results), []
    for design in designs:
        y = design.means
        for path in design.names:
            points = [
                (x, i // design.size, float(y[i]))
                for i, params in enumerate(design.params)
                if math.isfinite(y[i]) and (x := number(params.get(path))) is not None
            ]
            choice = {"path": path, "symbol": symbol_of(symbols, path), "scenario": design.scenario}
            for bin_points in _bins(sorted(points)):
                row = _bin_row(bin_points, results.confidence)
                rows.append({**choice, **row, "log": path in design.log})
    return rows


def _bin_row(points: Sequence[tuple[float, int, float]], confidence: float) -> Row:
    """Return x, mean, low, high, blocks and points of a bin."""
    blocks: dict[int, list[float]] = {}
    for _, block, y in points:
        blocks.setdefault(block, []).append(y)
    mean = t_interval([sum(ys) / len(ys) for ys in blocks.values()], confidence)
    assert mean is not None  # a bin has points, and each has a finite mean
    ends = {"mean": mean.mean, "low": mean.low, "high": mean.high}
    return {"x": points[len(points) // 2][0], **ends, "blocks": mean.n, "points": len(points)}


def _bins(points: Sequence[tuple[float, int, float]]) -> list[list[tuple[float, int, float]]]:
    """Return a bin per value where there are few values, else bins of about equally many points.

    Equal values stay in one bin.
    """
    values = sorted({x for x, _, _ in points})
    if len(values) < 2:
        return []
    if len(values) <= BINS:
        return [[point for point in points if point[0] == x] for x in values]
    bins: list[list[tuple[float, int, float]]] = [[]]
    for point in points:
        if len(bins[-1]) >= len(points) / BINS and bins[-1][-1][0] != point[0]:
            bins.append([])
        bins[-1].append(point)
    return bins


@drawing
def draw_curves(
    rows: Sequence[Row], scenarios: Sequence[str], path: str, metric: Metric, differences: bool
) -> Figure:
    """Draw one choice: a line per scenario, moved a little apart so that intervals are visible.

    Args:
        rows: Rows of one path.
        scenarios: In the order of their colours.
        path: The choice along x.
        metric: The metric of the sweep.
        differences: The rows are differences to the anchor, in fractions; else accuracies.
    """
    figure, axes = blank(2.5)
    xs = sorted({row["x"] for row in rows})
    log = xs[0] > 0 and (xs[-1] / xs[0] > LOG_RATIO if differences else rows[0]["log"])
    scale = 100 if differences else 1
    for i, scenario in enumerate(scenarios):
        line = [row for row in rows if row["scenario"] == scenario]
        shift = (i - (len(scenarios) - 1) / 2) * 0.012
        at = [shifted_along(row["x"], shift, xs, log) for row in line]
        means = [scale * row["mean"] for row in line]
        colour, dash = PALETTE[i % len(PALETTE)], LINES[i // len(PALETTE) % len(LINES)]
        style: dict[str, Any] = {"linestyle": dash, "markersize": 3.8, "linewidth": 1.1}
        axes.plot(at, means, MARKERS[i % len(MARKERS)], color=colour, label=scenario, **style)
        ends = [{end: row[end] and scale * row[end] for end in ("low", "high")} for row in line]
        draw_intervals(axes, at, ends, colour, alpha=0.8)
    if log:
        _log_axis(axes)
    if differences:
        axes.axhspan(-100 * MARGIN, 100 * MARGIN, color="#f3f3ef", linewidth=0, zorder=0.2)
        axes.axhline(0, color=SOFT, linewidth=0.7, zorder=0.5)
    else:
        percent_axis(axes.yaxis)
    axes.grid(axis="y")
    axes.set(xlabel=path, ylabel="points against anchor" if differences else f"validation {metric}, %")
    legend_below(figure, axes)
    return figure


def _log_axis(axes: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0), numticks=6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def exhibits(results: Results, changed: Sequence[Row], designs: Sequence[DesignPoints]) -> list[Exhibit]:
    """Return the figures of the curves around the anchor and over the whole space, a panel per choice.

    Args:
        results: The sweep.
        changed: See `table_responses`.
        designs: The points of the designs.
    """
    metric, confidence = results.metric, results.confidence
    figures, around, whole = [], table_responses(changed), table_binned(results, designs)
    if around:
        title = "Response to each numeric choice, around the anchor"
        caption = (
            f"Validation {metric} along each numeric choice with at least three values, minus the anchor "
            "on the same seeds (at 0, without an interval); the other choices stay at the anchor. Mean "
            f"and {confidence:.0%} interval. Shaded: within one point. Lines only join what was tried; "
            "nothing was measured between the points."
        )
        panels, table = _panels("responses", around, metric, True), numbers(around, COLUMNS)
        figures.append(Exhibit("responses", title, caption, results.shown(CHOICES), panels, table))
    if whole:
        title = "Response to each numeric parameter, over the whole space"
        caption = (
            f"Validation {metric} along each numeric parameter, the others anywhere in the space: means of "
            f"bins of about equally many points, where the parameter was active; {confidence:.0%} t "
            "intervals over the blocks of the design."
        )
        panels = _panels("responses-whole", whole, metric, False)
        table = numbers(whole, (*COLUMNS, "blocks", "points"))
        figures.append(Exhibit("responses-whole", title, caption, results.shown(QUERY), panels, table))
    return figures


def _panels(key: str, rows: Sequence[Row], metric: Metric, differences: bool) -> list[Panel]:
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    panels = []
    for path in dict.fromkeys(row["path"] for row in rows):
        path_rows = [row for row in rows if row["path"] == path]
        there = {row["scenario"] for row in path_rows}
        shown = [scenario for scenario in scenarios if scenario in there]
        figure = draw_curves(path_rows, shown, path, metric, differences)
        panels.append(Panel(f"{key}-{slug(path)}", path_rows[0]["symbol"], figure))
    return panels
