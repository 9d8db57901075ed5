"""Response curves: accuracy along a numeric choice, from its contrasts and, over the whole space, from the points of a design."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import LINES, MARKERS, NARROW, PALETTE, SOFT, blank, drawing, legend_below, percent_axis
from ...read import queries
from ...read.results import Results, Row, params
from ...stats.intervals import MARGIN, t_interval
from .indices import QUERY, Points

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 3  # values on a curve, the anchor among them
BINS = 5
WIDE = 20.0  # times the least positive value: beyond, the axis is logarithmic


def table_responses(results: Results, changed: Sequence[Row]) -> list[Row]:
    """Points along each numeric choice with at least three values: differences to the anchor, which is nought by definition.

    Args:
        results: The sweep.
        changed: Rows of `contrasts.table_contrasts`.

    Returns:
        Rows with path, symbol, scenario, x, mean, low, high (fractions; low and high None at the anchor) and
        anchor (whether it is that).
    """
    rows = []
    for path, scenario in dict.fromkeys((r["path"], r["scenario"]) for r in changed):
        own = [r for r in changed if r["path"] == path and r["scenario"] == scenario]
        at = number(own[0]["anchor"])
        there = [(x, r) for r in own if (x := number(r["level"])) is not None and x != at]
        if at is None or len(there) + 1 < LEAST:
            continue
        common = {"path": path, "symbol": own[0]["symbol"], "scenario": scenario}
        found = [
            {**common, "x": x, "mean": r["mean"], "low": r["low"], "high": r["high"], "anchor": False}
            for x, r in there
        ]
        rows += sorted(
            [*found, {**common, "x": at, "mean": 0.0, "low": None, "high": None, "anchor": True}],
            key=lambda r: r["x"],
        )
    return rows


def number(value: Any) -> float | None:
    """A level as a number; None where it is none, or where other settings go with it."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def table_binned(results: Results, designs: Sequence[Points]) -> list[Row]:
    """Mean accuracy over the whole space along each numeric parameter, in bins of equally many points.

    Points of one Saltelli block or trajectory share coordinates, so a bin's interval is one over the means of
    its blocks. Each point by itself is uniform over the space, so a block's mean has the bin's as its
    expectation, however many of its points fall there.

    Returns:
        Rows with path, symbol, scenario, x (the bin's median), mean, low, high, blocks, points and log (the
        axis).
    """
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    rows = []
    for design in designs:
        for path in design.names:
            there = [
                (x, i // design.size, design.y[i])
                for i, t in enumerate(design.trials)
                if math.isfinite(design.y[i]) and (x := number(params(t).get(path))) is not None
            ]
            for own in _bins(sorted(there)):
                blocks: dict[int, list[float]] = {}
                for _, block, y in own:
                    blocks.setdefault(block, []).append(y)
                interval = t_interval([sum(ys) / len(ys) for ys in blocks.values()], results.confidence)
                if interval:
                    rows.append(
                        {
                            "path": path,
                            "symbol": symbols.get(path) or path.rpartition(".")[2],
                            "scenario": design.scenario,
                            "x": own[len(own) // 2][0],
                            "mean": interval.mean,
                            "low": interval.low,
                            "high": interval.high,
                            "blocks": interval.n,
                            "points": len(own),
                            "log": path in design.log,
                        }
                    )
    return rows


def _bins(points: Sequence[tuple[float, int, float]]) -> list[list[tuple[float, int, float]]]:
    """A bin per value where there are few values, else bins of about equally many points; equal values stay together."""
    values = sorted({x for x, _, _ in points})
    if len(values) < 2:
        return []
    if len(values) <= BINS:
        return [[p for p in points if p[0] == x] for x in values]
    found: list[list[tuple[float, int, float]]] = [[]]
    for p in points:
        if len(found[-1]) >= len(points) / BINS and found[-1][-1][0] != p[0]:
            found.append([])
        found[-1].append(p)
    return found


@drawing
def draw_curves(rows: Sequence[Row], scenarios: Sequence[str], label: str, differences: bool) -> Figure:
    """One choice: a line per scenario, slightly apart so that intervals show."""
    figure, axes = blank(2.5, NARROW)
    xs = sorted({r["x"] for r in rows})
    log = xs[0] > 0 and (xs[-1] / xs[0] > WIDE if differences else rows[0]["log"])
    for i, scenario in enumerate(scenarios):
        own = [r for r in rows if r["scenario"] == scenario]
        shift = (i - (len(scenarios) - 1) / 2) * 0.012
        at = [r["x"] * (xs[-1] / xs[0]) ** shift if log else r["x"] + shift * (xs[-1] - xs[0]) for r in own]
        tint, scale = PALETTE[i % len(PALETTE)], 100 if differences else 1
        axes.plot(
            at,
            [scale * r["mean"] for r in own],
            MARKERS[i % len(MARKERS)],
            color=tint,
            linestyle=LINES[i // len(PALETTE) % len(LINES)],
            markersize=3.8,
            linewidth=1.1,
            label=scenario,
        )
        for x, r in zip(at, own, strict=True):
            if r["low"] is not None:
                axes.plot([x, x], [scale * r["low"], scale * r["high"]], color=tint, linewidth=1, alpha=0.8)
    if log:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(10, subs=(1.0, 3.0), numticks=6))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    if differences:
        axes.axhspan(-100 * MARGIN, 100 * MARGIN, color="#f3f3ef", linewidth=0, zorder=0.2)
        axes.axhline(0, color=SOFT, linewidth=0.7, zorder=0.5)
    else:
        percent_axis(axes.yaxis)
    axes.grid(axis="y")
    axes.set(xlabel=label, ylabel="points against the anchor" if differences else "validation accuracy, %")
    legend_below(figure, axes)
    return figure


def exhibits(results: Results, changed: Sequence[Row], designs: Sequence[Points]) -> list[Exhibit]:
    """The curves, a panel per choice: around the anchor, and over the whole space where there is a design."""
    columns = ("path", "scenario", "x", "mean", "low", "high")
    found = []
    around = table_responses(results, changed)
    if around:
        caption = (
            "Validation accuracy along each numeric choice with at least three values, minus the anchor on "
            "the same seeds (at 0, "
            "without an "
            f"interval), the others at the anchor: mean and {results.confidence:.0%} t interval. Shaded: "
            "within one point. A line "
            "joins what "
            "was tried; between the points nothing was measured."
        )
        found.append(
            Exhibit(
                "responses",
                "Response to each numeric choice, around the anchor",
                caption,
                queries.CONTRASTS,
                _panels("responses", around, True),
                numbers(around, columns),
            )
        )
    whole = table_binned(results, designs)
    if whole:
        caption = (
            "Validation accuracy along each numeric parameter, the others anywhere in the space: means of "
            "bins of about equally "
            "many points, "
            f"where the parameter was active; {results.confidence:.0%} t intervals over the blocks of "
            "the design."
        )
        found.append(
            Exhibit(
                "responses-whole",
                "Response to each numeric parameter, over the whole space",
                caption,
                QUERY,
                _panels("responses-whole", whole, False),
                numbers(whole, (*columns, "blocks", "points")),
            )
        )
    return found


def _panels(key: str, rows: Sequence[Row], differences: bool) -> list[Panel]:
    scenarios = list(dict.fromkeys(r["scenario"] for r in rows))
    panels = []
    for path in dict.fromkeys(r["path"] for r in rows):
        own = [r for r in rows if r["path"] == path]
        shown = [s for s in scenarios if any(r["scenario"] == s for r in own)]
        panels.append(
            Panel(f"{key}-{slug(path)}", own[0]["symbol"], draw_curves(own, shown, path, differences))
        )
    return panels
