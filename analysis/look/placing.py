"""Places of names in a drawing, so that none covers another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, log10
from typing import Any

import numpy as np

from .style import SMALL, Axes
from .words import shorten

LETTER, LINE = 4.6, 10.1  # points: width of a letter and height of a line at the font size SMALL

Box = tuple[float, float, float, float]  # left, right, bottom, top, in points


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
