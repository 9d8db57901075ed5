"""Forest plots: a line per row, with its name on the left and its value on the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..read.results import Row
from .marks import write_beside
from .style import FAINT, INK, SMALL, SOFT, VERDICTS, blank, drawing, hover
from .words import MARGIN, described, points, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = 0.172  # inches
# Heading (empty: none is written) -> name and row of each line; a line without a row stays empty.
Lines = Mapping[str, Sequence[tuple[str, Row | None]]]


def forest_height(groups: Lines) -> float:
    """Inches that `forest` needs."""
    return 0.5 + LINE * sum(len(lines) + 1.35 * bool(heading) for heading, lines in groups.items())


def forest(
    axes: Axes, groups: Lines, draw: Callable[[Axes, float, Row], None]
) -> dict[str, tuple[float, float]]:
    """Draw lines below each other under their headings, with their names on the left.

    Args:
        axes: The axes.
        groups: The lines.
        draw: Draws the marks of a row at a height.

    Returns:
        Heading -> the top and the bottom of its lines.
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
    axes.set_yticks([at for at, _ in ticks], [name for _, name in ticks])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(y - 0.6, -0.7)
    return ends


def axis_frame(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of the x axis, in points: all estimates, zero, the band of `level`, most intervals.

    Wider intervals are cut, with an arrow at the end.

    Args:
        rows: Rows of the table of verdicts.
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
    """Draw differences below each other; the grey band is the range of `level`.

    Args:
        groups: Lines with rows of the table of verdicts.
        frame: Ends of the x axis, in points; an interval that is wider ends in an arrow.
        label: Of the x axis.
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
            axes.plot(ends, [y, y], color=look.colour, linewidth=width, solid_capstyle="butt")
            for end, at, arrow in zip((low, high), ends, "<>", strict=True):
                if at != 100 * row[end]:
                    axes.plot([at], [y], arrow, color=look.colour, markersize=3.5, clip_on=False)
    marker = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
    (mark,) = axes.plot([100 * value], [y], look.marker, color=look.colour, **marker)
    hover(mark, f"{row['a']} against {row['b']}, {row['scenario']}: {described(row)}")
    write_beside(axes, y, points(value), SOFT if row["verdict"] == "undecided" else INK)
