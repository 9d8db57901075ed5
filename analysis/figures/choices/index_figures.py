"""Figure, tables and sentences of a design's indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import stats as sensitivity
from ...look.marks import name_rows
from ...look.page import Cell, Exhibit, Panel, Table, slug
from ...look.style import FAINT, INK, SOFT, VERDICTS, blank, drawing
from ...look.words import be, bracket, count, listing, shorten
from ...read.metric import Metric
from ...read.results import Results, Row
from ..rows import Column, filled, grouped
from .indices import KINDS, Estimate, Kind, query_shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_LOOKS = {"matters": "ahead", "does not matter": "level", "undecided": "undecided"}


@drawing
def draw_indices(rows: Sequence[Row], kind: Kind, top: float) -> Figure:
    """Draw a line per parameter: a bar for the total index (or mu*), hollow for first-order (or sigma).

    Args:
        rows: Rows of an `Estimate`.
        kind: Of the design.
        top: End of the x axis, as a share or a fraction.
    """
    figure, axes = blank(0.6 + 0.24 * len(rows))
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        _draw_index(axes, y, row, kind.unit)
    axes.axvline(kind.unit * kind.limit, color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0.5)
    name_rows(axes, [shorten(row["symbol"], 18) for row in rows])
    ends = [row[end] for row in rows for end in ("low", "other_low") if row[end] is not None]
    left = kind.unit * max(min(0.0, *ends, 0.0), -0.15 * top)
    axes.set(xlim=(left, kind.unit * top), ylim=(len(rows) - 0.4, -0.6), xlabel=kind.axis)
    return figure


def _draw_index(axes: Axes, y: float, row: Row, unit: float) -> None:
    """Draw the indices of one parameter at a height, with their intervals."""
    colour = VERDICTS[VERDICT_LOOKS[row["verdict"]]].colour
    above, below = y - 0.12, y + 0.24
    bar: dict[str, Any] = {"height": 0.36, "alpha": 0.35, "linewidth": 0}
    axes.barh([above], [unit * max(0.0, row["value"])], color=colour, **bar)
    if row["low"] is not None:
        ends = [unit * row["low"], unit * row["high"]]
        axes.plot(ends, [above] * 2, color=colour, linewidth=1.6, solid_capstyle="butt")
    axes.plot([unit * row["value"]], [above], "o", color=colour, markersize=3.6)
    if row["other_low"] is not None:
        ends = [unit * row["other_low"], unit * row["other_high"]]
        axes.plot(ends, [below] * 2, color=SOFT, linewidth=0.8)
    hollow: dict[str, Any] = {"markersize": 3, "markerfacecolor": "white", "markeredgewidth": 0.8}
    axes.plot([unit * row["other"]], [below], "D", color=INK, **hollow)


def exhibits(results: Results, estimates: Sequence[Estimate]) -> list[Exhibit]:
    """Return the figure of the indices, a panel per study; empty where no design was asked for."""
    if not estimates:
        return []
    design, shown = estimates[0].points, [found for found in estimates if not found.reason]
    kind, source = KINDS[design.kind], query_shown(results, design)
    states = " ".join(map(state, estimates))
    if not shown:
        return [Exhibit("design", kind.title, missing=states, source=source)]
    rows = [row for found in shown for row in found.rows]
    values = [row[key] for row in rows for key in ("value", "high", "other", "other_high")]
    top = 1.05 * max(abs(value) for value in values if value is not None)  # of all panels
    top = max(kind.limit * 1.5, top) if design.kind == "morris" else min(1.5, max(0.2, top))
    panels = [
        Panel(f"design-{slug(e.points.study)}", e.points.scenario, draw_indices(e.rows, kind, top))
        for e in shown
    ]
    caption = (
        f"{_meaning(design.kind, results.metric)} {results.confidence:.0%} intervals, resampled by "
        f"{kind.block}, not adjusted for the number of parameters. Blue: it matters (the interval "
        "lies above the dashed limit); green: it does not matter (below); grey: undecided. A parameter that "
        "a choice switches off has no effect there; one that is active in fewer than "
        f"{sensitivity.MIN_BLOCKS_PER_BRANCH} {kind.blocks} on average is undecided. {states}"
    )
    return [Exhibit("design", kind.title, caption, source, panels, _numbers(kind, rows))]


def _meaning(kind: str, metric: Metric) -> str:
    """Return what bars, hollow marks and the dashed line are."""
    if kind == "morris":
        return (
            f"Bars: mu*, the mean absolute effect of a parameter on {metric} over its whole range, with "
            "the others anywhere (the change at a step of the design, divided by the step). Hollow: "
            "sigma, how much that effect differs from place to place (interactions or curvature). Dashed: "
            "one point."
        )
    return (
        f"Bars: the total index, the share of the variance of {metric} over the whole space in which a "
        "parameter has any part. Hollow: the first-order index, the share of the parameter alone; the "
        f"rest is interactions. Dashed: {KINDS[kind].limit:.0%} of the variance."
    )


def state(estimate: Estimate) -> str:
    """Return how far a design is, what was lost and where, its run noise, and why indices are withheld."""
    points, kind = estimate.points, KINDS[estimate.points.kind]
    lost = f"{estimate.dropped} dropped because of a run that failed or diverged"
    ran = f"{points.blocks} of {count(points.planned, kind.block, kind.blocks)}"
    clauses = [
        f"{ran}, {lost}" if estimate.dropped else ran,
        f"lost mostly at {listing(estimate.lost)}" if estimate.lost else "",
        estimate.noise,
        f"withheld: {estimate.reason}" if estimate.reason else "",
    ]
    return f"{points.scenario}: {'; '.join(filter(None, clauses))}."


def _numbers(kind: Kind, rows: Sequence[Row]) -> Table:
    """Return the folded table of the indices with their verdicts."""

    def interval(row: Row, value: str, low: str, high: str) -> str:
        return f"{kind.form(row[value])} {bracket(row[low], row[high], kind.form)}".rstrip()

    indices: list[Column] = [
        (kind.columns[0], lambda row: interval(row, "value", "low", "high")),
        (kind.columns[1], lambda row: interval(row, "other", "other_low", "other_high")),
        *((name, lambda row: kind.form(row["mu"])) for name in kind.columns[2:]),
    ]
    seldom = {True: ", too seldom for a verdict", False: ""}
    columns: list[Column] = [
        ("scenario", lambda row: row["scenario"]),
        ("parameter", lambda row: Cell(row["path"], "code")),
        *indices,
        ("verdict", lambda row: Cell(row["verdict"], VERDICT_LOOKS[row["verdict"]])),
        ("active in", lambda row: f"{row['active']:.0%}{seldom[row['seldom']]}"),
    ]
    names, body = filled(rows, columns)
    return Table(names, body, folded=f"The numbers ({len(body)} rows)")


def sentences(estimates: Sequence[Estimate]) -> list[str]:
    """Return a sentence per scenario: which parameters matter over the whole space, and which do not."""
    texts = []
    for estimate in estimates:
        if estimate.reason:
            texts.append(f"Over the whole space under {state(estimate)}")
            continue
        found = grouped(estimate.rows, "verdict")
        effect, level, undecided = ([r["symbol"] for r in found.get(word, ())] for word in VERDICT_LOOKS)
        clauses = [
            f"{listing(effect)} {'matters' if len(effect) == 1 else 'matter'}" if effect else "",
            f"{listing(level)} {'does' if len(level) == 1 else 'do'} not" if level else "",
            f"{count(len(undecided), 'parameter')} {be(len(undecided))} undecided" if undecided else "",
            f"runs were lost mostly at {listing(estimate.lost)}" if estimate.lost else "",
        ]
        said = "; ".join(filter(None, clauses))
        texts.append(f"Over the whole space under {estimate.points.scenario}, {said}.")
    return texts
