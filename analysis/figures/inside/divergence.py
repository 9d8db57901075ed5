"""SAFE's D_CKA: the distance of each client's features from the server's, and the share of its own model."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from ...look.entries import drawn_places
from ...look.marks import panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import INK, SOFT, WIDTH, drawing, integer_axis, legend_below, stacked
from ...read.queries import parts
from ...read.results import Results, Row
from ..outcomes.curves import panels_by_scenario, query_of_measures, table_curves
from .mean_lines import MeanLine, draw_mean_line, mean_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLE, COLUMNS = "D_CKA over rounds", ("d_cka", "mu", "beta")
MOST_CLIENTS = 40  # drawn; of more clients, evenly spaced ones
SMALLEST_TOP = 0.05  # of the y axis, so that a D_CKA that is stuck at zero is visible
EXPLANATION = (
    "D_CKA is 1 minus the CKA of a client's and the server's features of the same samples: 0 means alike, "
    "1 means unrelated. Below: mu, the share of a client's own model in the model that it starts a round "
    "with (solid, mean over the cohort). It follows from D_CKA and the schedule beta(t) (dashed). D_CKA "
    "stuck at 0 discards what clients have learned; D_CKA stuck at 1 ignores the server."
)


def table_divergence(results: Results, runs: Sequence[str] | None = None) -> list[Row]:
    """Return D_CKA by run, client and round; rows with run, client, round, d_cka, in order."""
    table = results.table("clients", runs, ["run", "split", "round", "client", "d_cka"])
    if "d_cka" not in table.column_names:
        return []
    row_at = {
        (r.get("run") or "", r["client"], r["round"]): r
        for r in table.to_pylist()
        if r.get("split", "validation") == "validation" and r["d_cka"] is not None and isfinite(r["d_cka"])
    }
    return [row_at[key] for key in sorted(row_at)]


@drawing
def draw_divergence(
    client_rows: Sequence[Row], client_colour: str, lines: Sequence[MeanLine], width: float = WIDTH
) -> Figure:
    """Draw D_CKA above, clients as thin lines and means as bold lines; mu and beta below.

    Args:
        client_rows: Rows of `table_divergence` of one run.
        client_colour: Colour of the thin lines.
        lines: The bold lines.
        width: Width of the panel, inches.
    """
    figure, (above, below) = stacked(3.9, (1.9, 1), width)
    by_client: dict[int, list[Row]] = {}
    for row in client_rows:
        by_client.setdefault(row["client"], []).append(row)
    for client in _evenly_spaced(sorted(by_client), MOST_CLIENTS):
        line = by_client[client]
        style: dict[str, Any] = {"linewidth": 0.5, "alpha": 0.4, "marker": "." if len(line) == 1 else ""}
        above.plot([r["round"] for r in line], [r["d_cka"] for r in line], color=client_colour, **style)
    for bold_line in lines:
        _draw_mean(above if bold_line.column == "d_cka" else below, bold_line)
    drawn = [value for line in lines if line.column == "d_cka" for value in line.most]
    highest = max([SMALLEST_TOP, *(row["d_cka"] for row in client_rows), *drawn])
    above.set(ylim=(-0.02 * highest, min(1.02, 1.05 * highest)), ylabel="D_CKA")
    below.set(ylim=(-0.04, 1.04), yticks=(0, 0.5, 1), ylabel="mu and beta", xlabel="round")
    integer_axis(below.xaxis)
    for axes in (above, below):
        axes.grid(axis="y")
    if any(line.label for line in lines):
        legend_below(figure, above, below)
    return figure


def _evenly_spaced(items: Sequence[int], most: int) -> list[int]:
    """Return the items, or so many evenly spaced ones where there are more."""
    places = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[place] for place in dict.fromkeys(places.tolist())]


def _draw_mean(axes: Axes, line: MeanLine) -> None:
    """Draw a mean as a bold line with its range; beta is thin and dashed."""
    beta: dict[str, Any] = {"linestyle": (0, (3, 1.5)), "linewidth": 1.0}
    draw_mean_line(axes, line, **(beta if line.column == "beta" else {"linewidth": 1.9}))


def exhibit_divergence(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Return the figure of a run; None where the method measures no D_CKA.

    Args:
        results: The run.
        rounds: Rows of the rounds table, on validation.
    """
    measured_rounds = [row for row in rounds if row.get("d_cka") is not None]
    if not measured_rounds:
        return None
    client_rows, lines = table_divergence(results), []
    names, colours = ("mean of the cohort", "", "beta(t)"), ("#0072B2", "#0072B2", INK)
    for column, colour, name in zip(COLUMNS, colours, names, strict=True):
        points = {row["round"]: row[column] for row in rounds if row.get(column) is not None}
        means = list(points.values())
        lines.append(MeanLine(column, name, colour, "-", list(points), means, means, means))
    columns = [column for column in COLUMNS if any(row.get(column) is not None for row in rounds)]
    table_rows = [
        {
            "round": row["round"],
            **{name: row.get(name) for name in columns},
            **_ends(client_rows, row["round"]),
        }
        for row in measured_rounds
    ]
    clients = len({row["client"] for row in client_rows})
    sampled = f" (of {MOST_CLIENTS} evenly spaced clients)" if clients > MOST_CLIENTS else ""
    caption = (
        f"Thin lines: single clients{sampled}, in the rounds in which they took part. Bold: the mean of "
        f"the cohort. {EXPLANATION}"
    )
    panel = Panel("divergence", "", draw_divergence(client_rows, SOFT, lines))
    table = numbers(table_rows, ("round", *columns, "least", "most"))
    return Exhibit("divergence", TITLE, caption, _query_of_run(columns), [panel], table)


