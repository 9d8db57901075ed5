"""Forest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..read.results import Row
from .style import INK, SOFT, VERDICT_COLOUR, VERDICT_MARKER
from .words import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes


BESIDE = 52  # points left of the axes where a choice's line begins


def reach(rows: Sequence[Row]) -> float:
    """Half the width of the x axis, in points: wide enough for the means and most intervals; wider ones are cut with an arrow."""
    ends = sorted(max(abs(r["low"] or r["mean"]), abs(r["high"] or r["mean"])) for r in rows)
    return 100 * max(0.005, 1.15 * max(abs(r["mean"]) for r in rows), 1.05 * ends[int(0.9 * (len(ends) - 1))])


def mark(axes: Any, y: float, row: Row, limit: float) -> None:
    """The mean and interval of a difference (`mean`, `low`, `high`, `verdict`) at a height; cut at the limit, in points."""
    tint = VERDICT_COLOUR[row["verdict"]]
    if row["low"] is not None:
        low, high = max(100 * row["low"], -limit), min(100 * row["high"], limit)
        axes.plot([low, high], [y, y], color=tint, linewidth=1.5, solid_capstyle="butt")
        for end, cut, sign in ((low, 100 * row["low"] < -limit, "<"), (high, 100 * row["high"] > limit, ">")):
            if cut:
                axes.plot([end], [y], sign, color=tint, markersize=3.5, clip_on=False)
    ink = SOFT if row["verdict"] == "undecided" else INK
    axes.plot(
        [100 * row["mean"]],
        [y],
        VERDICT_MARKER[row["verdict"]],
        color=tint,
        markersize=5,
        markeredgecolor="white",
        markeredgewidth=0.4,
    )
    axes.annotate(
        points(row["mean"]),
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(30, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=7,
        color=ink,
        annotation_clip=False,
    )


def forest_height(rows: Sequence[dict[str, Any]]) -> float:
    """Inches that `forest` needs: a line per row, and a heading per scenario."""
    return 0.5 + 0.175 * (len(rows) + 1.35 * len({r["scenario"] for r in rows}))


def forest(
    axes: Axes,
    rows: Sequence[dict[str, Any]],
    draw: Callable[[Axes, float, dict[str, Any]], None],
    name: Callable[[dict[str, Any]], str],
) -> None:
    """Rows one under the other below the heading of their scenario, named on the left; `draw` puts the marks of a row at a height."""
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
