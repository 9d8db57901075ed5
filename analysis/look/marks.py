"""Marks that several figures draw alike, forest plots, and places of names, so that none covers another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, log10
from typing import Any

import numpy as np

from ..read.results import Row
from .style import FAINT, INK, SMALL, SOFT, VERDICTS, Axes, Figure, blank, drawing, hover
from .words import MARGIN, described, points, shorten, shown

ROW_HEIGHT = 0.172  # inches: a line of a forest plot
LETTER, LINE = 4.6, 10.1  # points: width of a letter and height of a line at the font size SMALL
# Heading (empty: none is written) -> name and row of each line; a line without a row stays empty.
Lines = Mapping[str, Sequence[tuple[str, Row | None]]]
Box = tuple[float, float, float, float]  # left, right, bottom, top, in points


def write_beside(axes: Axes, y: float, text: str, colour: str = INK, offset: float = 30) -> None:
    """Write a value at a height right of the axes; it ends `offset` points from them."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": SMALL, "color": colour}
    axes.annotate(text, (1, y), xytext=(offset, 0), annotation_clip=False, **place, **style)


def draw_range(
    axes: Axes, y: float, low: Any, high: Any, colour: str, width: float, unit: float = 1.0
) -> None:
    """Draw a bar from `low` to `high`, times `unit`, at a height; nothing where an end is missing."""
    if low is not None and high is not None:
        style: dict[str, Any] = {"color": colour, "linewidth": width, "solid_capstyle": "butt"}
        axes.plot([unit * low, unit * high], [y] * 2, **style)


def draw_intervals(
    axes: Axes, x: Sequence[float], rows: Sequence[Row], colour: str, width: float = 1, **style: Any
) -> None:
    """Draw the interval of each row (`low`, `high`), if it has one, as a vertical line at its x."""
    for place, row in zip(x, rows, strict=True):
        if row.get("low") is not None:
            axes.plot([place] * 2, [row["low"], row["high"]], color=colour, linewidth=width, **style)


