"""Learning curves of the configurations of a sweep."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import TYPE_CHECKING

from ...look.entries import drawn_places, entries, looks_of, panel_groups, runs_of, scenarios_of
from ...look.marks import panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import WIDTH, blank, drawing, integer_axis, legend_below, percent_axis
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row, finished_trials
from ...stats.intervals import t_interval
from ..rows import interval_columns

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_curves(results: Results, rounds: Iterable[Row], metric: str = "acc_personal_own") -> list[Row]:
    """Return a column of the rounds table by scenario, configuration and round.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the drawn runs.
        metric: Name of the column.

    Returns:
        Rows with scenario, label, method, look, round, mean, low, high, least, most, seeds. Rounds without
        evaluation are left out.
    """
    places, methods = drawn_places(results), entries(results)
    label_looks = looks_of(methods)
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for row in rounds:
        if row.get(metric) is not None and isfinite(row[metric]):
            for scenario, label, _ in places.get(row.get("run") or "", []):
                values[(scenario, label, row["round"])].append(row[metric])
    rows = []
    for (scenario, label, number), seed_values in sorted(values.items(), key=lambda item: item[0]):
        interval = t_interval(seed_values, results.confidence)
        if interval:
            configuration = {"scenario": scenario, "label": label, "method": methods[label]}
            ends = {"least": min(seed_values), "most": max(seed_values)}
            look = {"look": label_looks[label]}
            rows.append({**configuration, **look, "round": number, **interval_columns(interval), **ends})
    return rows


@drawing
def draw_curves(
    rows: Sequence[Row], limits: tuple[float, float], metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw mean and range over seeds of one scenario against the round; what does not train is a dotted line.

    Args:
        rows: Rows of `table_curves`.
        limits: Ends of the y axis, as fractions.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.1, width)
    curves: dict[str, list[Row]] = {}
    for row in rows:
        curves.setdefault(row["label"], []).append(row)
    last_round = max(row["round"] for row in rows)
    for label in sorted(sorted(curves), key=lambda name: -curves[name][-1]["mean"]):
        curve = curves[label]
        look = curve[0]["look"]
        if len(curve) == 1:
            ends = [curve[0]["mean"]] * 2
            axes.plot([0, last_round], ends, ":", color=look.colour, linewidth=1.2, label=label)
            continue
        x = [row["round"] for row in curve]
        axes.plot(
            x,
            [row["mean"] for row in curve],
            linestyle=look.line,
            color=look.colour,
            marker=look.marker,
            markersize=3,
            markerfacecolor=look.face,
            markevery=max(1, len(x) // 8),
            label=label,
        )
        least, most = ([row[end] for row in curve] for end in ("least", "most"))
        axes.fill_between(x, least, most, color=look.colour, alpha=0.12, linewidth=0)
    axes.grid(axis="y")
    axes.set(ylim=limits, xlabel="round", ylabel=f"validation {metric}, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def panels_by_scenario(results: Results, rows: Sequence[Row]) -> list[tuple[str, list[str], str]]:
    """Return scenario, labels and title suffix of each panel, at most `MAX_PER_PANEL` labels in each."""
    places = []
    for scenario in scenarios_of(results, [r["scenario"] for r in rows]):
        scenario_labels = {r["label"] for r in rows if r["scenario"] == scenario}
        label_groups = panel_groups([label for label in entries(results) if label in scenario_labels])
        places += [
            (scenario, labels, f" ({i} of {len(label_groups)})" if len(label_groups) > 1 else "")
            for i, labels in enumerate(label_groups, 1)
        ]
    return places


def panels_of_curves(results: Results, rows: Sequence[Row], key: str) -> list[Panel]:
    """Return a panel per scenario, or several where one would hold too many lines."""
    low, high = min(row["least"] for row in rows), max(row["most"] for row in rows)
    limits = (max(0.0, low - 0.02), min(1.0, high + 0.02))
    places = panels_by_scenario(results, rows)
    panels = []
    for scenario, labels, suffix in places:
        panel_rows = [row for row in rows if row["scenario"] == scenario and row["label"] in labels]
        figure = draw_curves(panel_rows, limits, results.metric, panel_width(len(places)))
        panels.append(Panel(f"{key}-{slug(scenario + suffix)}", scenario + suffix, figure))
    return panels


def query_of_curves(results: Results, metric: str) -> str:
    """Return the SQL that gives the numbers of `table_curves`."""
    return f"""{runs_of(results)}, measured AS (
  SELECT DISTINCT run, round, {metric} AS value FROM {parts("rounds")}
  WHERE split = 'validation' AND isfinite({metric})
)
SELECT scenario, label, round, avg(value) AS mean, stddev_samp(value) AS sd, min(value) AS least,
  max(value) AS most, count(*) AS seeds
FROM run_of JOIN measured USING (run) GROUP BY ALL ORDER BY ALL"""


def query_of_measures(results: Results, metrics: Sequence[str]) -> str:
    """Return the SQL of `table_curves` for several columns; `measure` names the column of each row."""
    columns = ", ".join(f"{name}::DOUBLE AS {name}" for name in metrics)
    return f"""{runs_of(results)}, measured AS (
  SELECT run, round, measure, value
  FROM (SELECT DISTINCT run, round, {columns} FROM {parts("rounds")} WHERE split = 'validation')
  UNPIVOT (value FOR measure IN ({", ".join(metrics)})) WHERE isfinite(value)
)
SELECT scenario, label, measure, round, avg(value) AS mean, stddev_samp(value) AS sd, min(value) AS least,
  max(value) AS most, count(*) AS seeds
FROM run_of JOIN measured USING (run) GROUP BY ALL ORDER BY ALL"""


def exhibit_curves(results: Results, rounds: Sequence[Row]) -> Exhibit:
    """Return the figure of the learning curves, a panel per scenario."""
    title, rows = "Learning curves", table_curves(results, rounds)
    if not rows:
        return Exhibit(
            "curves",
            title,
            missing="No evaluated round of an anchor or a confirmed configuration is on disk yet.",
        )
    configurations = (
        "configurations confirmed on fresh seeds"
        if finished_trials(results.trials, "confirm")
        else "the anchors (nothing is confirmed yet)"
    )
    caption = (
        f"Validation {results.metric} (personal, own distribution) after each evaluated round, of "
        f"{configurations}: mean over seeds, and the range from the lowest to the highest seed (band). "
        "Dashed lines and hollow marks: untuned; dotted lines: no training."
    )
    columns = ("scenario", "label", "round", "mean", "low", "high", "least", "most", "seeds")
    panels = panels_of_curves(results, rows, "curves")
    return Exhibit(
        "curves", title, caption, query_of_curves(results, "acc_personal_own"), panels, numbers(rows, columns)
    )
