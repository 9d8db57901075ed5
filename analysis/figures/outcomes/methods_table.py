"""Table of all confirmed configurations: accuracies, bytes, and the paired difference to the main one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...look.entries import CONFIRMED, quoted
from ...look.page import Cell, Table
from ...look.words import listing, plus_minus, points, size
from ...read.results import Results, Row, by_seed
from ...stats.intervals import t_interval
from ..rows import group_cell
from .accuracies import ALL_METRICS
from .rivalry import by_chance, opposite, primary, rivalry

VERDICT_WORDS = {"helps": "ahead", "hurts": "behind", "level": "level", "undecided": "undecided"}


def table_of_methods(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return all accuracies, what is sent, and the difference to the main configuration.

    Args:
        results: The sweep.
        rows: Rows of `methods.table_methods`.
    """
    if not rows:
        return None
    pairs, main = rivalry(results, rows), primary(results, rows)
    pair_of = {(pair["scenario"], pair["label"]): pair for pair in pairs}
    body: list[list[Any]] = []
    for row in (row for row in rows if row["metric"] == "acc_personal_own"):
        trial, pair = row["trial"], pair_of.get((row["scenario"], row["label"]))
        body.append(
            [
                group_cell(body, row["scenario"]),
                Cell(row["label"], "tight"),
                *(_accuracy_cell(results, trial, metric) for metric in ALL_METRICS),
                _difference_cell(pair) if pair else Cell("reference" if row["label"] == main else ""),
                Cell(size(trial.get("bytes_up")), "tight"),
                trial.get("shared_parameters"),
            ]
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
    seeds = listing(sorted({str(row["seeds"]) for row in rows}))
    caption = (
        f"Test {results.metric} in %, mean \u00b1 half of the {results.confidence:.0%} interval over fresh "
        f"seeds ({seeds} of them). The difference is on personal own and paired by seed. Its interval says "
        f"whether a method is ahead, behind or level (within one point). {by_chance(results, pairs)}"
    )
    return Table(columns, body, caption, _query(main or ""), key="table-methods", title="Methods")


def _accuracy_cell(results: Results, trial: Row, metric: str) -> Cell:
    values = list(by_seed(trial, f"test_{metric}").values())
    return Cell(plus_minus(t_interval(values, results.confidence)), "tight")


def _difference_cell(pair: Row) -> Cell:
    """Return the difference of the other configuration to the main one, with its verdict."""
    interval = opposite(pair["interval"])
    may = "may be " if interval.excludes_zero and not pair["firm"] else ""
    text = f"{plus_minus(interval, points)} {may}{VERDICT_WORDS[interval.verdict]}"
    return Cell(text, f"tight {interval.verdict}")


def _query(main: str) -> str:
    """Return the SQL that gives the numbers of the table."""
    means = ", ".join(f"list_avg(test_{m}) AS {m}, list_stddev_samp(test_{m}) AS sd_{m}" for m in ALL_METRICS)
    return f"""{CONFIRMED}
SELECT scenario, label, {means},
  len(seeds) AS seeds, bytes_up, shared_parameters, difference, sd_difference, pairs
FROM latest LEFT JOIN (
  SELECT c.scenario, c.label, avg(c.acc_personal_own - o.acc_personal_own) AS difference,
    stddev_samp(c.acc_personal_own - o.acc_personal_own) AS sd_difference, count(*) AS pairs
  FROM confirmed c JOIN confirmed o USING (scenario, seed) WHERE o.label = {quoted(main)} GROUP BY ALL
) USING (scenario, label) ORDER BY ALL"""
