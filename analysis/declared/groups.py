"""Who gains: head, medium and tail classes of every configuration beside one of them, paired by seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..figures.outcomes.balance import LEVELS, OF_SHARED, TITLE, panels_of_groups
from ..figures.outcomes.tested import GROUPING, GROUPS, query_of_tested, table_tested
from ..look.entries import entries, quoted
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import plus_minus, points
from ..read.results import Results, Row
from .differences import caption_of, clauses_of, panels_of_pairs, query_of_pairs, table_pairs, with_confidence

RAREST_FIRST = OF_SHARED[::-1]
WORDS = {"helps": "better", "hurts": "worse", "level": "level", "undecided": "undecided"}


def exhibit_groups(results: Results, compared: Sequence[Row], figure: Row, key: str) -> list[Exhibit | Table]:
    """Two figures, what each configuration reaches on the three groups and its difference to one of them, and the table of both.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: to and title.
        key: The exhibit's.
    """
    title, to = figure.get("title") or TITLE, figure["to"]
    levels = table_tested(results, compared, OF_SHARED)
    rows = table_pairs(results, levels, to, RAREST_FIRST)
    if not rows:
        wanted = (
            f"{to} and one other configuration, confirmed where some classes have at least 1.5 times "
            "the training images of others"
        )
        return [Exhibit(key, title, missing=f"It takes {wanted}.")]
    about = f"The shared parameters alone, test split, fresh seeds. {GROUPING}"
    caption = (
        f"{about} Mean and {results.confidence:.0%} t interval over seeds; these may overlap where "
        "the paired difference is clear."
    )
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds")
    reached = Exhibit(
        key, title, caption, LEVELS, panels_of_groups(results, levels, key), numbers(levels, columns)
    )
    gap = Exhibit(
        f"{key}-gap",
        f"{title}: difference to {rows[0]['reference']}",
        f"{caption_of(results, rows)} {about}",
        query_of_pairs(rows[0]["reference"], OF_SHARED),
        panels_of_pairs(rows, RAREST_FIRST, f"{key}-gap"),
        numbers(rows, (*columns, "verdict", "firm")),
    )
    return [reached, gap, table_of_groups(results, levels, rows, key)]


def table_of_groups(results: Results, levels: Sequence[Row], rows: Sequence[Row], key: str) -> Table:
    """Accuracy and difference on each group, a line per scenario and configuration."""
    reached = {(r["scenario"], r["label"], r["metric"]): r for r in levels}
    gaps = {(r["scenario"], r["label"], r["metric"]): r for r in rows}
    order, reference = list(entries(results)), rows[0]["reference"]
    places = sorted(
        dict.fromkeys(k[:2] for k in reached), key=lambda p: (_first(levels, p[0]), order.index(p[1]))
    )
    body: list[list[Any]] = []
    for scenario, label in places:
        first = not any(line[0].text == scenario for line in body)
        there = [reached.get((scenario, label, m)) for m in OF_SHARED]
        body.append(
            [
                Cell(scenario, "tight" if first else "again"),
                Cell(label, "tight"),
                *(Cell(plus_minus(r["interval"]) if r else "", "tight") for r in there),
                *(_gap(gaps.get((scenario, label, m)), label == reference) for m in OF_SHARED),
            ]
        )
    head = [
        "scenario",
        "configuration",
        *(f"{g}, %" for g in GROUPS),
        *(f"{g} minus {reference}, points" for g in GROUPS),
    ]
    caption = (
        f"Test accuracy of the shared parameters alone, mean \u00b1 half of the {results.confidence:.0%} "
        "interval over seeds; "
        "differences are paired by seed. A star: it stands when adjusted for the number of differences. "
        f"{GROUPING}"
    )
    query = query_of_tested(
        OF_SHARED,
        f"""SELECT scenario, label, metric, avg(value) AS mean, stddev_samp(value) AS sd, count(*) AS seeds,
  avg(value - theirs) AS difference, stddev_samp(value - theirs) AS sd_difference, count(theirs) AS pairs
FROM tested LEFT JOIN (SELECT scenario, seed, metric, value AS theirs FROM tested WHERE label = {quoted(reference)})
  USING (scenario, seed, metric)
GROUP BY ALL ORDER BY ALL""",
    )
    return Table(
        head, body, caption, query, key=f"{key}-table", title="Accuracy on head, medium and tail classes"
    )


def _first(rows: Sequence[Row], scenario: str) -> int:
    return next(i for i, row in enumerate(rows) if row["scenario"] == scenario)


def _gap(row: Row | None, reference: bool) -> Cell:
    if row is None:
        return Cell("reference" if reference else "")
    return Cell(
        f"{plus_minus(row['interval'], points)} {WORDS[row['verdict']]}{' *' if row['firm'] else ''}",
        f"tight {row['verdict']}",
    )


def sentences_groups(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """The rarest classes first, then the most frequent ones: what each configuration gains or loses beside the reference, by scenario."""
    rows = table_pairs(results, table_tested(results, compared, OF_SHARED), figure["to"], RAREST_FIRST)
    said: list[str] = []
    for group in ("tail", "head", "medium"):
        own = [r for r in rows if r["metric"] == f"acc_shared_{group}"]
        for scenario in dict.fromkeys(r["scenario"] for r in own):
            against = (
                "" if said else f" with the shared parameters alone, compared with {rows[0]['reference']}"
            )
            text = clauses_of([r for r in own if r["scenario"] == scenario])
            said.append(f"Under {scenario}, on {group} classes{against}, {text}.")
    return with_confidence(said, results.confidence)
