"""Means over seeds or clients by round, with their range: bold lines with a band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...read.results import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class MeanLine:
    """A mean by round, with its range.

    Attributes:
        column: Of the rounds table.
        label: In the legend; empty: not in it.
        colour: Of line and band.
        line: Line style.
        rounds: Along x.
        means: Along y.
        least: Lower end of the band.
        most: Upper end of the band.
    """

    column: str
    label: str
    colour: str
    line: Any
    rounds: Sequence[int]
    means: Sequence[float]
    least: Sequence[float]
    most: Sequence[float]


def mean_line(column: str, label: str, rows: Sequence[Row]) -> MeanLine:
    """Return the line of one configuration from its rows of `curves.table_curves`."""
    look = rows[0]["look"]
    values = ([row[key] for row in rows] for key in ("round", "mean", "least", "most"))
    return MeanLine(column, label, look.colour, look.line, *values)


def draw_mean_line(axes: Axes, line: MeanLine, **style: Any) -> None:
    """Draw a mean with its range; a single round is a dot."""
    marker: dict[str, Any] = {"marker": "o" if len(line.rounds) == 1 else "", "markersize": 3.5}
    defaults = {"color": line.colour, "linestyle": line.line, "label": line.label or None, **marker}
    axes.plot(line.rounds, line.means, **(defaults | style))
    axes.fill_between(line.rounds, line.least, line.most, color=line.colour, alpha=0.12, linewidth=0)
