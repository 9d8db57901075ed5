"""Marks that several figures draw alike: values beside the axes, lines with intervals, names of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..read.results import Row
from .style import INK, SMALL, Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GOLDEN_ANGLE = 2.399963  # radians


def write_beside(axes: Axes, y: float, text: str, colour: str = INK, offset: float = 30) -> None:
    """Write a value at a height right of the axes; it ends `offset` points from them."""
    place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    style: dict[str, Any] = {"ha": "right", "va": "center", "fontsize": SMALL, "color": colour}
    axes.annotate(text, (1, y), xytext=(offset, 0), annotation_clip=False, **place, **style)


def scatter_offsets(number: int, reach: float) -> np.ndarray:
    """Offsets [number] within +-`reach` that keep dots of equal value apart; the same in every drawing."""
    return np.asarray(reach * np.sin(np.arange(number) * GOLDEN_ANGLE))


def draw_spread(axes: Axes, y: float, ends: Sequence[Any], mean: float, colour: str) -> None:
    """Draw a bar between two ends at a height, and the mean as a diamond; no bar where an end is missing."""
    if None not in ends:
        axes.plot(ends, [y] * 2, color=colour, linewidth=2.2, solid_capstyle="butt")
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.6}
    axes.plot([mean], [y], "D", color=colour, markersize=4.6, **edge)


def draw_intervals(
    axes: Axes, x: Sequence[float], rows: Sequence[Row], colour: str, width: float = 1, **style: Any
) -> None:
    """Draw the interval of each row (`low`, `high`), if it has one, as a vertical line at its x."""
    for place, row in zip(x, rows, strict=True):
        if row.get("low") is not None:
            axes.plot([place] * 2, [row["low"], row["high"]], color=colour, linewidth=width, **style)


def draw_line(
    axes: Axes, x: Sequence[float], rows: Sequence[Row], look: Look, label: str, **style: Any
) -> None:
    """Draw the means of rows as a line with markers, and their intervals as vertical lines."""
    moved = {"transform": style["transform"]} if "transform" in style else {}
    draw_intervals(axes, x, rows, look.colour, **moved)
    means, face = [row["mean"] for row in rows], look.face
    defaults = {"linestyle": look.line, "markersize": 4.5, "linewidth": 1.1}
    marker: dict[str, Any] = {"color": look.colour, "marker": look.marker, "markerfacecolor": face}
    axes.plot(x, means, label=label, **marker, **(defaults | style))


def shifted_along(x: float, part: float, values: Sequence[float], logarithmic: bool) -> float:
    """Return x moved by a part of the axis, so that intervals at one value stand side by side.

    Args:
        x: The value.
        part: Of the length of the axis.
        values: All values on the axis, sorted.
        logarithmic: Whether the axis is logarithmic.
    """
    return x * (values[-1] / values[0]) ** part if logarithmic else x + (values[-1] - values[0]) * part


def name_rows(axes: Axes, names: Sequence[str], **style: Any) -> None:
    """Write the name of each row at its height left of the axes, without ticks and without the axis line."""
    axes.set_yticks(range(len(names)), names, **style)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
