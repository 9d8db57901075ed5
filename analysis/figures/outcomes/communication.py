"""Accuracy against what is sent (bytes, shared parameters), and against the measured heterogeneity."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

from ...look.entries import base_label
from ...look.marks import Mark, draw_intervals, label_lines, name_marks, spread_ticks
from ...look.page import Exhibit, slug
from ...look.style import SMALL, SOFT, WIDTH, Axes, Figure, blank, drawing
from ...look.words import capitalized, parameter_count, percent, size
from ...read.metric import Metric
from ...read.results import Results, Row, tuning_of
from ..estimates import COLUMNS, ONE_FLOOR, basis, entries_of, floors_of, is_number, limits, sort, tested
from ..exhibits import Draft, finished, panel
from ..lines import Axis, draw_floors, draw_lines, ends_said, lines_of, panels_of
from ..rows import grouped
from .accuracies import NOT_YET, PERSONAL_METRICS, title_of

QUERY = f"""WITH run_of AS (
  SELECT scenario, label, unnest(runs) AS run FROM trials WHERE kind = 'confirm'
), sent AS (
  SELECT scenario, label, avg(bytes_up / clients) AS up, avg(bytes_down / clients) AS down
  FROM run_of JOIN rounds USING (run)
  WHERE split = 'validation' AND round > 0 AND clients > 0 GROUP BY ALL
), whole AS (
  SELECT scenario, label, shared_parameters AS parameters,
    bytes_up + bytes_down + coalesce(bytes_setup, 0) AS total
  FROM trials WHERE kind = 'confirm' AND bytes_up IS NOT NULL
)
SELECT {COLUMNS}, coalesce(parameters, 0) AS parameters, coalesce(up, 0) AS up, coalesce(down, 0) AS down,
  coalesce(up + down, 0) AS each, total