def name_rows(axes: Axes, names: Sequence[str], heights: Sequence[float] = ()) -> None:
    """Write the name of each row left of the axes, by default at its place; without ticks and axis line."""
    axes.set_yticks(heights or range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def forest_height(groups: Lines) -> float:
    """Inches that `forest` needs."""
    return 0.5 + ROW_HEIGHT * sum(len(lines) + 1.35 * bool(heading) for heading, lines in groups.items())


def forest(
    axes: Axes, groups: Lines, draw: Callable[[Axes, float, Row], None]
) -> dict[str, tuple[float, float]]:
    """Draw lines below each other under their headings, with their names on the left.

    `draw` draws the marks of a row at a height. Returns heading -> the top and the bottom of its lines.
    """
    y, ticks, ends = 0.0, list[tuple[float, str]](), {}
    for heading, lines in groups.items():
        if heading:
            style: dict[str, Any] = {"va": "center", "fontweight": "bold", "fontsize": SMALL}
            place: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points"}
            axes.annotate(heading, (0, y), xycoords=("axes fraction", "data"), **place, **style)
            y += 1.05
        ends[heading] = (y - 0.55, y - 0.45 + len(lines))
        for name, row in lines:
            if row:
                draw(axes, y, row)
            ticks.append((y, name))
            y += 1
        y += 0.3
    name_rows(axes, [name for _, name in ticks], [at for at, _ in ticks])
    axes.set_ylim(y - 0.6, -0.7)
    return ends


def axis_frame(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of the x axis, in points: all estimates, zero, the band of `level`, most intervals.

    Wider intervals are cut, with an arrow at the end.
    """
    estimates = [100 * value for r in rows if (value := shown(r)) is not None]
    reach = 1.6 * max(map(abs, estimates), default=0.0) + 1
    ends = [100 * r[e] for r in rows for e in ("adjusted_low", "adjusted_high") if r[e] is not None]
    low = min(*estimates, max(min(ends, default=0.0), -reach), -1.6)
    high = max(*estimates, min(max(ends, default=0.0), reach), 1.6)
    pad = 0.05 * (high - low)
    return low - pad, high + pad


@drawing
def draw_differences(groups: Lines, frame: tuple[float, float], label: str) -> Figure:
    """Draw rows of the table of verdicts below each other; the grey band is the range of `level`.

    `frame` are the ends of the x axis, in points; an interval that is wider ends in an arrow.
    """
    figure, axes = blank(forest_height(groups))
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="#f0f0eb", linewidth=0, zorder=0)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    forest(axes, groups, lambda axes, y, row: _draw_difference(axes, y, row, frame))
    axes.set(xlim=frame, xlabel=label)
    return figure


def _draw_difference(axes: Any, y: float, row: Row, frame: tuple[float, float]) -> None:
    """Draw a difference at a height: its sign, its adjusted interval and, thicker, its own interval."""
    look, value = VERDICTS[row["verdict"]], shown(row)
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
    if value is None or row["verdict"] == "diverges":
        write_beside(axes, y, row["verdict"] if row["verdict"] == "diverges" else "not run", look.colour)
        return
    for (low, high), width in ((("adjusted_low", "adjusted_high"), 1.1), (("low", "high"), 2.4)):
        if row[low] is not None and (width < 2 or value == row["estimate"]):  # the other one has no lost seed
            ends = [min(max(100 * row[end], frame[0]), frame[1]) for end in (low, high)]
            draw_range(axes, y, ends[0], ends[1], look.colour, width)
            for end, at, arrow in zip((low, high), ends, "<>", strict=True):
                if at != 100 * row[end]:
                    axes.plot([at], [y], arrow, color=look.colour, markersize=3.5, clip_on=False)
    marker = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
    (mark,) = axes.plot([100 * value], [y], look.marker, color=look.colour, **marker)
    hover(mark, f"{row['a']} against {row['b']}, {row['scenario']}: {described(row)}")
    write_beside(axes, y, points(value), SOFT if row["verdict"] == "undecided" else INK)


@dataclass(frozen=True)
class Mark:
    """A mark with a name to write beside it: its place and the ends of its interval, in data coordinates."""

    x: float
    y: float
    name: str
    low: float
    high: float


def spread(wanted: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Move places apart: at least `least` between neighbours, in the same order, within low to high.

    The sum of squared moves is the smallest possible.
    """
    from scipy.optimize import isotonic_regression

    order, steps = np.argsort(wanted, kind="stable"), least * np.arange(len(wanted))
    placed = isotonic_regression(np.asarray(wanted, float)[order] - steps).x
    placed = np.clip(placed, low, max(low, high - steps[-1])) + steps
    return [float(place) for place in placed[np.argsort(order)]]


def places(
    marks: Sequence[tuple[float, float, str]], taken: Sequence[Box], height: float
) -> dict[int, tuple[float, float]]:
    """Place names beside their marks where there is room, else in a column to the right of the crowded marks.

    All lengths are in points: places of the marks with their names, boxes that are `taken` by marks and
    intervals, the height of the axes. Returns index of a mark -> left end and middle of its name.
    """
    at = np.array([mark[:2] for mark in marks])
    gaps = np.linalg.norm(at[:, None] - at, axis=-1) + np.diag(np.full(len(marks), np.inf))
    beside: dict[int, Box] = {}
    in_column: dict[int, tuple[float, float]] = {}
    for i in np.argsort(-gaps.min(axis=1), kind="stable").tolist():
        box = _name_box(marks[i][0] + 7, marks[i][1], marks[i][1], marks[i][2])
        if not any(_overlap(box, other) for other in (*taken, *beside.values())):
            beside[i] = box
    while crowd := [i for i in range(len(marks)) if i not in beside]:
        middles = spread([marks[i][1] for i in crowd], LINE, 5, height - 5)
        left = max(marks[i][0] for i in crowd) + 14
        longest = max((marks[i][2] for i in crowd), key=len)
        column = _name_box(left, min(middles), max(middles), longest)
        boxes = {i: (box, _around(marks[i])) for i, box in beside.items()}
        covered = [i for i, both in boxes.items() if any(_overlap(column, box) for box in both)]
        if not covered:
            in_column = {i: (left, y) for i, y in zip(crowd, middles, strict=True)}
            break
        for i in covered:  # these names join the crowd
            del beside[i]
    return {i: (box[0], marks[i][1]) for i, box in beside.items()} | in_column


def _name_box(left: float, lowest: float, highest: float, name: str) -> Box:
    return left, left + LETTER * len(name), lowest - LINE / 2, highest + LINE / 2


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _around(mark: tuple[float, float, str]) -> Box:
    return mark[0] - 4.5, mark[0] + 4.5, mark[1] - 4.5, mark[1] + 4.5


def name_marks(
    axes: Axes, marks: Sequence[Mark], limits: tuple[float, float], size: tuple[float, float]
) -> list[float]:
    """Set the limits of the axes and write the name of each mark, with a line where it is not next to it.

    `limits` are those of the y axis; `size` is about the width and height of the axes, in points. Returns the
    shift of each mark along x that separates marks of the same x.
    """
    first, last = min(m.x for m in marks), max(m.x for m in marks)
    longest = int((0.7 * size[0] - 42) / LETTER)  # the rest of the width is for the marks
    marks = [replace(m, name=shorten(m.name, longest)) for m in marks]
    room = 14 + LETTER * max(len(m.name) for m in marks)
    x_point, y_point = ((last - first) or 1.0) / (size[0] - room - 28), (limits[1] - limits[0]) / size[1]
    left, shifts, same = first - 14 * x_point, [0.0] * len(marks), Counter[float]()
    for i in sorted(range(len(marks)), key=lambda i: marks[i].y):
        shifts[i] = (0.0, 6.0, -6.0)[same[marks[i].x] % 3]
        same[marks[i].x] += 1

    def height(y: float) -> float:
        return (y - limits[0]) / y_point

    at = [((m.x - left) / x_point + d, height(m.y), m.name) for m, d in zip(marks, shifts, strict=True)]
    bars = [(x - 1, x + 1, height(m.low), height(m.high)) for (x, *_), m in zip(at, marks, strict=True)]
    line = {"arrowstyle": "-", "color": "#b5b5b5", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3}
    for i, (x, y) in places(at, [*map(_around, at), *bars], size[1]).items():
        beside = abs(y - at[i][1]) < 1 and x - at[i][0] < 8
        mark, text = (left + at[i][0] * x_point, marks[i].y), (left + x * x_point, limits[0] + y * y_point)
        style: dict[str, Any] = {"annotation_clip": False, "fontsize": SMALL, "va": "center"}
        axes.annotate(marks[i].name, mark, text, arrowprops=None if beside else line, **style)
    axes.set(xlim=(left, left + size[0] * x_point), ylim=limits)
    return [d * x_point for d in shifts]


def spread_ticks(values: Sequence[float], least: float) -> list[float]:
    """Choose ticks for a logarithmic axis: powers of ten among the sorted values, else the ends of these.

    `least` is the smallest distance of two ticks, in decades.
    """
    low, high = values[0], values[-1]
    powers = [10.0**k for k in range(-1, 16) if low <= 10.0**k <= high]
    if len(powers) > 1:
        return powers[:: max(1, ceil(least))]
    return [low, high] if log10(high / low) >= least else [low]


def label_lines(places: Sequence[float], names: Sequence[str]) -> list[int]:
    """Choose a line above the axes for each name at sorted `places`, so that neighbours do not overlap."""
    reach = (places[-1] - places[0]) or 1.0
    ends, lines = list[float](), list[int]()
    for place, name in zip(places, names, strict=True):
        at, width = (place - places[0]) / reach, 0.0145 * len(name)  # shares of the axis
        start = at - width * (0 if at < 0.2 else 1 if at > 0.8 else 0.5)
        line = next((i for i, end in enumerate(ends) if start > end), len(ends))
        ends[line : line + 1] = [start + width + 0.02]
        lines.append(line)
    return lines
