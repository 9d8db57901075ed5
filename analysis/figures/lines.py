"""Lines with intervals or bands: against rounds, a setting, the measured heterogeneity or stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..look.entries import panel_groups
from ..look.marks import draw_intervals
from ..look.page import Panel
from ..look.style import GREY, Axes, Figure, Look, blank, drawing, integer_axis, legend_below, percent_axis
from ..look.words import percent
from ..read.results import Row
from .estimates import FLOORS, entries_of, is_floor, is_number
from .exhibits import Draw, Seen, panels_by_title
from .rows import grouped

LOG_RATIO = 4  # of the largest value to the smallest, from which on the axis is logarithmic
STEP = 0.014  # share of the axis between two lines at one value


@dataclass(frozen=True)
class Line:
    """A line of a figure."""

    name: str  # in the legend; empty: not in it
    look: Look
    rows: Sequence[Row]  # with x, mean, low and high, sorted by x; low and high may be None
    band: bool = False  # low to high is a band, else a bar at each x
    width: float = 1.2  # points
    marked: bool = True  # each point has a marker


@dataclass(frozen=True)
class Axis:
    """What stands along x and y."""

    x: str
    y: str
    frame: tuple[float, float] | None = None  # ends of the y axis; None: as the lines need it
    names: Sequence[str] = ()  # of the places 0, 1, ... of an x axis without numbers
    values: Sequence[float] = ()  # along x, sorted, with a tick each; empty: whole numbers such as rounds
    fractions: bool = True  # y is written in per cent
    log: bool | None = None  # whether x is logarithmic; None: where the values reach far


@drawing
def draw_lines(
    lines: Sequence[Line], axis: Axis, floors: Mapping[str, float] | None = None, height: float = 3.1
) -> Figure:
    """Draw lines with their bars or bands, and floors (label -> accuracy) as thin horizontal lines."""
    figure, axes = blank(height)
    draw_floors(axes, floors or {})
    put_lines(axes, lines, axis)
    legend_below(figure, axes)
    return figure


def draw_floors(axes: Axes, floors: Mapping[str, float], vertical: bool = False) -> None:
    """Draw floors as thin lines across the axes with names in the legend."""
    for label, value in floors.items():
        draw = axes.axvline if vertical else axes.axhline
        draw(value, color=GREY, linewidth=1.0, linestyle=FLOORS.get(label, ":"), label=label)


def put_lines(axes: Axes, lines: Sequence[Line], axis: Axis) -> None:
    """Draw lines on axes, and set the axes."""
    reach = (0, max(1, len(axis.names) - 1)) if axis.names else tuple(axis.values)
    log = axis.log
    if log is None:
        log = bool(axis.values) and axis.values[0] > 0 and axis.values[-1] / axis.values[0] >= LOG_RATIO
    for i, line in enumerate(lines):
        rows = [row for row in line.rows if is_number(row["mean"])]
        x = [row["x"] for row in rows]
        if reach:
            part, first, last = STEP * (i - (len(lines) - 1) / 2), reach[0], reach[-1]  # side by side
            x = [at * (last / first) ** part if log else at + (last - first) * part for at in x]
        look, colour = line.look, line.look.colour
        if line.band:
            low, high = (np.array([row.get(end) for row in rows], float) for end in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.14, linewidth=0)
        else:
            draw_intervals(axes, x, rows, colour)
        marker = look.marker if line.marked or len(rows) == 1 else ""
        style: dict[str, Any] = {"linestyle": look.line, "linewidth": line.width, "marker": marker}
        mark: dict[str, Any] = {"markersize": 4.2, "markerfacecolor": look.face}
        mark["markevery"] = 1 if axis.values or axis.names else max(1, len(x) // 8)
        axes.plot(x, [r["mean"] for r in rows], color=colour, label=line.name or None, **style, **mark)
    if axis.names:
        axes.set_xticks(range(len(axis.names)), axis.names)
        axes.tick_params(axis="x", length=0)
        axes.set_xlim(-0.4, len(axis.names) - 0.6)
    elif axis.values:
        axes.set_xscale("log" if log else "linear")
        axes.set_xticks(axis.values, [f"{value:g}" for value in axis.values])
        axes.minorticks_off()
    else:
        integer_axis(axes.xaxis)
    axes.grid(axis="y")
    axes.set(xlabel=axis.x, ylabel=axis.y)
    if axis.frame:
        axes.set_ylim(axis.frame)
    if axis.fractions:
        percent_axis(axes.yaxis)


def lines_of(rows: Iterable[Row], by: str = "label", **style: Any) -> list[Line]:
    """Return a line for each value of a column, thin ones for floors; the rows have its look and x."""
    lines = []
    for name, group in grouped(rows, by).items():
        line = sorted(group, key=lambda row: row["x"])
        if is_floor(line[0]):
            line = [{**row, "low": None} for row in line]
            lines.append(Line(name, line[0]["look"], line, width=1.0, marked=False))
        else:
            lines.append(Line(str(name), line[0]["look"], line, **style))
    return lines


def panels_of(
    rows: Sequence[Row], key: str, draw: Draw, seen: Seen, by: str = "scenario", name: str = "label"
) -> list[Panel]:
    """Return a panel for each value of `by`, or several for many values of `name`; floors are in each."""
    titled: dict[str, list[Row]] = {}
    for title, group in grouped(rows, by).items():
        parts = panel_groups(list(dict.fromkeys(row[name] for row in entries_of(group))))
        for i, labels in enumerate(parts, 1):
            part = f" ({i} of {len(parts)})" if len(parts) > 1 else ""
            titled[f"{title}{part}"] = [r for r in group if r[name] in labels or is_floor(r)]
    return panels_by_title(titled, key, draw, seen)


def ends_said(rows: Iterable[Row], form: Callable[[float | None], str] = percent, unit: str = "%") -> str:
    """Return what is seen in lines, for an alt text: where each begins and ends."""
    texts = []
    for label, group in grouped(rows, "label").items():
        line = [row for row in sorted(group, key=lambda row: row["x"]) if is_number(row["mean"])]
        if line:
            first, last = form(line[0]["mean"]), form(line[-1]["mean"])
            texts.append(f"{label} {first}{unit}" + (f" to {last}{unit}" if len(line) > 1 else ""))
    return "; ".join(texts)
