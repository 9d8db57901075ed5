"""Forest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..read.results import Row
from .marks import write_beside
from .style import INK, SOFT, VERDICT_COLOUR, VERDICT_MARKER
from .words import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LABEL_OFFSET = 52  # points left of the axes where a choice's line begins


def axis_limit(rows: Sequence[Row]) -> float:
    """Return half the width of the x axis, in points: it holds the means and most intervals.

    Wider intervals are cut, with an arrow at the end.
    """
    ends = sorted(max(abs(r["low"] or r["mean"]), abs(r["high"] or r["mean"])) for r in rows)
    return 100 * max(0.005, 1.15 * max(abs(r["mean"]) for r in rows), 1.05 * ends[int(0.9 * (len(ends) - 1))])


def draw_difference(axes: Any, y: float, row: Row, frame: tuple[float, float]) -> None:
    """Draw the mean and the interval of a difference at a height, in points.

    Args:
        axes: With points along x.
        y: The height.
        row: With mean, low, high (fractions) and verdict.
        frame: Ends of the x axis; an interval that is wider ends in an arrow.
    """
    colour, undecided = VERDICT_COLOUR[row["verdict"]], row["verdict"] == "undecided"
    if row["low"] is not None:
        low, high = max(100 * row["low"], frame[0]), min(100 * row["high"], frame[1])
        axes.plot([low, high], [y, y], color=colour, linewidth=1.5, solid_capstyle="butt")
        for end, full_end, arrow in ((low, 100 * row["low"], "<"), (high, 100 * row["high"], ">")):
            if end != full_end:
                axes.plot([end], [y], arrow, color=colour, markersize=3.5, clip_on=False)
    marker = {"markersize": 5, "markeredgecolor": "white", "markeredgewidth": 0.4}
    axes.plot([100 * row["mean"]], [y], VERDICT_MARKER[row["verdict"]], color=colour, **marker)
    write_beside(axes, y, points(row["mean"]), SOFT if undecided else INK, 30)


def forest_height(rows: Sequence[dict[str, Any]]) -> float:
    """Inches that `forest` needs: a line per row, and a heading per scenario."""
    return 0.5 + 0.175 * (len(rows) + 1.35 * len({r["scenario"] for r in rows}))


def forest(
    axes: Axes,
    rows: Sequence[dict[str, Any]],
    draw: Callable[[Axes, float, dict[str, Any]], None],
    name: Callable[[dict[str, Any]], str],
) -> None:
    """Draw rows below each other, under the heading of their scenario, with their names on the left.

    Args:
        axes: The axes.
        rows: Rows with `scenario`.
        draw: Draws the marks of a row at a height.
        name: Returns the name of a row.
    """
    y, ticks = 0.0, []
    for scenario in dict.fromkeys(r["scenario"] for r in rows):
        axes.annotate(
            scenario,
            (0, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontweight="bold",
            fontsize=7.5,
        )
        y += 1.05
        for row in (r for r in rows if r["scenario"] == scenario):
            draw(axes, y, row)
            ticks.append((y, name(row)))
            y += 1
        y += 0.3
    axes.set_yticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(y - 0.6, -0.7)
