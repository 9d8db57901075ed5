"""Learning curve and loss components of one run."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence

from ...look.page import Exhibit
from ...look.style import INK, PALETTE, Look
from ...look.words import percent
from ...read.results import Results, Row
from ..estimates import is_number, panel
from ..exhibits import Draft
from ..lines import Axis, Line, draw_lines, ends_said, lines_of
from .accuracies import FOUR_METRICS
from .clients import floors_of_run

LINES = {  # column -> name, look
    "acc_personal_own": (FOUR_METRICS["acc_personal_own"], Look("#0072B2", "o")),
    "acc_personal_global": (FOUR_METRICS["acc_personal_global"], Look("#2E93CC", "o", "--", hollow=True)),
    "acc_shared_own": (FOUR_METRICS["acc_shared_own"], Look("#D55E00", "s")),
    "acc_shared_global": (FOUR_METRICS["acc_shared_global"], Look("#B87A00", "s", "--", hollow=True)),
    "p10_client_accuracy": ("tenth percentile of clients", Look("#777777", "v")),
    "worst_client_accuracy": ("worst client", Look("#777777", "x", ":")),
}
CURVE = f"""SELECT round, {", ".join(LINES)} FROM rounds WHERE split = 'validation' ORDER BY round"""
LOSSES = """SELECT round, COLUMNS('^loss(_.*)?$') FROM rounds WHERE split = 'validation' ORDER BY round"""


def lines_of_columns(rows: Sequence[Row], columns: Mapping[str, tuple[str, Look]]) -> list[Line]:
    """Return a line for each column that has a value in rows with `round`; `columns` has name and look."""
    points = [
        {"x": row["round"], "mean": row[column], "label": name, "look": look}
        for column, (name, look) in columns.items()
        for row in rows
        if is_number(row.get(column))
    ]
    return lines_of(points)


def ends_of(lines: Sequence[Line], form: Callable[[float | None], str] = percent, unit: str = "%") -> str:
    """Return where each line begins and ends, as a sentence."""
    return f"First to last round: {ends_said([row for line in lines for row in line.rows], form, unit)}."


def exhibit_run_curve(results: Results) -> Exhibit:
    """Return the figure of the learning curve of one run."""
    draft, rows, metric = Draft(results, "curve", "Learning curve"), results.sql(CURVE), results.metric
    lines = lines_of_columns(rows, LINES)
    if not lines:
        return draft.missing("No round is evaluated.")
    floors = floors_of_run(results)
    caption = (
        f"Validation {metric} after each evaluated round: shared and private parameters together (personal) "
        "and the shared parameters alone, on each client's own distribution and on the global split. Grey: "
        "the weakest clients (personal, own distribution). Thin lines: what no method should fall below, on "
        "the clients' own distributions. One seed: no intervals."
    )
    figure = draw_lines(lines, Axis("round", f"validation {metric}, %"), floors=floors, height=4.4)
    last, says = lines[0].rows[-1]["mean"], ends_of(lines)
    below = [f"{name} ({percent(value)}%)" for name, value in floors.items() if last < value]
    says += f" It ends below {' and '.join(below)}." if below else ""
    panels = [panel(draft.key, "", figure, says)]
    return draft.exhibit(panels, rows, ("round", *LINES), CURVE, caption, says)


def exhibit_losses(results: Results) -> Exhibit:
    """Return the figure of the loss components of one run."""
    draft, rows = Draft(results, "losses", "Loss components"), results.sql(LOSSES)
    columns = [column for column in rows[0] if any(is_number(row[column]) for row in rows)] if rows else []
    columns = sorted((c for c in columns if c != "round"), key=lambda column: (column != "loss", column))
    if not columns:
        return draft.missing("No round of training is on disk.")
    caption = (
        "Mean training loss over all clients of a round and, where the method has them, its components "
        "(before weighting)."
    )
    colours = itertools.cycle((INK, *PALETTE))
    names = {column: "total" if column == "loss" else column.removeprefix("loss_") for column in columns}
    parts = {column: (name, Look(next(colours), "")) for column, name in names.items()}
    lines = lines_of_columns(rows, parts)
    figure = draw_lines(lines, Axis("round", "mean training loss", fractions=False))
    says = ends_of(lines, lambda value: f"{value:.3g}", "")
    panels = [panel(draft.key, "", figure, says)]
    return draft.exhibit(panels, rows, ("round", *columns), LOSSES, caption, says)
