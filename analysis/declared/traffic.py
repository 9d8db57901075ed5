"""Traffic of a method: weights, other tensors up and down, and what is sent once at the start."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from ..figures.rows import group_cell
from ..look.entries import LATEST, base_label, entries, scenarios_of, subject
from ..look.marks import name_rows, panel_width
from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import INK, WIDTH, blank, drawing, legend_below
from ..look.words import listing, percent, size
from ..read.queries import parts
from ..read.results import Results, Row, finished_trials

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TRAFFIC_PARTS = {  # of a bar, in order: name, colour, hatching
    "weights_up": ("weights up", "#0072B2", ""),
    "weights_down": ("weights down", "#56B4E9", ""),
    "other_up": ("other tensors up", "#D55E00", "////"),
    "other_down": ("other tensors down", "#E69F00", "////"),
    "setup": ("once, at the start", "#999999", "...."),
}
TOTAL_COLUMNS = ("total", "least", "most", "up", "down", "times", "seeds")
SUMMED_COLUMNS = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down")


def table_traffic(results: Results, rounds: Iterable[Row]) -> list[Row]:
    """Return what the runs of each confirmed configuration sent, by its kind.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs, on validation.

    Returns:
        Rows with scenario, label, the parts of `TRAFFIC_PARTS` and total (bytes of a whole run over all
        clients, means over seeds), least and most (total of a seed), up and down (bytes per client and
        round), times (total as a multiple of the weights alone; None where there are none) and seeds.
        Configurations whose runs did not record their weights apart are left out.
    """
    sums: dict[str, dict[str, float]] = defaultdict(lambda: dict.fromkeys((*SUMMED_COLUMNS, "turns"), 0.0))
    for row in rounds:
        if row.get("bytes_weights_up") is not None:
            run_sums = sums[row["run"]]
            for name in SUMMED_COLUMNS:
                run_sums[name] += row.get(name) or 0
            run_sums["turns"] += row.get("clients") or 0 if row["round"] > 0 else 0
    rows = []
    for trial in {
        (t["scenario"], t["label"]): t for t in finished_trials(results.trials, "confirm")
    }.values():
        runs = [
            _run_parts(sums[run], setup_of(results, trial, i))
            for i, run in enumerate(trial.get("runs") or [])
            if run in sums
        ]
        if runs:
            means = {name: mean(run[name] for run in runs) for name in runs[0]}
            weights = means["weights_up"] + means["weights_down"]
            totals = [run["total"] for run in runs]
            ends = {"least": min(totals), "most": max(totals), "seeds": len(runs)}
            times = means["total"] / weights if weights else None
            place = {"scenario": trial["scenario"], "label": trial["label"]}
            rows.append({**place, **means, **ends, "times": times})
    labels, scenarios = list(entries(results)), scenarios_of(results, [row["scenario"] for row in rows])
    return sorted(rows, key=lambda row: (scenarios.index(row["scenario"]), labels.index(row["label"])))


def _run_parts(sums: dict[str, float], setup: float) -> dict[str, float]:
    """Return the parts of one run, their total, and the bytes up and down per client and round."""
    traffic = {
        "weights_up": sums["bytes_weights_up"],
        "weights_down": sums["bytes_weights_down"],
        "other_up": sums["bytes_up"] - sums["bytes_weights_up"],
        "other_down": sums["bytes_down"] - sums["bytes_weights_down"],
        "setup": setup,
    }
    turns = sums["turns"] or 1.0
    per_turn = {"up": sums["bytes_up"] / turns, "down": sums["bytes_down"] / turns}
    return {**traffic, "total": sum(traffic.values()), **per_turn}


def setup_of(results: Results, trial: Row, place: int) -> float:
    """Return the bytes that a trial's run sent once: from the trial's row, else from the run's `run.json`."""
    value = trial.get("bytes_setup")
    if value is None:
        value = (results.run_meta(trial["runs"][place]).get("result") or {}).get("bytes_setup")
    return float(value or 0)


