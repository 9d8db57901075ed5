"""Figure, tables and sentences of a design's indices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ... import stats as sensitivity
from ...look.marks import name_rows
from ...look.page import Cell, Exhibit, Panel, Table, slug
from ...look.style import FAINT, INK, SOFT, VERDICTS, blank, drawing
from ...look.words import bracket, count, listing, points, shorten
from ...read.metric import Metric
from ...read.results import Results, Row
from ..rows import two_digits
from ..sentences import be
from .indices import BLOCK_NAMES, LIMITS, QUERY, Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

VERDICT_LOOKS = {"matters": "ahead", "does not matter": "level", "undecided": "undecided"}


@drawing
def draw_indices(rows: Sequence[Row], kind: str, top: float) -> Figure:
    """Draw a line per parameter: a bar for the total index (or mu*), hollow for first-order (or sigma).

    Args:
        rows: Rows of an `Estimate`.
        kind: `sobol` or `morris`.
        top: End of the x axis, as a share or a fraction.
    """
    figure, axes = blank(0.6 + 0.24 * len(rows))
    unit = 100.0 if kind == "morris" else 1.0
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        _draw_index(axes, y, row, unit)
    axes.axvline(unit * LIMITS[kind], color=INK, linewidth=0.8, linestyle=(0, (3, 2)), zorder=0.5)
    name_rows(axes, [shorten(row["symbol"], 18) for row in rows])
    ends = [row[end] for row in rows for end in ("low", "other_low") if row[end] is not None]
    left = max(min(0.0, *(unit * end for end in ends), 0.0), -0.15 * unit * top)
    label = (
        "mean absolute effect (mu*), points" if kind == "morris" else "share of the variance (Sobol index)"
    )
    axes.set(xlim=(left, unit * top), ylim=(len(rows) - 0.4, -0.6), xlabel=label)
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
    kind, shown = estimates[0].points.kind, [e for e in estimates if not e.reason]
    title = "Elementary effects (Morris)" if kind == "morris" else "Shares of the variance (Sobol)"
    states = " ".join(map(state, estimates))
    if not shown:
        return [Exhibit("design", title, missing=states, source=results.shown(QUERY))]
    rows = [row for estimate in shown for row in estimate.rows]
    top = _top(kind, rows)
    panels = [
        Panel(f"design-{slug(e.points.study)}", e.points.scenario, draw_indices(e.rows, kind, top))
        for e in shown
    ]
    caption = (
        f"{_meaning(kind, results.metric)} {results.confidence:.0%} intervals, resampled by "
        f"{BLOCK_NAMES[kind]}, not adjusted for the number of parameters. Blue: it matters (the interval "
        "lies above the dashed limit); green: it does not matter (below); grey: undecided. A parameter that "
        "a choice switches off has no effect there; one that is active in fewer than "
        f"{sensitivity.MIN_BLOCKS_PER_BRANCH} {_plural(kind)} on average is undecided. {states}"
    )
    return [Exhibit("design", title, caption, results.shown(QUERY), panels, _numbers(kind, rows))]


def _top(kind: str, rows: Sequence[Row]) -> float:
    """Return the end of the x axis, which all panels share."""
    columns = ("value", "high", "other", "other_high")
    largest = 1.05 * max(abs(row[column]) for row in rows for column in columns if row[column] is not None)
    return max(LIMITS[kind] * 1.5, largest) if kind == "morris" else min(1.5, max(0.2, largest))


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
        f"rest is interactions. Dashed: {LIMITS['sobol']:.0%} of the variance."
    )


def state(estimate: Estimate) -> str:
    """Return how far a design is, what was lost and where, its run noise, and why indices are withheld."""
    kind = estimate.points.kind
    clauses = [
        f"{estimate.points.blocks} of {count(estimate.points.planned, BLOCK_NAMES[kind], _plural(kind))}"
        + (
            f", {estimate.dropped} dropped because of a run that failed or diverged"
            if estimate.dropped
            else ""
        )
    ]
    clauses += [f"lost mostly at {listing(estimate.lost)}"] if estimate.lost else []
    clauses += [estimate.noise] if estimate.noise else []
    clauses += [f"withheld: {estimate.reason}"] if estimate.reason else []
    return f"{estimate.points.scenario}: {'; '.join(clauses)}."


def _plural(kind: str) -> str:
    return "trajectories" if kind == "morris" else "Saltelli blocks"


def _numbers(kind: str, rows: Sequence[Row]) -> Table:
    """Return the folded table of the indices with their verdicts."""
    morris = kind == "morris"
    form = points if morris else two_digits
    body: list[list[Any]] = [
        [
            row["scenario"],
            Cell(row["path"], "code"),
            _with_interval(row["value"], row["low"], row["high"], form),
            _with_interval(row["other"], row["other_low"], row["other_high"], form),
            *([form(row["mu"])] if morris else []),
            Cell(row["verdict"], VERDICT_LOOKS[row["verdict"]]),
            f"{row['active']:.0%}{', too seldom for a verdict' if row['seldom'] else ''}",
        ]
        for row in rows
    ]
    names = ("mu*, points", "sigma", "mu") if morris else ("total index", "first-order index")
    columns = ["scenario", "parameter", *names, "verdict", "active in"]
    return Table(columns, body, folded=f"The numbers ({len(body)} rows)")


def _with_interval(value: float | None, low: float | None, high: float | None, form: Any) -> str:
    return f"{form(value)} {bracket(low, high, form)}".rstrip()


def sentences(estimates: Sequence[Estimate]) -> list[str]:
    """Return a sentence per scenario: which parameters matter over the whole space, and which do not."""
    texts = []
    for estimate in estimates:
        if estimate.reason:
            texts.append(f"Over the whole space under {state(estimate)}")
            continue
        symbols: dict[str, list[str]] = {verdict: [] for verdict in VERDICT_LOOKS}
        for row in estimate.rows:
            symbols[row["verdict"]].append(row["symbol"])
        effect, level, undecided = (symbols[verdict] for verdict in VERDICT_LOOKS)
        clauses = [
            f"{listing(effect)} {'matters' if len(effect) == 1 else 'matter'}" if effect else "",
            f"{listing(level)} {'does' if len(level) == 1 else 'do'} not" if level else "",
            f"{count(len(undecided), 'parameter')} {be(len(undecided))} undecided" if undecided else "",
            f"runs were lost mostly at {listing(estimate.lost)}" if estimate.lost else "",
        ]
        text = "; ".join(clause for clause in clauses if clause)
        texts.append(f"Over the whole space under {estimate.points.scenario}, {text}.")
    return texts
