"""Places of names in a drawing, so that none covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, hypot, log10
from typing import TYPE_CHECKING

from .style import SMALL

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[float, int]] = []  # mean and size: pool neighbours that would overlap
    for rank, i in enumerate(order):
        mean, size = wanted[i] - rank * least, 1
        while blocks and blocks[-1][0] > mean:
            other, many = blocks.pop()
            mean, size = (mean * size + other * many) / (size + many), size + many
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    ceiling = max(low, high - (len(order) - 1) * least)
    placed = dict(zip(order, flat, strict=True))
    return [min(max(placed[i], low), ceiling) + order.index(i) * least for i in range(len(wanted))]


def places(
    marks: Sequence[tuple[float, float, str]], taken: Sequence[Box], height: float
) -> dict[int, tuple[float, float]]:
    """Place names beside their marks where there is room, else in a column to the right of the crowded marks.

    Args:
        marks: Place in points and name of each mark.
        taken: Boxes that no name may cover: the marks and their intervals.
        height: Height of the axes, in points.

    Returns:
        Index of a mark -> left end and middle of its name, in points.
    """

    def crowding(i: int) -> float:
        return min(
            (hypot(marks[i][0] - x, marks[i][1] - y) for k, (x, y, _) in enumerate(marks) if k != i),
            default=0.0,
        )

    beside: dict[int, Box] = {}
    for i in sorted(range(len(marks)), key=crowding, reverse=True):
        x, y, name = marks[i]
        box = (x + 7, x + 7 + LETTER * len(name), y - LINE / 2, y + LINE / 2)
        if not any(_overlap(box, other) for other in (*taken, *beside.values())):
            beside[i] = box
    while True:
        crowd = [i for i in range(len(marks)) if i not in beside]
        placed = {i: (box[0], marks[i][1]) for i, box in beside.items()}
        if not crowd:
            return placed
        middles = spread([marks[i][1] for i in crowd], LINE, 5, height - 5)
        left = max(marks[i][0] for i in crowd) + 14
        column = (
            left,
            left + LETTER * max(len(marks[i][2]) for i in crowd),
            min(middles) - LINE / 2,
            max(middles) + LINE / 2,
        )
        hit = [i for i, box in beside.items() if _overlap(column, box) or _overlap(column, _around(marks[i]))]
        if not hit:
            return placed | {i: (left, y) for i, y in zip(crowd, middles, strict=True)}
        for i in hit:  # the column covers these names too, so they join the crowd
            del beside[i]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _around(mark: tuple[float, float, str]) -> Box:
    return mark[0] - 4.5, mark[0] + 4.5, mark[1] - 4.5, mark[1] + 4.5


def name_marks(
    axes: Axes, marks: Sequence[Mark], limits: tuple[float, float], size: tuple[float, float]
) -> list[float]:
    """Set the limits of the axes and write the name of each mark, with a line where it is not next to it.

    Args:
        axes: Linear axes.
        marks: The marks.
        limits: Limits of the y axis.
        size: Approximate width and height of the axes, in points.

    Returns:
        The shift of each mark along x that separates marks of the same x.
    """
    first, last = min(m.x for m in marks), max(m.x for m in marks)
    room = 14 + LETTER * max(len(m.name) for m in marks)
    x_point, y_point = ((last - first) or 1.0) / (size[0] - room - 28), (limits[1] - limits[0]) / size[1]
    shifts = [0.0] * len(marks)
    for x in {m.x for m in marks}:
        same = sorted((i for i, m in enumerate(marks) if m.x == x), key=lambda i: marks[i].y)
        for rank, i in enumerate(same):
            shifts[i] = 6 * (rank % 3 - (min(3, len(same)) - 1) / 2)
    at = [
        ((m.x - first) / x_point + 14 + d, (m.y - limits[0]) / y_point, m.name)
        for m, d in zip(marks, shifts, strict=True)
    ]
    taken = [_around(mark) for mark in at]
    taken += [
        (x - 1, x + 1, (m.low - limits[0]) / y_point, (m.high - limits[0]) / y_point)
        for (x, _, _), m in zip(at, marks, strict=True)
    ]
    left, line = (
        first - 14 * x_point,
        {"arrowstyle": "-", "color": "#b5b5b5", "linewidth": 0.5, "shrinkA": 0, "shrinkB": 3},
    )
    for i, (x, y) in places(at, taken, size[1]).items():
        beside = abs(y - at[i][1]) < 1 and x - at[i][0] < 8
        axes.annotate(
            marks[i].name,
            (left + at[i][0] * x_point, marks[i].y),
            (left + x * x_point, limits[0] + y * y_point),
            fontsize=SMALL,
            va="center",
            arrowprops=None if beside else line,
            annotation_clip=False,
        )
    axes.set(xlim=(left, left + size[0] * x_point), ylim=limits)
    return [d * x_point for d in shifts]


def spread_ticks(values: Sequence[float], least: float) -> list[float]:
    """Choose ticks for a logarithmic axis: powers of ten among the values.

    Where there are fewer than two, the ends of the values are chosen.

    Args:
        values: Sorted values.
        least: Smallest distance of two ticks, in decades.
    """
    low, high = values[0], values[-1]
    powers = [10.0**k for k in range(-1, 16) if low <= 10.0**k <= high]
    if len(powers) > 1:
        return powers[:: max(1, ceil(least))]
    return [low, high] if log10(high / low) >= least else [low]


def label_lines(places: Sequence[float], names: Sequence[str]) -> list[int]:
    """Choose a line above the axes for each name at sorted `places`, so that neighbours do not overlap."""
    reach = (max(places) - min(places)) or 1.0
    ends: list[float] = []
    lines: list[int] = []
    for place, name in zip(places, names, strict=True):
        width = 0.0145 * len(name) * reach  # a letter's share of the axis
        start = (
            place
            if place - min(places) < 0.2 * reach
            else place - width * (1.0 if max(places) - place < 0.2 * reach else 0.5)
        )
        line = next((i for i, end in enumerate(ends) if start > end), len(ends))
        ends[line : line + 1] = [start + width + 0.02 * reach]
        lines.append(line)
    return lines


def parameter_count(number: float) -> str:
    """Write a number of parameters, short enough for an axis."""
    for unit, factor in (("M", 1e6), ("k", 1e3)):
        if number >= 10 * factor or (number >= factor and unit == "M"):
            return f"{number / factor:.4g} {unit}"
    return f"{number:,.4g}" if number < 1000 else f"{number:,.0f}"
