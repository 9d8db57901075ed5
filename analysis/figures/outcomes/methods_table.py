"""Table of all confirmed configurations: accuracies, bytes, and the paired difference to the main one."""

from __future__ import annotations

from typing import Any

from ...look.page import Cell, Table, show
from ...look.words import size
from ...read.results import Results
from ..differences import FIELDS, difference_cell
from ..estimates import accuracy_cell, basis, clients_said, confirmed, query_of
from ..rows import group_cell, grouped
from .accuracies import ALL_METRICS

# The other configuration minus the main one: in `verdicts` the main one is the first side.
GAPS = f"""SELECT {FIELDS} FROM differences
WHERE kind IN ('rival', 'floor', 'tuning') AND split = 'test' AND metric = 'acc_personal_own'
  AND replace(a, space || ': ', '') = level
ORDER BY number"""
SENT = """SELECT scenario, label, bytes_up, shared_parameters FROM trials WHERE kind = 'confirm'"""


def table_of_methods(results: Results) -> Table | None:
    """Return all accuracies, what is sent, and the difference to the main configuration; floors too."""
    rows = confirmed(results, ALL_METRICS)
    if not rows:
        return None
    gaps = results.sql(GAPS)
    gap_of = {(row["scenario"], row["level"]): row for row in gaps}
    main = gaps[0]["subject"] if gaps else ""
    sent = {(row["scenario"], row["label"]): row for row in results.sql(SENT)}
    body: list[list[Any]] = []
    for (scenario, label), group in grouped(rows, "scenario", "label").items():
        measured, traffic = {row["metric"]: row for row in group}, sent.get((scenario, label), {})
        gap = gap_of.get((scenario, label))
        difference = difference_cell(gap) if gap else Cell("reference" if label == main else "")
        accuracies = [accuracy_cell(measured.get(metric)) for metric in ALL_METRICS]
        bytes_up = size(traffic.get("bytes_up")) if group[0]["kind"] != "floor" else ""
        names = [group_cell(body, scenario), Cell(label, "tight")]
        body.append(
            [*names, *accuracies, difference, Cell(bytes_up, "tight"), show(traffic.get("shared_parameters"))]
        )
    columns = [
        "scenario",
        "method",
        "personal own",
        "personal global",
        "shared own",
        "shared global",
        "worst client",
        f"minus {main}, points" if main else "paired difference",
        "bytes up",
        "parameters sent",
    ]
    caption = (
        f"Test {results.metric} in %, mean [{basis(rows, results.confidence)}] on fresh seeds. The "
        "difference is on personal own, paired by seed, with its interval adjusted for all differences of "
        f"its family. {clients_said(rows)}"
    )
    query = results.shown(query_of(ALL_METRICS))
    return Table(columns, body, caption.strip(), query, key="table-methods", title="Methods")
