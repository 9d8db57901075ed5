"""The accuracies that figures show: columns, names and looks; those of the confirmed configurations."""

from __future__ import annotations

from ...look.page import Cell, Exhibit, Table, show
from ...look.style import Look
from ...look.words import listing, size
from ...read.metric import Metric
from ...read.results import Results, Row
from ..choices.verdicts import FIELDS, difference_cell
from ..estimates import accuracy_cell, basis, clients_said, confirmed, draw_accuracies, limits, query_of, said
from ..exhibits import Draft, panel
from ..rows import Column, grouped

PERSONAL_METRICS = {
    "acc_personal_own": "on each client's own distribution",
    "acc_personal_global": "on the global split",
}
FOUR_METRICS = {
    "acc_personal_own": "personal, own",
    "acc_personal_global": "personal, global",
    "acc_shared_own": "shared alone, own",
    "acc_shared_global": "shared alone, global",
}
ALL_METRICS = (*FOUR_METRICS, "worst_client_accuracy")
SCOPES = {"shared": Look("#D55E00", "s"), "personal": Look("#0072B2", "o")}
SCOPE_NAMES = {"shared": "shared alone", "personal": "personal"}
GROUPS = ("head", "medium", "tail")
SHARED_METRICS = tuple(f"acc_shared_{group}" for group in GROUPS)
GROUPING = (
    "Head, medium and tail classes are thirds of the classes, by their training images over all clients. "
    "Within a third every class has the same weight, on the global split."
)
SPLIT_WORDS = {
    "own": "on the clients' own distributions",
    "global": "on the global split",
    "class_mean": "in the mean over classes",
    **{group: f"on {group} classes" for group in GROUPS},
}
TESTED_METRICS = {  # what a recipe may compare, in words
    f"acc_{scope}_{place}": text + suffix
    for scope, suffix in {"personal": "", "shared": " with the shared model alone"}.items()
    for place, text in SPLIT_WORDS.items()
}
NOT_YET = "No configuration is confirmed on fresh seeds: the test split is closed."
QUERY = query_of(PERSONAL_METRICS)
SHOWN = ("scenario", "label", "metric", "mean", "low", "high", "seeds", "seeds_planned", "lost")
PATCHES = """SELECT patches, list(DISTINCT label ORDER BY label) AS labels
FROM trials
WHERE kind = 'confirm' AND patches IS NOT NULL
GROUP BY patches ORDER BY patches"""
# The other configuration minus the main one: in `verdicts` the main one is the first side.
GAPS = f"""SELECT {FIELDS} FROM differences
WHERE kind IN ('rival', 'floor', 'tuning') AND split = 'test' AND metric = 'acc_personal_own'
  AND replace(a, space || ': ', '') = level
ORDER BY number"""
SENT = """SELECT scenario, label, bytes_up, shared_parameters FROM trials WHERE kind = 'confirm'"""


def title_of(column: str, metric: Metric) -> str:
    """Return the title of a panel: `Shared accuracy on tail classes`."""
    if column in PERSONAL_METRICS:
        return f"Personal {metric} {PERSONAL_METRICS[column]}"
    _, scope, place = column.split("_", 2)
    return f"{scope.capitalize()} {metric} {SPLIT_WORDS[place]}"


def counted(metric: Metric) -> str:
    """Return for a caption what an image counts for where pixels are classified; empty elsewhere."""
    return " An image counts for the class of most of its pixels." if metric.segments else ""


def exhibit_methods(results: Results) -> Exhibit:
    """Return the figure of the methods by scenario, a panel per metric; floors are thin lines."""
    draft, metric = Draft(results, "methods", "Methods by scenario"), results.metric
    rows = confirmed(results, PERSONAL_METRICS)
    if not rows:
        return draft.missing(NOT_YET)
    panels = []
    for column in PERSONAL_METRICS:
        shown = [row for row in rows if row["metric"] == column]
        figure = draw_accuracies(shown, limits(rows), f"test {metric}, %")
        key = f"methods-{column.replace('_', '-')}"
        panels.append(panel(key, title_of(column, metric), figure, said(shown)))
    own = [row for row in rows if row["metric"] == "acc_personal_own"]
    caption = (
        f"Test {metric} on fresh seeds: mean (mark), {basis(rows, results.confidence)} (bar), single seeds "
        "(dots below the bar). Hollow marks are untuned. The thin lines are what no method should fall "
        "below. Intervals of single methods may overlap although their paired difference is clear; the "
        f"table of methods has the verdicts. {clients_said(own)}{patches(results)}"
    )
    return draft.exhibit(panels, rows, SHOWN, QUERY, caption, f"{said(own)}.")


def patches(results: Results) -> str:
    """Return a sentence per number of image patches that names the configurations that work on so many."""
    return "".join(
        f" With this backbone, {listing(row['labels'])} {'works' if len(row['labels']) == 1 else 'work'} on "
        f"M = {row['patches']} patches."
        for row in results.sql(PATCHES)
    )


def table_of_methods(results: Results) -> Table | None:
    """Return all accuracies, what is sent, and the difference to the main configuration; floors too."""
    rows, gaps = confirmed(results, ALL_METRICS), results.sql(GAPS)
    if not rows:
        return None
    main = gaps[0]["subject"] if gaps else ""
    reached = {(row["scenario"], row["label"], row["metric"]): row for row in rows}
    gap_of = {(row["scenario"], row["level"]): row for row in gaps}
    sent = {(row["scenario"], row["label"]): row for row in results.sql(SENT)}

    def accuracy(metric: str, head: str) -> Column:
        return head, lambda row: accuracy_cell(reached.get((row["scenario"], row["label"], metric)))

    def difference(row: Row) -> Cell:
        gap = gap_of.get((row["scenario"], row["label"]))
        return difference_cell(gap) if gap else Cell("reference" if row["label"] == main else "")

    heads = ("personal own", "personal global", "shared own", "shared global", "worst client")
    caption = (
        f"Test {results.metric} in %, mean [{basis(rows, results.confidence)}] on fresh seeds. The "
        "difference is on personal own, paired by seed, with its interval adjusted for all differences of "
        f"its family. {clients_said(rows)}"
    )
    if any(row["diverged_a"] or row["diverged_b"] for row in gaps):
        caption = f"{caption.rstrip()} A seed that one side lost counts as 0 in the difference; "
        caption += "the means leave it out."
    columns = [
        *map(accuracy, ALL_METRICS, heads),
        (f"minus {main}, points" if main else "paired difference", difference),
        ("bytes up", lambda row: Cell("" if row["kind"] == "floor" else size(row.get("bytes_up")), "tight")),
        ("parameters sent", lambda row: show(row.get("shared_parameters"))),
    ]
    lines = [
        {**group[0], **sent.get(place, {})} for place, group in grouped(rows, "scenario", "label").items()
    ]
    name: Column = ("method", lambda row: Cell(row["label"], "tight"))
    draft, query = Draft(results, "methods", "Methods"), ";\n".join([query_of(ALL_METRICS), GAPS, SENT])
    return draft.table(lines, columns, query, caption.strip(), draft.title, name=name)