@drawing
def draw_traffic(rows: Sequence[Row], most: float, width: float = WIDTH) -> Figure:
    """Draw a stacked bar per configuration of one scenario, with its sum as a multiple of the weights alone.

    Args:
        rows: Rows of `table_traffic`.
        most: The largest sum of all panels, bytes.
        width: Width of the panel, inches.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure, axes = blank(0.95 + 0.3 * len(rows), width)
    left = [0.0] * len(rows)
    for key, (name, colour, hatch) in TRAFFIC_PARTS.items():
        values = [row[key] for row in rows]
        if any(values):
            axes.barh(
                range(len(rows)),
                values,
                0.62,
                left,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                linewidth=0.4,
                label=name,
            )
        left = [a + b for a, b in zip(left, values, strict=True)]
    for y, row in enumerate(rows):
        times = "" if row["times"] is None else f" (\u00d7 {row['times']:.3g})"
        axes.annotate(
            size(row["total"]) + times,
            (1, y),
            xycoords=("axes fraction", "data"),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=INK,
            annotation_clip=False,
        )
    name_rows(axes, [base_label(row["label"]) for row in rows])
    axes.grid(axis="x")
    axes.xaxis.set_major_locator(MaxNLocator(2 if width < WIDTH else 4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: size(v)))
    axes.set(xlim=(0, 1.02 * most), ylim=(len(rows) - 0.5, -0.5), xlabel="a whole run, all clients")
    legend_below(figure, axes)
    return figure


def exhibit_traffic(results: Results, rounds: Sequence[Row], figure: Row, key: str) -> list[Exhibit | Table]:
    """Return stacked bars, a panel per scenario, and the table.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: reference and title.
        key: Key of the exhibit.
    """
    title, rows = figure.get("title") or "Traffic", table_traffic(results, rounds)
    if not rows:
        missing = "It takes confirmed runs that record the bytes of their weights apart."
        return [Exhibit(key, title, missing=missing)]
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    most, panels = max(row["total"] for row in rows) or 1.0, []
    for scenario in scenarios:
        scenario_rows = [row for row in rows if row["scenario"] == scenario]
        plot = draw_traffic(scenario_rows, most, panel_width(len(scenarios)))
        panels.append(Panel(f"{key}-{slug(scenario)}", scenario, plot))
    spread = max(row["most"] - row["least"] for row in rows)
    seeds = f"seeds differ by up to {size(spread)}" if spread else "all seeds send the same"
    caption = (
        f"Bytes of the real payloads of a whole run over all clients, mean over seeds; {seeds}. Weights "
        "are what the server averages of the network or the prompt. Other tensors are everything else "
        "that a round sends. Once, at the start, is what a client gets when it first takes part. In "
        "brackets: the total as a multiple of the weights alone."
    )
    query, columns = query_of_traffic(results), ("scenario", "label", *TRAFFIC_PARTS, *TOTAL_COLUMNS)
    return [
        Exhibit(key, title, caption, query, panels, numbers(rows, columns)),
        table_of_traffic(rows, query, key, figure.get("reference")),
    ]


def table_of_traffic(rows: Sequence[Row], query: str, key: str, reference: str | None = None) -> Table:
    """Return bytes by kind, a line per scenario and configuration.

    Args:
        rows: Rows of `table_traffic`.
        query: SQL of the table.
        key: Key of the exhibit.
        reference: Label of an entry; the total is also given as a multiple of the reference's.
    """
    totals = {
        row["scenario"]: row["total"] for row in rows if reference in (row["label"], base_label(row["label"]))
    }
    body: list[list[Any]] = []
    for row in rows:
        bytes_cells = [Cell(size(row[name]), "tight") for name in ("up", "down", *TRAFFIC_PARTS, "total")]
        names = [group_cell(body, row["scenario"]), Cell(row["label"], "tight")]
        times = "" if row["times"] is None else row["times"]
        body.append([*names, *bytes_cells, times, *([_times_reference(row, totals)] if totals else [])])
    columns = [
        "scenario",
        "configuration",
        "up, per client and round",
        "down, per client and round",
        *(name for name, _, _ in TRAFFIC_PARTS.values()),
        "whole run",
        "times the weights alone",
        *([f"times {reference}"] if totals else []),
    ]
    caption = (
        "The first two columns are bytes of one client and one round, all others of a whole run over all "
        "clients; means over seeds."
    )
    return Table(columns, body, caption, query, key=f"{key}-table", title="Traffic by kind")


def _times_reference(row: Row, totals: dict[str, float]) -> str:
    """Return the total as a multiple of the reference's, where the reference sends anything."""
    return f"{row['total'] / totals[row['scenario']]:.4g}" if totals.get(row["scenario"]) else ""


