"""Head, medium and tail classes of every configuration beside one of them, paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..figures.outcomes.balance import QUERY_OF_GROUPS, SHARED_METRICS, TITLE, panels_of_groups
from ..figures.outcomes.tested import GROUPING, GROUPS, query_of_tested, table_tested
from ..figures.rows import group_cell
from ..figures.sentences import with_confidence
from ..look.entries import entries, quoted
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import capitalized, plus_minus, points
from ..read.results import Results, Row
from .differences import caption_of, clauses_of, panels_of_pairs, query_of_pairs, table_pairs

RAREST_FIRST = SHARED_METRICS[::-1]
VERDICT_WORDS = {"helps": "better", "hurts": "worse", "level": "level", "undecided": "undecided"}


def exhibit_groups(results: Results, compared: Sequence[Row], figure: Row, key: str) -> list[Exhibit | Table]:
    """Return the accuracy on the three groups, the differences to one configuration, and a table.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: to and title.
        key: Key of the exhibit.
    """
    title, to = figure.get("title") or TITLE, figure["to"]
    levels = table_tested(results, compared, SHARED_METRICS)
    rows = table_pairs(results, levels, to, RAREST_FIRST)
    if not rows:
        missing = (
            f"It takes {to} and one other configuration, confirmed where some classes have at least 1.5 "
            "times the training images of others."
        )
        return [Exhibit(key, title, missing=missing)]
    about = f"The shared parameters alone, test split, fresh seeds. {GROUPING}"
    caption = (
        f"{about} Mean and {results.confidence:.0%} t interval over seeds; intervals may overlap although "
        "the paired difference is clear."
    )
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds")
    panels = panels_of_groups(results, levels, key)
    reached = Exhibit(key, title, caption, QUERY_OF_GROUPS, panels, numbers(levels, columns))
    gap = Exhibit(
        f"{key}-gap",
        f"{title}: difference to {rows[0]['reference']}",
        f"{caption_of(results, rows)} {about}",
        query_of_pairs(rows[0]["reference"], SHARED_METRICS),
        panels_of_pairs(rows, RAREST_FIRST, f"{key}-gap", results.metric),
        numbers(rows, (*columns, "verdict", "firm")),
    )
    return [reached, gap, table_of_groups(results, levels, rows, key)]


def table_of_groups(results: Results, levels: Sequence[Row], rows: Sequence[Row], key: str) -> Table:
    """Return accuracy and difference on each group, a line per scenario and configuration.

    Args:
        results: The sweep.
        levels: Rows of `tested.table_tested`.
        rows: Rows of `differences.table_pairs`.
        key: Key of the exhibit.
    """
    reached = {(row["scenario"], row["label"], row["metric"]): row for row in levels}
    gaps = {(row["scenario"], row["label"], row["metric"]): row for row in rows}
    labels, reference = list(entries(results)), rows[0]["reference"]
    scenarios = list(dict.fromkeys(row["scenario"] for row in levels))
    places = {(row["scenario"], row["label"]) for row in levels}
    body: list[list[Any]] = []
    for scenario, label in sorted(places, key=lambda p: (scenarios.index(p[0]), labels.index(p[1]))):
        group_rows = [reached.get((scenario, label, metric)) for metric in SHARED_METRICS]
        group_gaps = [gaps.get((scenario, label, metric)) for metric in SHARED_METRICS]
        body.append(
            [
                group_cell(body, scenario),
                Cell(label, "tight"),
                *(Cell(plus_minus(row["interval"]) if row else "", "tight") for row in group_rows),
                *(_gap_cell(gap, label == reference) for gap in group_gaps),
            ]
        )
    columns = [
        "scenario",
        "configuration",
        *(f"{group}, %" for group in GROUPS),
        *(f"{group} minus {reference}, points" for group in GROUPS),
    ]
    caption = (
        f"Test {results.metric} of the shared parameters alone, mean \u00b1 half of the "
        f"{results.confidence:.0%} interval over seeds; differences are paired by seed. A star: the "
        f"difference remains when adjusted for the number of differences. {GROUPING}"
    )
    title = f"{capitalized(str(results.metric))} on head, medium and tail classes"
    return Table(columns, body, caption, _query(reference), key=f"{key}-table", title=title)


def _query(reference: str) -> str:
    """Return the SQL that gives the numbers of the table."""
    return query_of_tested(
        SHARED_METRICS,
        f"""SELECT scenario, label, metric, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds,
  avg(value - reference) AS difference, stddev_samp(value - reference) AS sd_difference,
  count(reference) AS pairs
FROM tested LEFT JOIN (
  SELECT scenario, seed, metric, value AS reference FROM tested WHERE label = {quoted(reference)}
) USING (scenario, seed, metric)
GROUP BY ALL ORDER BY ALL""",
    )


def _gap_cell(row: Row | None, reference: bool) -> Cell:
    if row is None:
        return Cell("reference" if reference else "")
    return Cell(
        f"{plus_minus(row['interval'], points)} {VERDICT_WORDS[row['verdict']]}{' *' if row['firm'] else ''}",
        f"tight {row['verdict']}",
    )


def sentences_groups(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """Return sentences by scenario about the rarest classes, then the most frequent, then the medium ones.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: to.
    """
    rows = table_pairs(results, table_tested(results, compared, SHARED_METRICS), figure["to"], RAREST_FIRST)
    texts: list[str] = []
    for group in ("tail", "head", "medium"):
        by_scenario: dict[str, list[Row]] = {}
        for row in (row for row in rows if row["metric"] == f"acc_shared_{group}"):
            by_scenario.setdefault(row["scenario"], []).append(row)
        for scenario, scenario_rows in by_scenario.items():
            reference = rows[0]["reference"]
            against = "" if texts else f" with the shared parameters alone, compared with {reference}"
            clauses = clauses_of(scenario_rows)
            texts.append(f"Under {scenario}, on {group} classes{against}, {clauses}.")
    return with_confidence(texts, results.confidence)
