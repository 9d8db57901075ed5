"""Forest plots: a line per row, with its name on the left and its value on the right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..read.results import Row
from .marks import name_rows, write_beside
from .style import FAINT, INK, SMALL, SOFT, VERDICTS, blank, drawing, hover
from .words import MARGIN, described, points, shorten, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS = 19  # of a row's name
LINE = 0.172  # inches


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


def draw_difference(axes: Any, y: float, row: Row, frame: tuple[float, float]) -> None:
    """Draw a difference at a height: its sign, its adjusted interval and, thicker, its own interval.

    Args:
        axes: With points along x.
        y: The height.
        row: A row of the table of verdicts.
        frame: Ends of the x axis, in points; an interval that is wider ends in an arrow.
    """
    look, value = VERDICTS[row["verdict"]], shown(row)
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
    if value is None or row["verdict"] == "diverges":
        write_beside(axes, y, row["verdict"] if row["verdict"] == "diverges" else "not run", look.colour)
        return
    for (low, high), width in ((("adjusted_low", "adjusted_high"), 1.1), (("low", "high"), 2.4)):
        if row[low] is not None and (width < 2 or value == row["estimate"]):  # the other one has no lost seed
            ends = [min(max(100 * row[end], frame[0]), frame[1]) for end in (low, high)]
            axes.plot(ends, [y, y], color=look.colour, linewidth=width, solid_capstyle="butt")
            for end, arrow in zip((low, high), "<>", strict=True):
                if not frame[0] <= 100 * row[end] <= frame[1]:
                    at = frame[0] if arrow == "<" else frame[1]
                    axes.plot([at], [y], arrow, color=look.colour, markersize=3.5, clip_on=False)
    marker = {"markersize": 5.5, "markeredgecolor": "white", "markeredgewidth": 0.4}
    (mark,) = axes.plot([100 * value], [y], look.marker, color=look.colour, **marker)
    hover(mark, f"{row['a']} against {row['b']}, {row['scenario']}: {described(row)}")
    write_beside(axes, y, points(value), SOFT if row["verdict"] == "undecided" else INK)


@drawing
def draw_verdicts(
    names: Mapping[Any, str], rows: Mapping[Any, Row], frame: tuple[float, float], label: str
) -> Figure:
    """Draw differences below each other.

    Args:
        names: Key of a line -> its name, in order; a line without a row stays empty.
        rows: Key of a line -> its row of the table of verdicts.
        frame: Ends of the x axis, in points.
        label: Of the x axis.
    """
    figure, axes = blank(0.5 + LINE * len(names))
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="#f0f0eb", linewidth=0, zorder=0)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    for y, key in enumerate(names):
        if key in rows:
            draw_difference(axes, y, rows[key], frame)
    name_rows(axes, [shorten(name, LETTERS) for name in names.values()])
    axes.set(xlim=frame, ylim=(len(names) - 0.4, -0.6), xlabel=label)
    return figure


def forest_height(rows: Sequence[dict[str, Any]]) -> float:
    """Inches that `forest` needs: a line per row, and a heading per scenario."""
    return 0.5 + LINE * (len(rows) + 1.35 * len({r["scenario"] for r in rows}))


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
        style: dict[str, Any] = {"va": "center", "fontweight": "bold", "fontsize": SMALL}
        place: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points"}
        axes.annotate(scenario, (0, y), xycoords=("axes fraction", "data"), **place, **style)
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
