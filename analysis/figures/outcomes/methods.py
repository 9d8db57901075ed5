"""Confirmed configurations on the test split and fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.entries import CONFIRMED, entries, looks_of
from ...look.forest import forest, forest_height
from ...look.marks import write_beside
from ...look.page import Exhibit, Panel, numbers
from ...look.style import FAINT, blank, drawing, percent_axis
from ...look.words import listing, percent
from ...read.metric import Metric
from ...read.results import Results, Row, by_seed, finished_trials
from ...stats.intervals import t_interval
from ..rows import interval_columns, place_in, scenario_order
from .accuracies import MEANS, PERSONAL_METRICS
from .rivalry import by_chance, rivalry

if TYPE_CHECKING:
    from matplotlib.figure import Figure


QUERY = f"""{CONFIRMED}
SELECT scenario, label, {MEANS} FROM confirmed GROUP BY ALL ORDER BY ALL"""


NOT_YET = "No configuration has been confirmed on fresh seeds yet: the test split is still closed."


def table_methods(results: Results) -> list[Row]:
    """Return a row per confirmed configuration, scenario and metric, on the test split.

    Returns:
        Rows with label, method, look, scenario, metric, values, interval, mean, low, high, seeds and trial;
        scenarios in the sweep's order, configurations by their mean over scenarios, the best first.

    Raises:
        ValueError: Two studies confirmed a configuration of one name under one scenario.
    """
    label_looks, rows = looks_of(entries(results)), []
    for (label, scenario), trial in _confirmed_trials(results).items():
        configuration = {"label": label, "method": trial["method"], "look": label_looks[label]}
        for metric in PERSONAL_METRICS:
            values = by_seed(trial, f"test_{metric}")
            interval = t_interval(list(values.values()), results.confidence)
            if interval:
                place = {"scenario": scenario, "metric": metric, "trial": trial}
                rows.append({**configuration, **place, "values": values, **interval_columns(interval)})
    order, means = scenario_order(results), _means_over_scenarios(rows)
    return sorted(
        rows,
        key=lambda row: (
            place_in(order, row["scenario"]),
            -means.get(row["label"], 0.0),
            row["label"],
            row["metric"],
        ),
    )


def _confirmed_trials(results: Results) -> dict[tuple[str, str], Row]:
    """Return the confirmed trial of each label and scenario; of several in one study, the last."""
    trials: dict[tuple[str, str], Row] = {}
    for trial in finished_trials(results.trials, "confirm"):
        key = (trial["label"], trial["scenario"])
        study = trials.setdefault(key, trial)["study"]
        if study != trial["study"]:
            raise ValueError(
                f"{trial['label']!r} is confirmed under {trial['scenario']!r} by two studies, {study!r} "
                f"and {trial['study']!r}; a label must belong to one study per scenario"
            )
        trials[key] = trial
    return trials


def _means_over_scenarios(rows: Sequence[Row]) -> dict[str, float]:
    """Return the mean of each label over scenarios, on the clients' own distributions."""
    means: dict[str, list[float]] = {}
    for row in (row for row in rows if row["metric"] == "acc_personal_own"):
        means.setdefault(row["label"], []).append(row["mean"])
    return {label: sum(values) / len(values) for label, values in means.items()}


@drawing
def draw_methods(rows: Sequence[Row], limits: tuple[float, float], metric: Metric) -> Figure:
    """Draw one metric: a line per configuration with its mean, interval and seeds, scenario by scenario.

    Args:
        rows: Rows of `table_methods` of one metric.
        limits: Ends of the x axis, as fractions.
        metric: The metric of the sweep.
    """
    figure, axes = blank(forest_height(rows))
    forest(axes, rows, _draw_method, lambda row: str(row["label"]))
    axes.grid(axis="x")
    axes.set(xlim=limits, xlabel=f"test {metric}, %")
    percent_axis(axes.xaxis)
    return figure


def _draw_method(axes: Any, y: float, row: Row) -> None:
    """Draw mean, interval and seeds of one configuration at a height; untuned marks are hollow."""
    look, values = row["look"], list(row["values"].values())
    colour = look.colour
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
    if row["low"] is not None:
        axes.plot([row["low"], row["high"]], [y, y], color=colour, linewidth=2, solid_capstyle="butt")
    seeds = {"markersize": 1.8, "alpha": 0.6, "markeredgewidth": 0}
    axes.plot(values, [y + 0.27] * len(values), "o", color=colour, **seeds)
    mean = {"markersize": 4.8, "markeredgewidth": 1, "markerfacecolor": look.face}
    axes.plot([row["mean"]], [y], look.marker, color=colour, **mean)
    write_beside(axes, y, percent(row["mean"]))


def limits(rows: Sequence[Row]) -> tuple[float, float]:
    """Return a common axis of all panels: every mean and seed, and intervals as far as they lie in 0 to 1."""
    ends = [
        v
        for r in rows
        for v in (*r["values"].values(), r["mean"], *((r["low"], r["high"]) if r["low"] is not None else ()))
    ]
    low, high = max(0.0, min(ends)), min(1.0, max(ends))
    pad = max(0.01, 0.05 * (high - low))
    return max(0.0, low - pad), min(1.0, high + pad)


def exhibit_methods(results: Results, rows: Sequence[Row]) -> Exhibit:
    """Return the figure of the methods by scenario, a panel per metric."""
    title, metric = "Methods by scenario", results.metric
    if not rows:
        return Exhibit("methods", title, missing=NOT_YET)
    panels = []
    for column, where in PERSONAL_METRICS.items():
        figure = draw_methods([row for row in rows if row["metric"] == column], limits(rows), metric)
        panels.append(Panel(f"methods-{column.replace('_', '-')}", f"Personal {metric} {where}", figure))
    caption = (
        f"Test {metric} on fresh seeds: mean (mark), {results.confidence:.0%} t interval over seeds (bar), "
        "single seeds (dots below the bar). Hollow marks are untuned. Intervals of single methods may "
        "overlap although their paired difference is clear; the table of methods has the verdicts. "
        f"{by_chance(results, rivalry(results, rows))}{patches(rows)}"
    )
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds")
    return Exhibit("methods", title, caption, QUERY, panels, numbers(rows, columns))


def patches(rows: Sequence[Row]) -> str:
    """Return a sentence per number of image patches that names the configurations that work on so many."""
    labels_by_number: dict[int, dict[str, None]] = {}
    for row in (row for row in rows if row["trial"].get("patches")):
        labels_by_number.setdefault(row["trial"]["patches"], {})[row["label"]] = None
    return "".join(
        f" With this backbone, {listing(list(labels))} {'works' if len(labels) == 1 else 'work'} on M = "
        f"{number} patches."
        for number, labels in labels_by_number.items()
    )
