"""Accuracy against what is sent: bytes and shared parameters."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10

from ...look.marks import draw_line
from ...look.page import Exhibit, slug
from ...look.placing import Mark, name_marks, parameter_count, spread_ticks
from ...look.style import WIDTH, Axes, Figure, blank, drawing, legend_below, percent_axis
from ...look.words import capitalized, percent, size
from ...read.metric import Metric
from ...read.results import Results, Row
from ..estimates import COLUMNS, ONE_FLOOR, basis, entries_of, floors_of, is_number, limits, panel, sort
from ..exhibits import Draft
from ..lines import draw_floors
from ..rows import grouped

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


def table_communication(results: Results) -> list[Row]:
    """Return what each confirmed configuration sends and what it reaches; the floors too.

    Returns:
        Rows of `estimates` with parameters (shared, sent each way), up, down and each (bytes per client and
        round; each is their sum) and total (bytes of a whole run: up, down and once at the start).
    """
    rows = results.sql(QUERY)
    return sort(results, rows) if entries_of(rows) else []


@drawing
def draw_communication(rows: Sequence[Row], key: str, limits: tuple[float, float], metric: Metric) -> Figure:
    """Draw accuracy against what is sent (`each` or `parameters`) in one scenario; each mark has its name.

    The x axis is logarithmic. Configurations that send nothing stand apart at 0.
    """
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
        draw_line(axes, [mark.x + shift], [row], row["look"], "", linestyle="", markersize=4.8)
    draw_floors(axes, floors_of(rows))
    _amount_axis(axes, amounts, key, nothing if any(row[key] <= 0 for row in shown) else None)
    axes.grid(axis="y")
    axes.set(xlabel=AMOUNTS[key], ylabel=f"test {metric}, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


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
    by_scenario, frame = grouped(rows, "scenario"), limits(rows)
    single = len(by_scenario) == 1
    views = [("each", scenario, group) for scenario, group in by_scenario.items()]
    if single:
        views = [("each", "Bytes", rows), ("parameters", "Parameters", rows)]
    panels = []
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
    """Return what is seen: what each configuration sends and reaches."""
    form = size if key == "each" else parameter_count
    shown = sorted(entries_of(rows), key=lambda row: row[key])
    return "; ".join(
        f"{row['label']} {form(row[key])}, {percent(row['mean'])}%" for row in shown if is_number(row["mean"])
    )
