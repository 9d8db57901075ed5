"""The four accuracies of one run, client by client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...look.marks import draw_spread, name_rows, scatter_offsets, write_beside
from ...look.page import Exhibit, Panel, numbers
from ...look.style import SOFT, blank, drawing, legend_below, percent_axis
from ...look.words import percent
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row
from .accuracies import FOUR_METRICS, SCOPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table_clients(results: Results) -> list[Row]:
    """Return the rows of the clients table at the last evaluated round, on validation, sorted by client.

    Clients that only trained in that round have no accuracy, so they are left out.
    """
    evaluated_rows = [
        row
        for row in results.table("clients").to_pylist()
        if row.get("split", "validation") == "validation" and row.get("acc_personal_own") is not None
    ]
    last_round = max((row["round"] for row in evaluated_rows), default=0)
    by_client = {row["client"]: row for row in evaluated_rows if row["round"] == last_round}
    return [by_client[client] for client in sorted(by_client)]


@drawing
def draw_four(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the four accuracies: a dot per client, the middle 80% as a bar, the mean as a diamond.

    Args:
        rows: Rows of `table_clients`.
        metric: The metric of the run.
    """
    figure, axes = blank(2.3)
    for height, column in enumerate(FOUR_METRICS):
        values = np.array([row[column] for row in rows if row.get(column) is not None])
        if not len(values):
            continue
        colour = SCOPES["personal" if "personal" in column else "shared"].colour
        heights = height + 0.05 + scatter_offsets(len(values), 0.16)
        axes.plot(values, heights, "o", color=colour, markersize=2.4, alpha=0.45, markeredgewidth=0)
        draw_spread(axes, height - 0.28, np.quantile(values, [0.1, 0.9]).tolist(), values.mean(), colour)
        write_beside(axes, height, percent(values.mean()))
    name_rows(axes, list(FOUR_METRICS.values()))
    axes.grid(axis="x")
    axes.set(ylim=(3.6, -0.6), xlabel=f"validation {metric}, %")
    percent_axis(axes.xaxis)
    return figure


@drawing
def draw_distribution(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the share of clients at or below each accuracy, with and without the private parameters.

    Args:
        rows: Rows of `table_clients`.
        metric: The metric of the run.
    """
    figure, axes = blank(2.6)
    for scope in ("personal", "shared"):
        column, look = f"acc_{scope}_own", SCOPES[scope]
        values = np.sort([row[column] for row in rows if row.get(column) is not None])
        if len(values):
            shares = np.arange(1, len(values) + 1) / len(values)
            axes.step(values, shares, where="post", color=look.colour, label=look.name)
    axes.axhline(0.1, color=SOFT, linewidth=0.6, linestyle=(0, (1, 2)))
    axes.grid(axis="x")
    axes.set(
        ylim=(0, 1.02),
        xlabel=f"validation {metric} on the client's own distribution, %",
        ylabel="clients at or below, %",
    )
    percent_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibits_clients(rows: Sequence[Row], metric: Metric) -> list[Exhibit]:
    """Return two figures: the four accuracies with their spread, and the distribution over clients.

    Args:
        rows: Rows of `table_clients`.
        metric: The metric of the run.
    """
    titles = {
        "four": f"Four {metric.plural} and the spread between clients",
        "distribution": f"Distribution of the {metric} over clients",
    }
    if not rows:
        missing = "No evaluation of single clients is on disk yet."
        return [Exhibit(key, title, missing=missing) for key, title in titles.items()]
    columns = ", ".join(column for column in FOUR_METRICS if column in rows[0])
    query = f"""SELECT DISTINCT client, examples, {columns} FROM {parts("clients")}
WHERE split = 'validation' AND round = {rows[0]["round"]} AND acc_personal_own IS NOT NULL ORDER BY client"""
    captions = {
        "four": f"{len(rows)} clients after round {rows[0]['round']}. Dots: single clients; bar: the "
        "middle 80% of them; diamond: their mean. The spread is between clients. It is no "
        "confidence interval of the run, because the run has one seed.",
        "distribution": f"Share of clients whose {metric} is at or below a value. A curve further right is "
        "better; a long tail on the left means that some clients are much worse. Dotted: "
        "the tenth percentile.",
    }
    drawings = {"four": draw_four(rows, metric), "distribution": draw_distribution(rows, metric)}
    table = numbers(rows, ("client", "examples", *FOUR_METRICS))
    return [
        Exhibit(key, title, captions[key], query, [Panel(key, "", drawings[key])], table)
        for key, title in titles.items()
    ]