FROM estimates LEFT JOIN whole USING (scenario, label) LEFT JOIN sent USING (scenario, label)
WHERE split = 'test' AND metric = 'acc_personal_own' AND kind IN ('confirm', 'floor')
  AND (kind = 'floor' OR total IS NOT NULL)
{ONE_FLOOR}
ORDER BY ALL"""
SHOWN = {  # column -> its name in the table
    "scenario": "scenario",
    "label": "configuration",
    "parameters": "shared parameters",
    "up": "bytes up, per client and round",
    "down": "bytes down",
    "total": "bytes of a whole run",
    "mean": "",  # that of the metric
    "low": "low",
    "high": "high",
}
AMOUNTS = {"each": "bytes up and down, per client and round", "parameters": "shared parameters"}
HETEROGENEITY = f"""WITH places AS (
  SELECT s ->> '$.label' AS scenario, (s ->> '$.heterogeneity.achieved.js_divergence')::DOUBLE AS x
  FROM (SELECT unnest(json_extract(to_json(scenarios), '$[*]')) AS s FROM meta)
)
SELECT x, {COLUMNS}
FROM estimates JOIN places USING (scenario)
{tested(PERSONAL_METRICS)}"""
HETEROGENEITY_COLUMNS = ("scenario", "x", "label", "metric", "mean", "low", "high")


def table_communication(results: Results) -> list[Row]:
    """Return rows of `estimates`, the floors too, with what each confirmed configuration sends.

    That is parameters (shared, sent each way), up, down and each (bytes per client and round; each is their
    sum) and total (bytes of a whole run: up, down and once at the start).
    """
    rows = results.sql(QUERY)
    return sort(results, rows) if entries_of(rows) else []


@drawing
def draw_communication(rows: Sequence[Row], key: str, limits: tuple[float, float], metric: Metric) -> Figure:
    """Draw accuracy against what is sent (`each` or `parameters`); what sends nothing stands apart at 0."""
    figure, axes = blank(3.3)
    shown = [row for row in entries_of(rows) if is_number(row["mean"])]
    amounts = sorted({float(row[key]) for row in shown if row[key] > 0}) or [1.0]
    nothing = log10(amounts[0]) - 0.3 * max(1.0, log10(amounts[-1] / amounts[0]))
    marks = []
    for row in shown:
        ends = (row["low"], row["high"]) if row["low"] is not None else (row["mean"], row["mean"])
        x = log10(row[key]) if row[key] > 0 else nothing
        marks.append(Mark(x, row["mean"], row["label"].removesuffix(" (tuned)"), *ends))
    shifts = name_marks(axes, marks, limits, (72 * WIDTH - 48, 175.0))
    for row, mark, shift in zip(shown, marks, shifts, strict=True):
        look, place = row["look"], [mark.x + shift]
        draw_intervals(axes, place, [row], look.colour)
        style = {"markersize": 4.8, "color": look.colour, "markerfacecolor": look.face}
        axes.plot(place, [row["mean"]], look.marker, **style)
    draw_floors(axes, floors_of(rows))
    _amount_axis(axes, amounts, key, nothing if any(row[key] <= 0 for row in shown) else None)
    return finished(figure, axes, "y", "y", xlabel=AMOUNTS[key], ylabel=f"test {metric}, %")


def _amount_axis(axes: Axes, amounts: Sequence[float], key: str, nothing: float | None) -> None:
    """Set the ticks of the logarithmic x axis; a dotted line separates what sends nothing."""
    left, right = axes.get_xlim()
    point = (right - left) / (72 * WIDTH - 48)  # decades
    ticks, form = spread_ticks(amounts, 36 * point), size if key == "each" else parameter_count
    places, names = [log10(tick) for tick in ticks], [form(tick) for tick in ticks]
    if nothing is not None:
        places, names = [nothing, *places], ["0", *names]
        axes.axvline(log10(amounts[0]) - 15 * point, color="#bbbbbb", linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_xticks(places, names)


def exhibit_communication(results: Results) -> Exhibit:
    """Return the figure of accuracy against bytes; of a single scenario also against parameters."""
    metric, rows = results.metric, table_communication(results)
    draft = Draft(results, "communication", f"{capitalized(str(metric))} against transmitted bytes")
    if not rows:
        return draft.missing("No configuration is confirmed on fresh seeds.")
    by_scenario, frame, panels = grouped(rows, "scenario"), limits(rows), []
    views = [("each", scenario, group) for scenario, group in by_scenario.items()]
    if single := len(by_scenario) == 1:
        views = [("each", "Bytes", rows), ("parameters", "Parameters", rows)]
    for key, name, group in views:
        figure = draw_communication(group, key, frame, metric)
        panels.append(panel(f"{draft.key}-{slug(name)}", name, figure, _seen(group, key)))
    caption = (
        f"Test {metric} (personal, own distribution; bars are {basis(rows, results.confidence)}) against "
        f"the bytes of the real payloads{' and the number of parameters in them' if single else ''}, on a "
        "logarithmic axis. Configurations that send nothing stand left of the dotted line. Marks of the "
        "same size are moved apart a little. Hollow marks are untuned. Up and left is better. The thin "
        "lines are what no method should fall below."
    )
    return draft.exhibit(panels, entries_of(rows), {**SHOWN, "mean": str(metric)}, QUERY, caption)


def _seen(rows: Sequence[Row], key: str) -> str:
    form = size if key == "each" else parameter_count
    shown = sorted(entries_of(rows), key=lambda row: row[key])
    return "; ".join(
        f"{row['label']} {form(row[key])}, {percent(row['mean'])}%" for row in shown if is_number(row["mean"])
    )


def exhibit_heterogeneity(results: Results) -> Exhibit | None:
    """Return the figure of accuracy against heterogeneity, a panel per metric; None with one scenario."""
    if len(results.meta.get("scenarios") or []) < 2:
        return None
    metric, rows = results.metric, [row for row in results.sql(HETEROGENEITY) if row["x"] is not None]
    draft = Draft(results, "heterogeneity", f"{capitalized(str(metric))} against heterogeneity")
    if not entries_of(rows):
        return draft.missing(NOT_YET)
    if len({row["x"] for row in rows}) < 2:
        needed = "It takes confirmed configurations in two scenarios of different measured heterogeneity."
        return draft.missing(needed)
    rows = [{**row, "panel": title_of(row["metric"], metric)} for row in sort(results, rows)]
    rows.sort(key=lambda row: list(PERSONAL_METRICS).index(row["metric"]))
    lines, frame = joined(rows), limits(rows)

    def draw(shown: list[Row]) -> Figure:
        return draw_heterogeneity(shown, frame, metric)

    panels = panels_of(lines, draft.key, draw, ends_said, "panel")
    caption = (
        "The heterogeneity is the measured Jensen-Shannon divergence of the clients' class distributions, "
        "not the requested one; it grows from left to right. Scenarios also differ in other ways (domains, "
        f"sizes). So a line joins settings; it is no dose response. Bars: {basis(rows, results.confidence)}."
    )
    own = [row for row in lines if row["metric"] == "acc_personal_own"]
    says = f"From the most even to the most uneven scenario: {ends_said(own)}."
    return draft.exhibit(panels, rows, HETEROGENEITY_COLUMNS, HETEROGENEITY, caption, says)


def joined(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with one label for a method whose scenarios chose among different numbers of trials."""
    chosen = [row for row in rows if tuning_of(row["label"]) not in ("", "untuned")]
    by_name = grouped([{**row, "name": base_label(row["label"])} for row in chosen], "name")
    changed = {
        row["label"]: {"label": f"{name} (best of its trials)", "look": group[0]["look"]}
        for name, group in by_name.items()
        for row in group
        if len({other["label"] for other in group}) > 1
    }
    return [{**row, **changed.get(row["label"], {})} for row in rows]


@drawing
def draw_heterogeneity(rows: Sequence[Row], frame: tuple[float, float], metric: Metric) -> Figure:
    """Draw accuracy against heterogeneity, a line per configuration, with the names of the scenarios."""
    values = sorted({row["x"] for row in rows})
    divergence = "measured label divergence\nbetween clients (Jensen-Shannon)"
    axis = Axis(divergence, f"test {metric}, %", frame, values=values)
    figure = draw_lines(lines_of(rows), axis, height=3.3)
    axes, places = figure.axes[0], sorted({(row["x"], row["scenario"]) for row in rows})
    heights = label_lines([x for x, _ in places], [scenario for _, scenario in places])
    reach = values[-1] - values[0] or 1.0
    style: dict[str, Any] = {"color": SOFT, "va": "bottom", "fontsize": SMALL, "annotation_clip": False}
    style |= {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    for height, (x, scenario) in zip(heights, places, strict=True):
        axes.axvline(x, color="#dddddd", linewidth=0.7, zorder=0)
        part = (x - values[0]) / reach
        side, shift = ("left", -4) if part < 0.2 else ("right", 4) if part > 0.8 else ("center", 0)
        axes.annotate(scenario, (x, 1), xytext=(shift, 3 + 9 * height), ha=side, **style)
    return figure
