"""Accuracy against what is sent: bytes and shared parameters."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import log10
from typing import TYPE_CHECKING

from ...look.entries import LATEST
from ...look.marks import draw_line, panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.placing import Mark, name_marks, parameter_count, spread_ticks
from ...look.style import WIDTH, blank, drawing, percent_axis
from ...look.words import capitalized, size
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def table_communication(methods: Sequence[Row], rounds: Iterable[Row]) -> list[Row]:
    """Return what each confirmed configuration sends and what it reaches.

    Args:
        methods: Rows of `methods.table_methods`.
        rounds: Rows of the rounds table of their runs.

    Returns:
        Rows with scenario, label, look, parameters (shared, sent each way), up, down and each (bytes per
        client and round; each is their sum), total (bytes of a whole run: up, down and once at the start),
        mean, low and high (test accuracy).
    """
    bytes_per_client: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for row in rounds:
        if row["round"] > 0 and row.get("clients"):
            pair = ((row.get(name) or 0) / row["clients"] for name in ("bytes_up", "bytes_down"))
            bytes_per_client[row.get("run") or ""].append(tuple(pair))
    rows = []
    for row in (row for row in methods if row["metric"] == "acc_personal_own"):
        trial = row["trial"]
        if trial.get("bytes_up") is None:
            continue
        pairs = [pair for run in trial.get("runs") or [] for pair in bytes_per_client.get(run, [])]
        up, down = (sum(pair[way] for pair in pairs) / len(pairs) if pairs else 0.0 for way in (0, 1))
        copied = {key: row[key] for key in ("scenario", "label", "look", "mean", "low", "high")}
        total = sum(trial.get(name) or 0 for name in ("bytes_up", "bytes_down", "bytes_setup"))
        parameters = trial.get("shared_parameters") or 0
        rows.append(
            {**copied, "parameters": parameters, "up": up, "down": down, "each": up + down, "total": total}
        )
    return rows


@drawing
def draw_communication(
    rows: Sequence[Row], key: str, limits: tuple[float, float], metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw accuracy against what is sent in one scenario; each mark has its name.

    The x axis is logarithmic. Configurations that send nothing stand apart at 0.

    Args:
        rows: Rows of `table_communication`.
        key: `each` or `parameters`.
        limits: Ends of the y axis, as fractions.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.3, width)
    amounts = sorted({float(row[key]) for row in rows if row[key] > 0}) or [1.0]
    decades = max(1.0, log10(amounts[-1] / amounts[0]))
    x_of_nothing = log10(amounts[0]) - 0.3 * decades
    marks = [
        Mark(
            log10(row[key]) if row[key] > 0 else x_of_nothing,
            row["mean"],
            row["label"].removesuffix(" (tuned)"),
            *((row["low"], row["high"]) if row["low"] is not None else (row["mean"], row["mean"])),
        )
        for row in rows
    ]
    shifts = name_marks(axes, marks, limits, (72 * width - 48, 175.0))
    for row, mark, shift in zip(rows, marks, shifts, strict=True):
        draw_line(axes, [mark.x + shift], [row], row["look"], "", linestyle="", markersize=4.8)
    _amount_axis(axes, amounts, key, x_of_nothing if any(row[key] <= 0 for row in rows) else None, width)
    axes.grid(axis="y")
    names = {"each": "bytes up and down, per client and round", "parameters": "shared parameters"}
    axes.set(xlabel=names[key], ylabel=f"test {metric}, %")
    percent_axis(axes.yaxis)
    return figure


def _amount_axis(
    axes: Axes, amounts: Sequence[float], key: str, x_of_nothing: float | None, width: float
) -> None:
    """Set the ticks of the logarithmic x axis; a dotted line separates what sends nothing."""
    left, right = axes.get_xlim()
    point = (right - left) / (72 * width - 48)  # decades
    ticks, form = spread_ticks(amounts, 36 * point), size if key == "each" else parameter_count
    places, names = [log10(tick) for tick in ticks], [form(tick) for tick in ticks]
    if x_of_nothing is not None:
        places, names = [x_of_nothing, *places], ["0", *names]
        x = log10(amounts[0]) - 15 * point
        axes.axvline(x, color="#bbbbbb", linewidth=0.8, linestyle=(0, (1, 2)))
    axes.set_xticks(places, names)


def exhibit_communication(
    results: Results, methods: Sequence[Row], rounds: Sequence[Row], limits: tuple[float, float]
) -> Exhibit:
    """Return the figure of accuracy against bytes; of a single scenario also against parameters."""
    metric, rows = results.metric, table_communication(methods, rounds)
    title = f"{capitalized(str(metric))} against transmitted bytes"
    if not rows:
        missing = "No configuration has been confirmed on fresh seeds yet."
        return Exhibit("communication", title, missing=missing)
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    keys = ("each", "parameters") if len(scenarios) == 1 else ("each",)
    panels = []
    for scenario, key in ((scenario, key) for scenario in scenarios for key in keys):
        name = {"each": "Bytes", "parameters": "Parameters"}[key] if len(scenarios) == 1 else scenario
        scenario_rows = [row for row in rows if row["scenario"] == scenario]
        figure = draw_communication(scenario_rows, key, limits, metric, panel_width(len(scenarios)))
        panels.append(Panel(f"communication-{slug(name)}", name, figure))
    caption = (
        f"Test {metric} (personal, own distribution; bars are {results.confidence:.0%} intervals) against "
        "the bytes of the real "
        f"payloads{' and the number of parameters in them' if len(keys) > 1 else ''}, on a logarithmic "
        "axis. Configurations that send nothing stand left of the dotted line. Marks of the same size are "
        "moved apart a little. Hollow marks are untuned. Up and left is better."
    )
    names = {
        "scenario": "scenario",
        "label": "configuration",
        "parameters": "shared parameters",
        "up": "bytes up, per client and round",
        "down": "bytes down",
        "total": "bytes of a whole run",
        "mean": str(metric),
        "low": "low",
        "high": "high",
    }
    table = dataclasses.replace(numbers(rows, list(names)), columns=list(names.values()))
    return Exhibit("communication", title, caption, query_of_communication(results), panels, table)


def query_of_communication(results: Results) -> str:
    """Return the SQL that gives the numbers of `table_communication`."""
    recorded = any(trial.get("bytes_setup") is not None for trial in results.trials)
    setup = " + coalesce(bytes_setup, 0)" if recorded else ""
    confirmed = LATEST.format(where="kind = 'confirm'")
    return f"""{confirmed}, runs AS (SELECT scenario, label, unnest(runs) AS run FROM latest), sent AS (
  SELECT DISTINCT run, round, bytes_up / clients AS up, bytes_down / clients AS down
  FROM {parts("rounds")} WHERE split = 'validation' AND round > 0 AND clients > 0
)
SELECT scenario, label, any_value(shared_parameters) AS parameters, avg(up) AS up, avg(down) AS down,
  avg(up + down) AS each, any_value(bytes_up + bytes_down{setup}) AS total,
  any_value(list_avg(test_acc_personal_own)) AS mean,
  any_value(list_stddev_samp(test_acc_personal_own)) AS sd,
  any_value(len(seeds)) AS seeds
FROM latest LEFT JOIN runs USING (scenario, label) LEFT JOIN sent USING (run) GROUP BY ALL ORDER BY ALL"""
