"""Learning curve and loss components of one run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...look.page import Exhibit, Panel, numbers
from ...look.style import INK, PALETTE, blank, drawing, integer_axis, legend_below, percent_axis
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Row
from .accuracies import FOUR_METRICS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE_STYLES = {
    "acc_personal_own": ("#0072B2", "-"),
    "acc_personal_global": ("#56B4E9", "--"),
    "acc_shared_own": ("#D55E00", "-"),
    "acc_shared_global": ("#E69F00", "--"),
}
CLIENT_METRICS = ("p10_client_accuracy", "worst_client_accuracy")


@drawing
def draw_run_curve(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw the four accuracies of one run, the worst client and the tenth percentile against the round.

    Args:
        rows: Rows of the rounds table, on validation.
        metric: The metric of the run.
    """
    figure, axes = blank(3.1)
    for column, name in FOUR_METRICS.items():
        colour, line = LINE_STYLES[column]
        style = {"color": colour, "linestyle": line, "marker": "o", "markersize": 2.5}
        _draw_column(axes, rows, column, label=name, **style)
    for column, name, line in zip(
        CLIENT_METRICS, ("tenth percentile of clients", "worst client"), ("-", ":"), strict=True
    ):
        _draw_column(axes, rows, column, color="#777777", linewidth=0.9, linestyle=line, label=name)
    axes.grid(axis="y")
    axes.set(xlabel="round", ylabel=f"validation {metric}, %")
    integer_axis(axes.xaxis)
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def _draw_column(axes: Axes, rows: Sequence[Row], column: str, **style: Any) -> None:
    """Draw a column of the rounds table against the round, where it has values."""
    measured_rows = [row for row in rows if row.get(column) is not None]
    if measured_rows:
        axes.plot([row["round"] for row in measured_rows], [row[column] for row in measured_rows], **style)


def exhibit_run_curve(rows: Sequence[Row], metric: Metric) -> Exhibit:
    """Return the figure of the learning curve of one run."""
    title = "Learning curve"
    if not any(row.get(column) is not None for row in rows for column in FOUR_METRICS):
        return Exhibit("curve", title, missing="No round has been evaluated yet.")
    caption = (
        f"Validation {metric} after each evaluated round: shared and private parameters together "
        "(personal) and the shared parameters alone, on each client's own distribution and on the global "
        "split. Grey: the weakest clients (personal, own distribution)."
    )
    columns = [
        column for column in ("round", *FOUR_METRICS, *CLIENT_METRICS) if any(column in row for row in rows)
    ]
    panel = Panel("curve", "", draw_run_curve(rows, metric))
    return Exhibit("curve", title, caption, _query(columns), [panel], numbers(rows, columns))


def _query(columns: Sequence[str]) -> str:
    """Return the SQL of some columns of a run's rounds."""
    names = ", ".join(columns)
    return f"SELECT DISTINCT {names} FROM {parts('rounds')} WHERE split = 'validation' ORDER BY round"


def losses(rows: Sequence[Row]) -> list[str]:
    """Return the columns of the loss and of its components that were recorded, the loss first."""
    recorded = {column for row in rows for column, value in row.items() if value is not None}
    columns = [column for column in recorded if column == "loss" or column.startswith("loss_")]
    return sorted(columns, key=lambda column: (column != "loss", column))


@drawing
def draw_losses(rows: Sequence[Row]) -> Figure:
    """Draw the training loss of one run and its components against the round."""
    figure, axes = blank(3.1)
    for column, colour in zip(losses(rows), (INK, *PALETTE), strict=False):
        name = "total" if column == "loss" else column.removeprefix("loss_")
        width = 2 if column == "loss" else 1.3
        _draw_column(axes, rows, column, color=colour, linewidth=width, label=name)
    axes.grid(axis="y")
    axes.set(xlabel="round", ylabel="mean training loss")
    integer_axis(axes.xaxis)
    legend_below(figure, axes)
    return figure


def exhibit_losses(rows: Sequence[Row]) -> Exhibit:
    """Return the figure of the loss components of one run."""
    title, columns = "Loss components", ("round", *losses(rows))
    if len(columns) == 1:
        return Exhibit("losses", title, missing="No round of training is on disk yet.")
    caption = (
        "Mean training loss over all clients of a round and, where the method has them, its components "
        "(before weighting)."
    )
    panel = Panel("losses", "", draw_losses(rows))
    return Exhibit("losses", title, caption, _query(columns), [panel], numbers(rows, columns))
