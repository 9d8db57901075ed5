"""Style of all drawings: colours for colour-blind readers, one size for paper and phone, stable SVG text."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


P = ParamSpec("P")

WIDTH, NARROW = 4.2, 3.2  # inches: width of a panel with one other beside it, or with two others
INK, SOFT, FAINT = "#222222", "#6b6b6b", "#d9d9d9"
# Okabe and Ito (2008), without the yellow, which is hard to see on paper.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES: tuple[Any, ...] = (
    "-",
    (0, (6, 1.5, 1, 1.5)),
    (0, (1, 1.2)),
)  # for the first, second and third pass through the palette
UNTUNED: Any = (0, (3, 1.5))
GREY = "#777777"
KNOWN = {  # method -> place in the palette, so that a method has one colour in all reports
    "fedrsclip": 0,
    "promptfl": 1,
    "local": 2,
    "promptfl_ft": 3,
    "fedotp": 4,
    "fedpgp": 5,
    "promptfl_prox": 6,
    "safe": 0,
    "fedavg": 1,
    "local_network": 2,
    "fedema": 3,
    "moon": 4,
    "scaffold": 5,
    "fedprox": 6,
}
VERDICT_COLOUR = {"helps": "#0072B2", "hurts": "#D55E00", "level": "#009E73", "undecided": "#8a8a8a"}
VERDICT_MARK = {"helps": "\u25b2", "hurts": "\u25bc", "level": "=", "undecided": "\u00b7"}
VERDICT_MARKER = {"helps": "^", "hurts": "v", "level": "s", "undecided": "o"}
FONTS = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Helvetica, Arial, sans-serif"

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.linewidth": 0.7,
    "text.color": INK,
    "axes.labelcolor": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.grid": False,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "figure.facecolor": "white",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "svg.fonttype": "none",
}


def drawing(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Decorate a `draw_x`: it draws in the style of reports, and the settings of matplotlib are restored."""

    @functools.wraps(draw)
    def styled(*args: P.args, **kwargs: P.kwargs) -> Figure:
        import matplotlib

        with matplotlib.rc_context(RC):
            return draw(*args, **kwargs)

    return styled


def blank(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """Make an empty figure with one axes; without pyplot, so that nothing is kept between figures."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def stacked(height: float, ratios: Sequence[float], width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """Make an empty figure with axes below each other that share the x axis; `ratios` are their heights."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(width, height), layout="constrained")
    return figure, list(figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios))


@dataclass(frozen=True)
class Look:
    """Colour, marker and line of a configuration in all figures; untuned ones are hollow and dashed."""

    colour: str
    marker: str
    line: Any = "-"
    hollow: bool = False

    @property
    def face(self) -> str:
        """Colour inside the marker."""
        return "white" if self.hollow else self.colour


def integer_axis(axis: Any) -> None:
    """Set ticks at whole numbers only."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(6, integer=True))


def percent_axis(axis: Any) -> None:
    """Write percentages on an axis whose data are fractions."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda v, _: f"{100 * v:g}"))


def legend_below(figure: Figure, *several: Axes) -> None:
    """Put the legend of all axes below them, where it covers no data."""
    entries = [entry for axes in several for entry in zip(*axes.get_legend_handles_labels(), strict=True)]
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    if labels:
        longest = max(map(len, labels))
        columns = int(15 * figure.get_figwidth()) // (longest + 6)
        figure.legend(handles, labels, loc="outside lower left", ncols=max(1, min(columns, len(labels))))


def svg(figure: Figure, key: str) -> str:
    """Write a figure as SVG text without a date; ids begin with `key`, so that one page can hold many."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**RC, "svg.hashsalt": key}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.S)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", text)
    return text.replace("'DejaVu Sans'", FONTS)


def inline(text: str, title: str) -> str:
    """Change SVG text for use inside HTML: no prolog, as wide as its place, named for screen readers."""
    from html import escape

    body = text[text.index("<svg") :]
    tag, rest = body.split(">", 1)
    width = re.search(r'width="([\d.]+)pt"', tag)
    size = f' style="max-width:{float(width[1]) * 1.5:.0f}px"' if width else ""
    tag = re.sub(r'\s(width|height)="[\d.]+pt"', "", tag)
    return f'{tag} role="img" aria-label="{escape(title)}"{size}>{rest}'