def _query_of_run(columns: Sequence[str]) -> str:
    """Return the SQL that gives the numbers of a run's figure."""
    names = ", ".join(columns)
    return f"""SELECT round, {names}, least, most
FROM (
  SELECT DISTINCT round, {names} FROM {parts("rounds")} WHERE split = 'validation' AND d_cka IS NOT NULL
) LEFT JOIN (
  SELECT round, min(d_cka) AS least, max(d_cka) AS most FROM {parts("clients")}
  WHERE split = 'validation' AND isfinite(d_cka) GROUP BY round
) USING (round) ORDER BY round"""


def _ends(client_rows: Sequence[Row], number: int) -> Row:
    """Return the smallest and the largest D_CKA of a round."""
    values = [r["d_cka"] for r in client_rows if r["round"] == number]
    return {"least": min(values, default=None), "most": max(values, default=None)}


def exhibit_divergence_of_sweep(results: Results, rounds: Sequence[Row]) -> Exhibit | None:
    """Return the figure of a sweep, a panel per scenario; None where no drawn configuration measures D_CKA.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the drawn runs, on validation.
    """
    curves = {column: rows for column in COLUMNS if (rows := table_curves(results, rounds, column))}
    if "d_cka" not in curves:
        return None
    places = panels_by_scenario(results, curves["d_cka"])
    first_runs = {
        scenario: _first_run(results, scenario, labels[0]) for scenario, labels, _ in reversed(places)
    }
    client_rows, panels = table_divergence(results, list(first_runs.values())), []
    for scenario, labels, suffix in places:
        lines = [
            mean_line(column, label if column == "d_cka" else "", line)
            for column, rows in curves.items()
            for label in labels
            if (line := [row for row in rows if (row["scenario"], row["label"]) == (scenario, label)])
        ]
        run_rows = [row for row in client_rows if row["run"] == first_runs[scenario]]
        figure = draw_divergence(run_rows, lines[0].colour, lines, panel_width(len(places)))
        panels.append(Panel(f"divergence-{slug(scenario + suffix)}", scenario + suffix, figure))
    caption = (
        "Bold: the mean of the cohort, mean over seeds, and the range from the lowest to the highest seed "
        f"(band). Thin: the clients of the first configuration with its first seed. {EXPLANATION}"
    )
    columns = ("scenario", "label", "measure", "round", "mean", "low", "high", "least", "most", "seeds")
    table = numbers([{**row, "measure": column} for column, rows in curves.items() for row in rows], columns)
    query = query_of_measures(results, list(curves))
    return Exhibit("divergence", TITLE, caption, query, panels, table)


def _first_run(results: Results, scenario: str, label: str) -> str:
    """Return the run of a configuration's first seed."""
    runs = {
        seed: run
        for run, places in drawn_places(results).items()
        for place, name, seed in places
        if (place, name) == (scenario, label)
    }
    return runs[min(runs)]
