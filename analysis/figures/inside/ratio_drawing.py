"""Drawing of SAFE's class ratios (CR): a line per class, and the rank correlation with rarity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING, Any

from ...look.placing import parameter_count
from ...look.style import SOFT, WIDTH, drawing, integer_axis, legend_below, stacked
from .mean_lines import MeanLine, draw_mean_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class ClassLine:
    """CR of one class by round.

    Attributes:
        rounds: Along x.
        ratios: Along y.
        shade: 0 for the most frequent class, 1 for the rarest.
    """

    rounds: Sequence[int]
    ratios: Sequence[float]
    shade: float


@dataclass(frozen=True)
class ShadeScale:
    """Meaning of the shades.

    Attributes:
        name: Title of the colour bar.
        first: Value at shade 0.
        last: Value at shade 1.
        logarithmic: Whether the bar is logarithmic.
    """

    name: str
    first: float
    last: float
    logarithmic: bool


@drawing
def draw_ratios(
    lines: Sequence[ClassLine],
    scale: ShadeScale,
    correlations: Sequence[MeanLine],
    width: float = WIDTH,
) -> Figure:
    """Draw a line per class above, light for frequent and dark for rare classes; correlations below.

    Args:
        lines: The classes.
        scale: Meaning of their shades.
        correlations: One line per configuration.
        width: Width of the panel, inches.
    """
    figure, (above, below) = stacked(4.1, (2.3, 1), width)
    colours = _colours()
    for line in sorted(lines, key=lambda line: line.shade):
        above.plot(line.rounds, line.ratios, color=colours(line.shade), linewidth=1.1)
    above.axhline(1, color=SOFT, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
    values = [0.9, 1.1, *(value for line in lines for value in line.ratios)]
    low, high = min(values), max(values)
    above.set(ylabel="CR of a class", ylim=(max(0.0, 1.03 * low - 0.03 * high), 1.03 * high - 0.03 * low))
    _draw_bar(figure, above, colours, scale)
    for correlation in correlations:
        draw_mean_line(below, correlation, linewidth=1.5, clip_on=False)
    below.axhline(0, color=SOFT, linewidth=0.7, zorder=0)
    below.set(ylim=(-1.05, 1.05), yticks=(-1, 0, 1), ylabel="correlation\nwith 1/n_c", xlabel="round")
    integer_axis(below.xaxis)
    for axes in (above, below):
        axes.grid(axis="y")
    if len(correlations) > 1:
        legend_below(figure, below)
    return figure


def _colours() -> Any:
    """Return viridis, reversed and without the yellow that is invisible on paper."""
    from matplotlib import colormaps
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "frequent to rare", [colormaps["viridis"](0.86 * (1 - i / 31)) for i in range(32)]
    )


def _draw_bar(figure: Figure, axes: Axes, colours: Any, scale: ShadeScale) -> None:
    """Draw the colour bar beside the axes, with plain numbers."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize
    from matplotlib.ticker import FixedLocator, NullLocator

    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), colours), ax=axes, aspect=22, pad=0.02)
    first, last, values = scale.first, scale.last, [scale.first]
    if first != last and scale.logarithmic:
        values = [round(first * (last / first) ** step) for step in (0.0, 0.25, 0.5, 0.75, 1.0)]
    elif first != last:
        values = [round(first + (last - first) * step) for step in (0.0, 0.25, 0.5, 0.75, 1.0)]
    sign = 1 if scale.logarithmic or first > last else -1
    places = [shade_of(sign * value, sign * first, sign * last) for value in values]
    bar.ax.yaxis.set_major_locator(FixedLocator(places))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.set_yticklabels([parameter_count(value) for value in values])
    bar.set_label(scale.name, fontsize=7)
    bar.ax.invert_yaxis()
    bar.outline.set_linewidth(0.4)
    bar.ax.tick_params(labelsize=6.5, length=2)


def shade_of(images: float, most: float, least: float) -> float:
    """Return 0 for the most frequent class, 1 for the rarest; by the logarithm where all have images."""
    if most <= least:
        return 0.5
    return log(most / images) / log(most / least) if least > 0 else (most - images) / (most - least)
