"""Accuracy against the heterogeneity that was measured in each scenario."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...look.entries import CONFIRMED, entries, panel_groups
from ...look.marks import draw_line
from ...look.page import Exhibit, Panel, numbers
from ...look.placing import label_lines
from ...look.style import SOFT, blank, drawing, legend_below, percent_axis
from ...look.words import capitalized
from ...read.metric import Metric
from ...read.results import Results, Row
from .accuracies import MEANS, PERSONAL_METRICS
from .methods import NOT_YET, limits

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

QUERY = f"""{CONFIRMED}, places AS (
  SELECT s.label AS scenario, s.heterogeneity.achieved.js_divergence AS js
  FROM (SELECT unnest(scenarios) AS s FROM read_json('run.json'))
)
SELECT scenario, js, label, {MEANS} FROM confirmed JOIN places USING (scenario) GROUP BY ALL ORDER BY ALL"""


def table_heterogeneity(results: Results, rows: Sequence[Row]) -> list[Row]:
    """Return the rows of `table_methods` with `js`, the measured Jensen-Shannon divergence of their scenario.

    Rows of scenarios without a measurement are left out.
    """
    js = {
        s["label"]: ((s.get("heterogeneity") or {}).get("achieved") or {}).get("js_divergence")
        for s in results.meta.get("scenarios") or []
    }
    return [{**r, "js": js[r["scenario"]]} for r in rows if js.get(r["scenario"]) is not None]


@drawing
def draw_heterogeneity(rows: Sequence[Row], limits: tuple[float, float], metric: Metric) -> Figure:
    """Draw accuracy against the measured heterogeneity, a line per configuration, moved a little apart.

    Args:
        rows: Rows of `table_heterogeneity` of one metric.
        limits: Ends of the y axis, as fractions.
        metric: The metric of the sweep.
    """
    labels = list(dict.fromkeys(row["label"] for row in rows))
    figure, axes = blank(3.3)
    reach = max(row["js"] for row in rows) - min(row["js"] for row in rows) or 1.0
    for i, label in enumerate(labels):
        line = sorted((row for row in rows if row["label"] == label), key=lambda row: row["js"])
        x = [row["js"] + (i - (len(labels) - 1) / 2) * 0.012 * reach for row in line]
        draw_line(axes, x, line, line[0]["look"], label)
    _write_scenarios(axes, sorted({(row["js"], row["scenario"]) for row in rows}), reach)
    axes.grid(axis="y")
    divergence = "measured label divergence between clients (Jensen-Shannon)"
    axes.set(ylim=limits, xlabel=divergence, ylabel=f"test {metric}, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def _write_scenarios(axes: Axes, places: Sequence[tuple[float, str]], reach: float) -> None:
    """Write the name of each scenario above its place on the x axis."""
    heights = label_lines([js for js, _ in places], [scenario for _, scenario in places])
    for height, (js, scenario) in zip(heights, places, strict=True):
        axes.axvline(js, color="#dddddd", linewidth=0.7, zorder=0)
        side, shift = "center", 0
        if js - places[0][0] < 0.2 * reach:
            side, shift = "left", -4
        elif places[-1][0] - js < 0.2 * reach:
            side, shift = "right", 4
        axes.annotate(
            scenario,
            (js, 1),
            xycoords=("data", "axes fraction"),
            xytext=(shift, 3 + 8 * height),
            textcoords="offset points",
            color=SOFT,
            fontsize=6.5,
            ha=side,
            va="bottom",
            annotation_clip=False,
        )


def exhibit_heterogeneity(results: Results, methods: Sequence[Row]) -> Exhibit:
    """Return the figure of accuracy against heterogeneity, a panel per metric.

    Args:
        results: The sweep.
        methods: Rows of `methods.table_methods`.
    """
    metric, rows = results.metric, table_heterogeneity(results, methods)
    title = f"{capitalized(str(metric))} against heterogeneity"
    if len({row["js"] for row in rows}) < 2:
        missing = "It takes confirmed configurations in two scenarios of different measured heterogeneity."
        return Exhibit("heterogeneity", title, missing=missing if methods else NOT_YET)
    drawn_labels = {row["label"] for row in rows}
    label_groups = panel_groups([label for label in entries(results) if label in drawn_labels])
    panels = []
    for i, labels in enumerate(label_groups, 1):
        several = len(label_groups) > 1
        for column, where in PERSONAL_METRICS.items():
            panel_rows = [row for row in rows if row["metric"] == column and row["label"] in labels]
            key = f"heterogeneity-{column.replace('_', '-')}" + (f"-{i}" if several else "")
            name = f"Personal {metric} {where}" + (f" ({i} of {len(label_groups)})" if several else "")
            panels.append(Panel(key, name, draw_heterogeneity(panel_rows, limits(rows), metric)))
    caption = (
        "The heterogeneity is the measured Jensen-Shannon divergence of the clients' class distributions, "
        "not the requested one; it grows from left to right. Scenarios also differ in other ways "
        "(domains, sizes). So a line joins settings; it is no dose response."
    )
    columns = ("scenario", "js", "label", "metric", "mean", "low", "high")
    return Exhibit("heterogeneity", title, caption, QUERY, panels, numbers(rows, columns))
