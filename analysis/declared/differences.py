"""Differences of all configurations of a recipe to one of them, paired by seed: the effect of each part."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..figures.outcomes.accuracies import PERSONAL_METRICS
from ..figures.outcomes.tested import TESTED_METRICS, query_of_tested, table_tested, title_of
from ..figures.rows import interval_columns, with_firm
from ..figures.sentences import be, with_confidence
from ..look.entries import CONFIRMED, base_label, entries, quoted, subject
from ..look.forest import axis_limit, draw_difference, forest, forest_height
from ..look.marks import panel_width
from ..look.page import Exhibit, Panel, numbers
from ..look.style import FAINT, SOFT, WIDTH, blank, drawing
from ..look.words import WITHIN, listing, percent, points, span
from ..read.metric import Metric
from ..read.results import Results, Row, tuning_of
from ..stats.intervals import EQUIVALENCE_MARGIN, Interval, paired
from .adjusted import may, note_on_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

REMOVAL_WORDS = ("without ", "no ")


def rows_of_metrics(
    results: Results, compared: Sequence[Row], metrics: Sequence[str] | None
) -> Sequence[Row]:
    """Return the rows of `methods.table_methods`, or those of other metrics where a figure declares them."""
    return table_tested(results, compared, metrics) if metrics else compared


def table_pairs(
    results: Results, compared: Sequence[Row], to: str, metrics: Sequence[str] = tuple(PERSONAL_METRICS)
) -> list[Row]:
    """Return a row per scenario, configuration and metric: its test accuracy minus that of the reference.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods` or of `tested.table_tested`.
        to: The reference's label, with or without `(tuned)`.
        metrics: The order of the metrics.

    Returns:
        Rows with scenario, reference, label, metric, interval (paired by seed), mean, low, high, seeds,
        verdict, subject (it is the recipe's first entry), removed (the label says what was left out of the
        first entry, and the reference is that entry) and firm (it remains when adjusted for the number of
        rows); as the recipe lists them.
    """
    order, main = list(entries(results)), subject(results)
    reference_rows = {
        (r["scenario"], r["metric"]): r for r in compared if to in (r["label"], base_label(r["label"]))
    }
    rows = []
    for row in compared:
        reference = reference_rows.get((row["scenario"], row["metric"]))
        if reference is None or reference["label"] == row["label"]:
            continue
        interval = paired(row["values"], reference["values"], results.confidence)
        if interval is None:
            continue
        label = row["label"]
        removed = reference["label"] == main and label.startswith(REMOVAL_WORDS)
        rows.append(
            {
                **{key: row[key] for key in ("scenario", "label", "metric")},
                "reference": reference["label"],
                **interval_columns(interval),
                "verdict": interval.verdict,
                "subject": label == main,
                "removed": removed,
            }
        )
    scenarios, metrics = list(dict.fromkeys(row["scenario"] for row in compared)), list(metrics)
    rows.sort(
        key=lambda row: (
            scenarios.index(row["scenario"]),
            order.index(row["label"]),
            metrics.index(row["metric"]),
        )
    )
    return with_firm(rows, results.confidence)


def frame_of(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the ends of the x axis in points: zero, the band of `level`, and most intervals.

    Intervals wider than `forest.reach` are cut.
    """
    limit = axis_limit(rows)
    lows, highs = (
        [100 * (r[end] if r[end] is not None else r["mean"]) for r in rows] for end in ("low", "high")
    )
    low, high = max(-limit, min(lows)), min(limit, max(highs))
    pad = 0.04 * (high - low)
    return min(low - pad, -130 * EQUIVALENCE_MARGIN), max(high + pad, 130 * EQUIVALENCE_MARGIN)


@drawing
def draw_pairs(rows: Sequence[Row], frame: tuple[float, float], width: float = WIDTH) -> Figure:
    """Draw a forest plot of one metric, scenario by scenario; the band is the range of `level`.

    Args:
        rows: Rows of `table_pairs` of one metric.
        frame: Ends of the x axis in points.
        width: Width of the panel, inches.
    """
    figure, axes = blank(forest_height(rows), width)
    axes.axvspan(-100 * EQUIVALENCE_MARGIN, 100 * EQUIVALENCE_MARGIN, color="#f1f1ec", linewidth=0, zorder=0)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    forest(axes, rows, lambda axes, y, row: _draw_pair(axes, y, row, frame), _short_label)
    axes.set(xlim=frame, xlabel=f"points against {rows[0]['reference']}")
    return figure


def _short_label(row: Row) -> str:
    """Return the label, without the bracket that it shares with the reference."""
    return (
        base_label(row["label"])
        if tuning_of(row["label"]) == tuning_of(row["reference"])
        else str(row["label"])
    )


def _draw_pair(axes: Any, y: float, row: Row, frame: tuple[float, float]) -> None:
    """Draw the difference of one row at a height, cut at the ends of the frame."""
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0.2)
    draw_difference(axes, y, row, frame)


def exhibit_differences(results: Results, compared: Sequence[Row], figure: Row, key: str) -> Exhibit:
    """Return the figure of the forest plots, one for each metric.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: to, metrics and title.
        key: Key of the exhibit.
    """
    title, declared_metrics = figure.get("title") or f"Difference to {figure['to']}", figure.get("metrics")
    metrics = declared_metrics or list(PERSONAL_METRICS)
    rows = table_pairs(results, rows_of_metrics(results, compared, declared_metrics), figure["to"], metrics)
    if not rows:
        missing = f"It takes {figure['to']} and one other configuration, confirmed under the same scenario."
        return Exhibit(key, title, missing=missing)
    measured = [m for m in metrics if any(row["metric"] == m for row in rows)]  # others have no column in SQL
    query = query_of_pairs(rows[0]["reference"], measured if declared_metrics else None)
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds", "verdict", "firm")
    panels = panels_of_pairs(rows, measured, key, results.metric)
    return Exhibit(key, title, caption_of(results, rows), query, panels, numbers(rows, columns))


def panels_of_pairs(rows: Sequence[Row], metrics: Sequence[str], key: str, metric: Metric) -> list[Panel]:
    """Return a forest plot for each metric that was measured.

    Args:
        rows: Rows of `table_pairs`.
        metrics: Columns, in order.
        key: Key of the exhibit.
        metric: The metric of the sweep.
    """
    frame, panels = frame_of(rows), []
    measured = [column for column in metrics if any(row["metric"] == column for row in rows)]
    for column in measured:
        where = PERSONAL_METRICS.get(column)
        title = f"Personal {metric} {where}" if where else title_of(column, metric)
        figure = draw_pairs([r for r in rows if r["metric"] == column], frame, panel_width(len(measured)))
        panels.append(Panel(f"{key}-{column.replace('_', '-')}", title, figure))
    return panels


def caption_of(results: Results, rows: Sequence[Row]) -> str:
    """Return what the forest plots show and how to read them."""
    word = tuning_of(rows[0]["reference"])
    tuning = f"All are {word} that do not say otherwise. " if word else ""
    return (
        f"Test {results.metric} of each configuration minus that of {rows[0]['reference']} with the same "
        f"fresh seeds: mean and {results.confidence:.0%} t interval. Blue triangles up are better, orange "
        "triangles down worse; green squares are level (the whole interval lies in the band of one point "
        "to either side), grey circles undecided. Intervals wider than the axis end in an arrow. "
        f"{tuning}{note_on_number(rows, results.confidence)}"
    )


def query_of_pairs(reference: str, metrics: Sequence[str] | None) -> str:
    """Return the SQL that gives the numbers of `table_pairs`."""
    if metrics:
        return query_of_tested(
            metrics,
            f"""SELECT c.scenario, c.label, c.metric, avg(c.value - r.value) AS mean,
  stddev_samp(c.value - r.value) AS sd, count(*) AS seeds
FROM tested c JOIN tested r USING (scenario, seed, metric)
WHERE r.label = {quoted(reference)} AND c.label <> r.label
GROUP BY ALL ORDER BY ALL""",
        )
    return f"""{CONFIRMED}, pairs AS (
  SELECT c.scenario, c.label, c.acc_personal_own - r.acc_personal_own AS own,
    c.acc_personal_global - r.acc_personal_global AS world
  FROM confirmed c JOIN confirmed r USING (scenario, seed)
  WHERE r.label = {quoted(reference)} AND c.label <> r.label
)
SELECT scenario, label, avg(own) AS own, stddev_samp(own) AS sd_own, avg(world) AS global_split,
  stddev_samp(world) AS sd_global, count(*) AS seeds
FROM pairs GROUP BY ALL ORDER BY ALL"""


def sentences_differences(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """Return a sentence per scenario: what is left out and its effect; then other metrics; then the rest.

    Other metrics are reported where their verdict differs. Where nothing is left out of the recipe's first
    entry, every configuration is in the first sentences.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: to and metrics.
    """
    metrics = figure.get("metrics") or list(PERSONAL_METRICS)
    rows = table_pairs(
        results, rows_of_metrics(results, compared, figure.get("metrics")), figure["to"], metrics
    )
    main_rows = [row for row in rows if row["removed"]] or rows
    other_rows = [row for row in rows if row not in main_rows]
    measured = {row["metric"] for row in rows}
    first = next((metric for metric in metrics if metric in measured), metrics[0])
    verdicts = {(row["scenario"], row["label"]): row["verdict"] for row in rows if row["metric"] == first}
    texts: list[str] = []
    for part, metric in itertools.product((main_rows, other_rows), metrics):
        reported: dict[str, list[Row]] = {}
        for row in (row for row in part if row["metric"] == metric):
            differs = row["verdict"] != verdicts.get((row["scenario"], row["label"]))
            if metric == first or (row["interval"].excludes_zero and differs):
                reported.setdefault(row["scenario"], []).append(row)
        for scenario, scenario_rows in reported.items():
            against = "" if texts else f"compared with {rows[0]['reference']}, "
            clauses = clauses_of(scenario_rows)
            texts.append(f"Under {scenario}, {TESTED_METRICS[metric]}, {against}{clauses}.")
    return with_confidence(texts, results.confidence)


def clauses_of(rows: Sequence[Row]) -> str:
    """Return the verdicts: first entry of the recipe, then what is left out of it, then the others."""
    subject_rows = [row for row in rows if row["subject"]]
    removed_rows = [row for row in rows if row["removed"]]
    other_rows = [row for row in rows if not row["subject"] and not row["removed"]]
    return "; ".join(_clauses(part) for part in (subject_rows, removed_rows, other_rows) if part)


def _clauses(rows: Sequence[Row]) -> str:
    """Return these differences by verdict, the largest first; all of them or none leave something out."""
    by_verdict: dict[str, list[Row]] = {v: [] for v in ("hurts", "helps", "level", "undecided")}
    for row in rows:
        by_verdict[row["verdict"]].append(row)
    removed = rows[0]["removed"]
    worse = sorted(by_verdict["hurts"], key=lambda row: row["mean"])
    better = sorted(by_verdict["helps"], key=lambda row: -row["mean"])
    clauses = [f"{_name(row)} {_verb(row, 'cost' if removed else 'lose')} {_size(row)}" for row in worse]
    clauses += [f"{_name(row)} {_verb(row, 'gain')} {_size(row)}" for row in better]
    if by_verdict["level"]:
        names = [_name(row) for row in by_verdict["level"]]
        level = f"{be(len(names))} level"
        if removed:
            level = f"{'does' if len(names) == 1 else 'do'} not matter"
        clauses.append(f"{listing(names)} {level} ({WITHIN})")
    if by_verdict["undecided"]:
        names = [
            f"{_name(row)} ({points(row['mean'])} points, {span(row['interval'])})"
            for row in by_verdict["undecided"]
        ]
        clauses.append(f"{listing(names)} {be(len(names))} undecided")
    return "; ".join(clauses)


def _verb(row: Row, verb: str) -> str:
    return f"may {verb}" if may(row) else f"{verb}s"


def _name(row: Row) -> str:
    """Return `leaving out OT` for `without OT (tuned)`; other labels in quotes."""
    label = base_label(row["label"])
    word = next((w for w in REMOVAL_WORDS if label.startswith(w)), "")
    return f"leaving out {label.removeprefix(word)}" if row["removed"] else f"\u201c{label}\u201d"


def _size(row: Row) -> str:
    """Return `3.1 points (2.5 to 3.7)`: the difference without its sign."""
    interval: Interval = row["interval"]
    ends = sorted((abs(interval.low or 0.0), abs(interval.high or 0.0)))
    return f"{percent(abs(interval.mean))} points ({percent(ends[0])} to {percent(ends[1])})"
