"""Accuracy by class and by domain, of the shared parameters alone and with the private ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import name_rows
from ...look.page import Exhibit, Panel, Table, numbers
from ...look.style import blank, drawing, percent_axis
from ...look.words import capitalized, percent
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row
from .accuracies import SCOPES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MEANS = f"""SELECT domain_name AS name, 100 * avg(correct / total) FILTER (scope = 'shared') AS shared,
  100 * avg(correct / total) FILTER (scope = 'personal') AS personal
FROM {parts("classes")} WHERE split = 'validation' AND round = {{last}} AND total > 0
GROUP BY ALL ORDER BY ALL"""


def table_classes(results: Results, by: str = "class_name") -> list[Row]:
    """Return the accuracy of each class at the last evaluated round, the highest first.

    Args:
        results: The run.
        by: `class_name`, or `domain_name` for the accuracy of each domain.

    Returns:
        Rows with name, round, and shared and personal where they were measured.
    """

    def pooled(counts: Sequence[tuple[float, float]]) -> float | None:
        total = sum(pair[1] for pair in counts)
        return sum(pair[0] for pair in counts) / total if total > 0 else None

    return _by_name(_last_rows(results), by, pooled)


def _last_rows(results: Results) -> list[Row]:
    """Return the rows of the classes table at the last evaluated round, on validation."""
    rows = [
        row for row in results.table("classes").to_pylist() if row.get("split", "validation") == "validation"
    ]
    last_round = max((row["round"] for row in rows), default=0)
    return [row for row in rows if row["round"] == last_round]


def _by_name(
    rows: Sequence[Row], by: str, summary: Callable[[Sequence[tuple[float, float]]], float | None]
) -> list[Row]:
    """Return a row per name, with a summary of its (correct, total) counts for each scope."""
    counts: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for row in rows:
        scopes = counts.setdefault(row[by], {})
        scopes.setdefault(row["scope"], []).append((row["correct"] or 0.0, row["total"] or 0.0))
    table = []
    for name, scopes in counts.items():
        values = {scope: value for scope, pairs in scopes.items() if (value := summary(pairs)) is not None}
        if values:
            table.append({"name": name, "round": rows[0]["round"], **values})
    return sorted(table, key=lambda row: -(row.get("personal") or row.get("shared") or 0.0))


def _mean_over_classes(results: Results) -> list[Row]:
    """Return for each domain the mean over classes of correct / total at the last evaluated round."""

    def mean_share(counts: Sequence[tuple[float, float]]) -> float | None:
        shares = [correct / total for correct, total in counts if total]
        return sum(shares) / len(shares) if shares else None

    return _by_name(_last_rows(results), "domain_name", mean_share)


@drawing
def draw_classes(rows: Sequence[Row], metric: Metric) -> Figure:
    """Draw each class in a line: shared alone as a square, personal as a circle, joined.

    Args:
        rows: Rows of `table_classes`.
        metric: The metric of the run.
    """
    figure, axes = blank(0.75 + 0.15 * len(rows))
    for height, row in enumerate(rows):
        if "shared" in row and "personal" in row:
            axes.plot(
                [row["shared"], row["personal"]], [height] * 2, color="#bbbbbb", linewidth=1.2, zorder=1
            )
        for scope, look in SCOPES.items():
            if scope in row:
                label = look.name if height == 0 else None
                style: dict[str, Any] = {"color": look.colour, "markersize": 4, "linestyle": "", "zorder": 2}
                axes.plot([row[scope]], [height], look.marker, label=label, **style)
    name_rows(axes, [row["name"] for row in rows], fontsize=7)
    axes.grid(axis="x")
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel=f"validation {metric.per_class} of each class, %")
    percent_axis(axes.xaxis)
    figure.legend(loc="outside lower left", ncols=2)
    return figure


def exhibit_classes(results: Results) -> Exhibit:
    """Return the figure of each class, shared alone against personal."""
    metric, rows = results.metric, table_classes(results)
    title = f"{capitalized(metric.per_class)} by class"
    if not rows:
        return Exhibit("classes", title, missing="No evaluation by class is on disk yet.")
    caption = (
        f"After round {rows[0]['round']}, over all evaluated clients and domains. Squares: the shared "
        "parameters alone; circles: with the private parameters."
    )
    query, panel = _query(rows, "class_name"), Panel("classes", "", draw_classes(rows, metric))
    return Exhibit("classes", title, caption, query, [panel], numbers(rows, ("name", "shared", "personal")))


def table_domains(results: Results) -> Table | None:
    """Return the accuracy by domain; None where there are not two domains.

    In segmentation it is the mean over classes of the overlap in the domain.
    """
    segmented = results.metric.segments
    rows = _mean_over_classes(results) if segmented else table_classes(results, "domain_name")
    if len(rows) < 2:
        return None
    body = [[row["name"], percent(row.get("shared")), percent(row.get("personal"))] for row in rows]
    caption = "After the last evaluated round, over all evaluated clients and classes."
    query = MEANS.format(last=rows[0]["round"]) if segmented else _query(rows, "domain_name")
    title, columns = (
        f"{capitalized(str(results.metric))} by domain",
        ["domain", "shared alone, %", "personal, %"],
    )
    return Table(columns, body, caption, query, key="table-domains", title=title)


def _query(rows: Sequence[Row], by: str) -> str:
    """Return the SQL that gives the numbers of `table_classes`."""
    shares = ", ".join(
        f"sum(correct) FILTER (scope = '{scope}') / sum(total) FILTER (scope = '{scope}') AS {scope}"
        for scope in SCOPES
    )
    return f"""SELECT {by} AS name, {shares} FROM {parts("classes")}
WHERE split = 'validation' AND round = {rows[0]["round"]} GROUP BY ALL ORDER BY ALL"""
