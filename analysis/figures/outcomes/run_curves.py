"""Learning curve and loss components of one run."""

from __future__ import annotations

from collections.abc import Sequence

from ...look.page import Exhibit, numbers
from ...look.style import INK, PALETTE, Look
from ...look.words import percent
from ...read.results import Results, Row
from ..estimates import is_number, panel
from ..lines import Axis, Line, draw_lines, ends_said
from .accuracies import FOUR_METRICS
from .clients import floors_of_run

LOOKS = {
    "acc_personal_own": Look("#0072B2", "o"),
    "acc_personal_global": Look("#2E93CC", "o", "--", hollow=True),
    "acc_shared_own": Look("#D55E00", "s"),
    "acc_shared_global": Look("#B87A00", "s", "--", hollow=True),
    "p10_client_accuracy": Look("#777777", "v"),
    "worst_client_accuracy": Look("#777777", "x", ":"),
}
NAMES = {
    **FOUR_METRICS,
    "p10_client_accuracy": "tenth percentile of clients",
    "worst_client_accuracy": "worst client",
}
CURVE = f"""SELECT round, {", ".join(NAMES)} FROM rounds WHERE split = 'validation' ORDER BY round"""
LOSSES = """SELECT round, COLUMNS('^loss(_.*)?$') FROM rounds WHERE split = 'validation' ORDER BY round"""


def lines_of_columns(
    rows: Sequence[Row], names: dict[str, str], looks: dict[str, Look], **style: float
) -> list[Line]:
    """Return a line for each column that has a value.

    Args:
        rows: With `round` and the columns.
        names: Column -> name in the legend.
        looks: Column -> look.
        **style: Fields of all lines.
    """
    lines = []
    for column, name in names.items():
        measured = [
            {"x": r["round"], "mean": r[column], "label": name} for r in rows if is_number(r.get(column))
        ]
        if measured:
            lines.append(Line(name, looks[column], measured, **style))  # type: ignore[arg-type]
    return lines


def exhibit_run_curve(results: Results) -> Exhibit:
    """Return the figure of the learning curve of one run."""
    title, rows, metric = "Learning curve", results.sql(CURVE), results.metric
    lines = lines_of_columns(rows, NAMES, LOOKS)
    if not lines:
        return Exhibit("curve", title, missing="No round is evaluated.")
    floors = floors_of_run(results)
    caption = (
        f"Validation {metric} after each evaluated round: shared and private parameters together (personal) "
        "and the shared parameters alone, on each client's own distribution and on the global split. Grey: "
        "the weakest clients (personal, own distribution). Thin lines: what no method should fall below, on "
        "the clients' own distributions. One seed: no intervals."
    )
    figure = draw_lines(lines, Axis("round", f"validation {metric}, %"), floors=floors, height=4.4)
    says = f"First to last round: {ends_said([row for line in lines for row in line.rows])}."
    below = [
        f"{name} ({percent(value)}%)" for name, value in floors.items() if lines[0].rows[-1]["mean"] < value
    ]
    says += f" It ends below {' and '.join(below)}." if below else ""
    table = numbers(rows, ("round", *NAMES))
    return Exhibit(
        "curve", title, caption, results.shown(CURVE), [panel("curve", "", figure, says)], table, says=says
    )


def exhibit_losses(results: Results) -> Exhibit:
    """Return the figure of the loss components of one run."""
    title, rows = "Loss components", results.sql(LOSSES)
    columns = [column for column in rows[0] if any(is_number(row[column]) for row in rows)] if rows else []
    columns = sorted((c for c in columns if c != "round"), key=lambda column: (column != "loss", column))
    if not columns:
        return Exhibit("losses", title, missing="No round of training is on disk.")
    caption = (
        "Mean training loss over all clients of a round and, where the method has them, its components "
        "(before weighting)."
    )
    names = {column: "total" if column == "loss" else column.removeprefix("loss_") for column in columns}
    colours = (INK, *PALETTE)
    looks = {column: Look(colours[i % len(colours)], "") for i, column in enumerate(columns)}
    lines = lines_of_columns(rows, names, looks)
    figure = draw_lines(lines, Axis("round", "mean training loss", fractions=False))
    said = ends_said([row for line in lines for row in line.rows], lambda value: f"{value:.3g}", "")
    says = f"First to last round: {said}."
    table = numbers(rows, ("round", *columns))
    panels = [panel("losses", "", figure, says)]
    return Exhibit("losses", title, caption, results.shown(LOSSES), panels, table, says=says)
