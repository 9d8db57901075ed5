"""Style of all drawings: colours for colour-blind readers, one size for paper and phone, stable SVG text."""

from __future__ import annotations

import functools
import io
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:  # matplotlib is loaded when something is drawn
    Axes = Figure = Any

P = ParamSpec("P")

HOVER = "hover "  # begins the id of a mark whose value shows

# Inches: a panel fills the width of a phone, where a point is then 1.5 pixels and SMALL is 12 pixels.
WIDTH = 3.3
SMALL = 8.2  # points: the smallest text
READABLE = 12  # pixels: height of the smallest text on any screen; a wider drawing scrolls
CARD = "#ffffff"  # behind every drawing; a dark page turns it dark, with all colours
INK, SOFT, FAINT = "#222222", "#595959", "#d9d9d9"
# After Okabe and Ito (2008): told apart by colour-blind readers, each with a contrast of 3 to the card.
PALETTE = ("#0072B2", "#B87A00", "#009E73", "#BF5F94", "#2E93CC", "#D55E00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
# for the first, second and third pass through the palette
LINES: tuple[Any, ...] = ("-", (0, (6, 1.5, 1, 1.5)), (0, (1, 1.2)))
UNTUNED: Any = (0, (3, 1.5))
GREY = "#777777"
# A method has one colour in all reports, by its place here; no study has methods of both lines.
SAME_COLOURS = (
    ("fedrsclip", "promptfl", "local", "promptfl_ft", "fedotp", "fedpgp", "promptfl_prox"),
    ("safe", "fedavg", "local_network", "fedema", "moon", "scaffold", "fedprox"),
)
KNOWN = {method: place for methods in SAME_COLOURS for place, method in enumerate(methods)}


@dataclass(frozen=True)
class Verdict:
    """Look of a verdict: its sign in a text, its colour and marker in a drawing."""

    sign: str
    colour: str
    marker: str


VERDICTS = {
    "ahead": Verdict("\u25b2", "#0072B2", "^"),
    "behind": Verdict("\u25bc", "#C25200", "v"),
    "diverges": Verdict("\u2715", "#C25200", "X"),
    "negligible": Verdict("\u2248", "#00845F", "D"),
    "level": Verdict("=", "#00845F", "s"),
    "no effect": Verdict("=", "#00845F", "s"),
    "undecided": Verdict("?", "#7a7a7a", "o"),
    "missing": Verdict("\u2013", "#7a7a7a", ""),
}
FONTS = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Helvetica, Arial, sans-serif"

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    **dict.fromkeys(("font.size", "axes.labelsize"), 8.5),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), SMALL),
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), SOFT),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.7),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "axes.grid", "legend.frameon"), False),
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "legend.handlelength": 1.6,
    "legend.columnspacing": 1.2,
    "figure.facecolor": CARD,
    "text.parse_math": False,
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
    figure, (axes,) = stacked(height, [1], width)
    return figure, axes


def stacked(height: float, ratios: Sequence[float], width: float = WIDTH) -> tuple[Figure, list[Axes]]:
    """Make an empty figure with axes below each other that share the x axis; `ratios` are their heights."""
    from matplotlib.figure import Figure as NewFigure

    figure = NewFigure(figsize=(width, height), layout="constrained")
    grid = figure.subplots(len(ratios), 1, sharex=True, height_ratios=ratios, squeeze=False)
    return figure, list(grid[:, 0])


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
    """Put the legend of all axes below them, where it covers no data; each name once."""
    marks = {n: mark for axes in several for mark, n in zip(*axes.get_legend_handles_labels(), strict=True)}
    if marks:
        columns = int(14 * figure.get_figwidth()) // (max(map(len, marks)) + 6)
        names, place = list(marks), "outside lower left"
        figure.legend(list(marks.values()), names, loc=place, ncols=max(1, min(columns, len(names))))


def hover(artist: Any, text: str) -> None:
    """Name a mark: its value shows where the reader points at it."""
    artist.set_gid(HOVER + text)


def svg(figure: Figure, key: str) -> str:
    """Write a figure as SVG text without a date; ids begin with `key`, so that one page can hold many."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**RC, "svg.hashsalt": key}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "constrained_layout not applied")  # a name is as long as the figure
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", buffer.getvalue(), flags=re.S)
    text = re.sub(rf"<g id=([\"']){HOVER}(.*?)\1>", r"<g><title>\2</title>", text)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{key}-", text)
    return _lighter(text).replace("'DejaVu Sans'", FONTS)


def _lighter(text: str) -> str:
    """Return SVG text without names that nothing refers to, with places to a hundredth of a point."""
    used = set(re.findall(r'(?:href="|url\()#([^")]+)', text))
    text = re.sub(r' id="([^"]*)"', lambda name: name[0] if name[1] in used else "", text)
    place = re.compile(r' (?:d|x|y|transform)="[^"]*"')
    text = place.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), text)
    return re.sub(r">\s+<", "><", text)


def inline(text: str, title: str) -> str:
    """Change SVG text for use inside HTML: no prolog, as wide as its place, named for screen readers.

    It never becomes so narrow that its smallest text is lower than `READABLE` pixels.
    """
    body = text[text.index("<svg") :]
    tag, rest = body.split(">", 1)
    sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:bold )?([\d.]+)px", rest)]
    style = ""
    if width := re.search(r'width="([\d.]+)pt"', tag):
        points = float(width[1])
        least = points * READABLE / min([*sizes, SMALL])
        style = f' style="width:{max(1.5 * points, least):.0f}px;min-width:{least:.0f}px"'
    tag = re.sub(r'\s(width|height)="[\d.]+pt"', "", tag)
    return f'{tag} role="img" aria-label="{escape(title)}"{style}>{rest}'
