"""Marks that several figures draw alike: values beside the axes, intervals, names of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..read.results import Row
from .style import INK, SMALL, Axes


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


def name_rows(axes: Axes, names: Sequence[str], **style: Any) -> None:
    """Write the name of each row at its height left of the axes, without ticks and without the axis line."""
    axes.set_yticks(range(len(names)), names, **style)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
