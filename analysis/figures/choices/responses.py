"""Response curves: accuracy along a numeric choice, around the anchor and over the whole space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from ...look.entries import look_at
from ...look.page import Exhibit, Panel
from ...look.style import SOFT, Figure, drawing
from ...look.words import MARGIN, points
from ...read.metric import Metric
from ...read.results import Results, Row
from ...stats.intervals import t_interval
from ..exhibits import Draft, Seen
from ..lines import Axis, draw_lines, ends_said, lines_of, panels_of
from ..rows import grouped, is_plain_number, symbol_of
from .indices import DesignPoints, query_of

LEAST_VALUES = 3  # on a curve, the anchor among them
BINS = 5
CHOICES = f"""WITH anchors AS (
  SELECT unnest($paths) AS path, try_cast(unnest($anchors) AS DOUBLE) AS anchor
), tried AS (
  SELECT scenario, path, try_cast(level AS DOUBLE) AS x, estimate AS mean, low, high, anchor
  FROM verdicts JOIN anchors ON path = subject
  WHERE kind = 'choice' AND metric = 'acc_personal_own' AND verdict <> 'diverges' AND estimate IS NOT NULL
    AND isfinite(x) AND isfinite(anchor) AND x <> anchor
), points AS (
  SELECT path, scenario, x, mean, low, high FROM tried
  UNION ALL SELECT DISTINCT path, scenario, anchor, 0, NULL, NULL FROM tried
)
SELECT p.*, p.scenario AS label FROM points p LEFT JOIN scenarios s USING (scenario)
QUALIFY count(*) OVER (PARTITION BY path, scenario) >= {LEAST_VALUES}
ORDER BY list_position($paths, path), s.place, x"""
COLUMNS = ("path", "scenario", "x", "mean", "low", "high")


def parameters(results: Results) -> dict[str, list[str]]:
    """Return the parameters of `CHOICES`: the paths of the choices, and their anchors."""
    factors = results.meta.get("factors") or []
    return {"paths": [f["path"] for f in factors], "anchors": [str(f.get("anchor")) for f in factors]}


def table_responses(results: Results) -> list[Row]:
    """Return points along each numeric choice with at least three values: differences to the anchor.

    Rows have path, scenario, label (the same), x, mean, low and high (fractions; at the anchor 0 and None, by
    definition). Levels that diverged, or other settings go with, have none, nor has any where the anchor did.
    """
    found = parameters(results)
    return results.sql(CHOICES, **found) if found["paths"] else []


def table_binned(results: Results, designs: Sequence[DesignPoints]) -> list[Row]:
    """Return mean accuracy over the whole space along each numeric parameter, in bins of equally many points.

    Where a parameter has few values, each has a bin; equal values stay in one bin. Points of one Saltelli
    block or trajectory share coordinates. So a bin's interval is one over the means of its blocks. Each point
    by itself is uniform over the space. So a block's mean has the bin's mean as its expectation, however many
    of its points lie in the bin. Rows are as those of `table_responses`, with x (the bin's median), blocks,
    points and log (whether the axis is logarithmic).
    """
    rows = []
    for design in designs:
        block = np.arange(len(design.params)) // design.size
        about = {"scenario": design.scenario, "label": design.scenario}
        for path in design.names:
            values = [params.get(path) for params in design.params]
            x = np.array([value if is_plain_number(value) else np.nan for value in values], float)
            for inside in _bins(np.where(np.isfinite(design.means), x, np.nan)):
                y, blocks = design.means[inside], block[inside]
                mean = t_interval([y[blocks == one].mean() for one in np.unique(blocks)], results.confidence)
                assert mean is not None  # a bin has points, and each has a finite mean
                place = {"path": path, "x": float(np.median(x[inside])), "log": path in design.log}
                ends = {"mean": mean.mean, "low": mean.low, "high": mean.high}
                rows.append({**about, **place, **ends, "blocks": mean.n, "points": len(inside)})
    return rows


def _bins(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the places of the values of each bin, NaN left out; nothing where all values are equal."""
    finite = x[np.isfinite(x)]
    values = np.unique(finite)
    if len(values) > BINS:
        edges = np.quantile(finite, np.arange(1, BINS) / BINS)
        number = np.where(np.isfinite(x), np.searchsorted(edges, x), np.nan)
    else:
        number = x
    for one in np.unique(number[np.isfinite(number)]) if len(values) > 1 else ():
        yield np.flatnonzero(number == one)


@drawing
def draw_curves(rows: Sequence[Row], symbol: str, metric: Metric, differences: bool) -> Figure:
    """Draw a line per scenario along one choice: differences to the anchor, or accuracies."""
    from matplotlib.ticker import LogLocator, MaxNLocator

    label, log = "points against anchor" if differences else f"validation {metric}, %", rows[0].get("log")
    values = sorted({row["x"] for row in rows})
    figure = draw_lines(lines_of(rows), Axis(symbol, label, values=values, log=log), height=2.5)
    axes = figure.axes[0]
    if differences:
        axes.axhspan(-MARGIN, MARGIN, color="#f3f3ef", linewidth=0, zorder=0.2)
        axes.axhline(0, color=SOFT, linewidth=0.7, zorder=0.5)
    else:  # no ticks at the medians of bins
        locator = LogLocator(10, (1.0, 3.0), numticks=6) if log else MaxNLocator(6)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    return figure


def exhibits(results: Results, designs: Sequence[DesignPoints]) -> list[Exhibit]:
    """Return the figures of the curves around the anchor and over the whole space, a panel per choice."""
    metric, confidence, figures = results.metric, results.confidence, []
    if around := table_responses(results):
        caption = (
            f"Validation {metric} along each numeric choice with at least three values, minus the anchor "
            "on the same seeds (at 0, without an interval); the other choices stay at the anchor. Mean "
            f"and {confidence:.0%} interval. Shaded: within one point. Lines only join what was tried; "
            "nothing was measured between the points."
        )
        draft = Draft(results, "responses", "Response to each numeric choice, around the anchor")
        panels, asked = _panels(draft, around, True), parameters(results)
        figures.append(draft.exhibit(panels, around, COLUMNS, CHOICES, caption, None, **asked))
    if whole := table_binned(results, designs):
        caption = (
            f"Validation {metric} along each numeric parameter, the others anywhere in the space: means of "
            f"bins of about equally many points, where the parameter was active; {confidence:.0%} t "
            "intervals over the blocks of the design."
        )
        title = "Response to each numeric parameter, over the whole space"
        draft, columns = Draft(results, "responses-whole", title), (*COLUMNS, "blocks", "points")
        panels, query = _panels(draft, whole, False), query_of(designs[0].kind)
        figures.append(draft.exhibit(panels, whole, columns, query, caption, None))
    return figures


def _panels(draft: Draft, rows: Sequence[Row], differences: bool) -> list[Panel]:
    """Return a panel per path; a scenario has one colour in all of them."""
    looks = {label: look_at(place) for place, label in enumerate(grouped(rows, "label"))}
    results = draft.results
    seen: Seen = partial(ends_said, form=points, unit=" points") if differences else ends_said

    def draw(rows: list[Row]) -> Figure:
        return draw_curves(rows, symbol_of(results, rows[0]["path"]), results.metric, differences)

    return panels_of([{**row, "look": looks[row["label"]]} for row in rows], draft.key, draw, seen, "path")