def query_of_traffic(results: Results) -> str:
    """Return the SQL that gives the numbers of `table_traffic`."""
    in_trials = any(
        trial.get("bytes_setup") is not None for trial in finished_trials(results.trials, "confirm")
    )
    setup, setup_table = "bytes_setup::DOUBLE", ""
    join, once = "", "coalesce(setup, 0)"
    if not in_trials:
        setup, once, join = "NULL::DOUBLE", "coalesce(at_start, 0)", " LEFT JOIN setups USING (run)"
        setup_table = """, setups AS (
  SELECT regexp_extract(filename, 'runs/([^/]+)/', 1) AS run,
    (result ->> '$.bytes_setup')::DOUBLE AS at_start
  FROM read_json('runs/*/run.json', columns = {result: 'JSON'}, filename = true)
)"""
    return f"""{LATEST.format(where="kind = 'confirm'")}, run_of AS (
  SELECT scenario, label, unnest(runs) AS run, {setup} AS setup FROM latest
){setup_table}, measured AS (
  SELECT run, sum(bytes_weights_up) AS weights_up, sum(bytes_weights_down) AS weights_down,
    sum(bytes_up - bytes_weights_up) AS other_up, sum(bytes_down - bytes_weights_down) AS other_down,
    sum(bytes_up) / greatest(1, sum(clients) FILTER (round > 0)) AS up,
    sum(bytes_down) / greatest(1, sum(clients) FILTER (round > 0)) AS down
  FROM (
    SELECT DISTINCT run, round, clients, bytes_up, bytes_down, bytes_weights_up, bytes_weights_down
    FROM {parts("rounds")} WHERE split = 'validation' AND bytes_weights_up IS NOT NULL
  ) GROUP BY run
), sent AS (
  SELECT *, {once} AS once, weights_up + weights_down + other_up + other_down + {once} AS total
  FROM run_of JOIN measured USING (run){join}
)
SELECT scenario, label, avg(weights_up) AS weights_up, avg(weights_down) AS weights_down,
  avg(other_up) AS other_up, avg(other_down) AS other_down, avg(once) AS setup, avg(total) AS total,
  min(total) AS least, max(total) AS most, avg(up) AS up, avg(down) AS down,
  avg(total) / nullif(avg(weights_up + weights_down), 0) AS times, count(*) AS seeds
FROM sent GROUP BY ALL ORDER BY ALL"""


def sentences_traffic(results: Results, rounds: Sequence[Row], figure: Row) -> list[str]:
    """Return a sentence per scenario about the traffic of the recipe's first entry.

    Its total is compared with its weights alone and with the reference, or with all others.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: reference.
    """
    reference, main, texts = figure.get("reference"), subject(results), []
    rows = table_traffic(results, rounds)
    for row in (row for row in rows if row["label"] == main):
        others = [
            other
            for other in rows
            if other["scenario"] == row["scenario"] and other["label"] != main and other["total"]
            if reference in (None, other["label"], base_label(other["label"]))
        ]
        text = (
            f"Under {row['scenario']}, {main} sends {size(row['total'])} in a whole run{_times_weights(row)}"
        )
        ratios = [f"{_as_much(row['total'] / other['total'])} as {other['label']}" for other in others]
        texts.append(f"{text}{'; ' + listing(ratios) if ratios else ''}.")
    return texts


def _times_weights(row: Row) -> str:
    """Return the total as a multiple of the weights alone, with the shares of the rest."""
    if row["times"] is None:
        return ""
    rest = {"for other tensors": row["other_up"] + row["other_down"], "once at the start": row["setup"]}
    shares = [f"{percent(value / row['total'])}% {name}" for name, value in rest.items() if value]
    return f", {row['times']:.3g} times its weights alone" + (f" ({listing(shares)})" if shares else "")


def _as_much(ratio: float) -> str:
    text = f"{ratio:.3g}"
    return "as much" if text == "1" else f"{text} times as much"
