"""Differences of all configurations of a recipe to one of them, overall and on groups of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..figures.choices.verdicts import DECIDED, named
from ..figures.differences import FIELDS, difference_cell, exhibit_of
from ..figures.estimates import accuracy_cell, basis, entries_of, quoted
from ..figures.exhibits import Draft
from ..figures.outcomes.accuracies import (
    GROUPING,
    GROUPS,
    PERSONAL_METRICS,
    SHARED_METRICS,
    TESTED_METRICS,
    title_of,
)
from ..figures.outcomes.classes import QUERY_OF_GROUPS, TITLE, exhibit_reached, table_groups
from ..figures.rows import grouped
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table
from ..look.words import WITHIN, capitalized
from ..read.results import Results, Row, tuning_of
from .answers import Answer, base_sql, beside, headline, in_order, nothing

RAREST_FIRST = SHARED_METRICS[::-1]
REMOVAL_WORDS = ("without ", "no ")
REMOVED = {  # what leaving out a part does
    "diverges": "leaving out {} gives no finite difference",
    "behind": "leaving out {} costs points",
    "ahead": "leaving out {} gains points",
    "negligible": f"leaving out {{}} changes it {WITHIN}",
    "level": f"leaving out {{}} does not matter ({WITHIN})",
    "no effect": "leaving out {} has no effect",
    "undecided": "leaving out {} is undecided",
    "missing": "leaving out {} was not run",
}
BESIDE = {verdict: f"{verdict}: {{}}" for verdict in REMOVED}


def query_of(to: str, metrics: Sequence[str]) -> str:
    """Return the SQL of each configuration minus the reference, whose label may end with how it was tuned."""
    return f"""SELECT {FIELDS} FROM differences
WHERE split = 'test' AND metric IN ({quoted(*metrics)}) AND kind IN ('recipe', 'rival', 'tuning')
  AND {quoted(to)} IN (b, {base_sql("b")})
ORDER BY list_position([{quoted(*metrics)}], metric), number"""


def table_pairs(results: Results, to: str, metrics: Sequence[str]) -> list[Row]:
    """Return a row per scenario, configuration and metric: its test accuracy minus that of the reference.

    Args:
        results: The sweep.
        to: The reference's label, with or without how it was tuned.
        metrics: The metrics, in order.

    Returns:
        Rows of `verdicts` with removed (the label says what was left out, and the reference is the first
        entry of the recipe); as the recipe lists them.
    """
    first = next(iter(results.meta.get("grid") or []), None)
    rows = in_order(results, results.sql(query_of(to, metrics)), "a")
    return [
        {**row, "removed": base_label(row["b"]) == first and row["a"].startswith(REMOVAL_WORDS)}
        for row in rows
    ]


def short_label(row: Row) -> str:
    """Return the label, without the bracket that it shares with the reference."""
    return base_label(row["a"]) if tuning_of(row["a"]) == tuning_of(row["b"]) else str(row["a"])


def show_differences(results: Results, figure: Row, key: str) -> Answer:
    """Return the forest plots, one for each metric.

    Of a later metric, only verdicts that differ from those of the first one are said.
    """
    to, metrics = figure["to"], list(figure.get("metrics") or PERSONAL_METRICS)
    draft = Draft(results, key, figure.get("title") or f"Difference to {to}")
    rows = table_pairs(results, to, metrics)
    if all(row["verdict"] == "missing" for row in rows):
        return nothing(draft, f"{to} and one other configuration, confirmed under the same scenario")
    first = next(metric for metric in metrics if any(row["metric"] == metric for row in rows))
    verdicts = {(row["scenario"], row["a"]): row["verdict"] for row in rows if row["metric"] == first}
    told = [
        row
        for row in rows
        if row["metric"] == first
        or row["verdict"] in set(DECIDED) - {verdicts.get((row["scenario"], row["a"]))}
    ]
    words = {metric: TESTED_METRICS[metric] for metric in metrics[metrics.index(first) :]}
    return _answer(results, [_forest(draft, rows, to, metrics)], told, rows, words)


def show_groups(results: Results, figure: Row, key: str) -> Answer:
    """Return the accuracy on head, medium and tail classes, differences to one configuration, a table."""
    draft, to = Draft(results, key, figure.get("title") or TITLE), figure["to"]
    levels, rows = table_groups(results), table_pairs(results, to, RAREST_FIRST)
    if all(row["verdict"] == "missing" for row in rows):
        unequal = "some classes have at least 1.5 times the training images of others"
        return nothing(draft, f"{to} and one other configuration, confirmed where {unequal}")
    gap = _forest(
        Draft(results, f"{key}-gap", f"{draft.title}: difference to {rows[0]['b']}"), rows, to, RAREST_FIRST
    )
    gap = replace(gap, caption=f"{gap.caption} The shared parameters alone. {GROUPING}")
    reached = exhibit_reached(draft, levels)
    words = {f"acc_shared_{group}": f"on {group} classes" for group in ("tail", "head", "medium")}
    words["acc_shared_tail"] += " with the shared model alone"
    return _answer(results, [reached, gap, _table(draft, levels, rows)], rows, rows, words)


def _forest(draft: Draft, rows: Sequence[Row], to: str, metrics: Sequence[str]) -> Exhibit:
    """Return the forest plots of differences."""
    word, metric = tuning_of(rows[0]["b"]), draft.results.metric
    caption = f"Test {metric} of each configuration minus that of {rows[0]['b']} with the same fresh seeds."
    caption += f" All are {word} that do not say otherwise." if word else ""
    about = {"key": draft.key, "title": draft.title, "caption": caption, "query": query_of(to, metrics)}
    return exhibit_of(draft.results, rows, about, {m: title_of(m, metric) for m in metrics}, short_label)


def _answer(
    results: Results,
    parts: Sequence[Exhibit | Table],
    told: Sequence[Row],
    rows: Sequence[Row],
    words: Mapping[str, str],
) -> Answer:
    """Return the parts with a sentence per metric and scenario of what is told, in the order of the words."""
    texts: list[str] = []
    for metric, place in words.items():
        of_metric = [row for row in told if row["metric"] == metric]
        for scenario, group in grouped(of_metric, "scenario").items():
            against = "" if texts else f" compared with {rows[0]['b']},"
            texts.append(f"Under {scenario}, {place},{against} {clauses_of(group)}.")
    metric = next(iter(words))
    rows_of_first = [row for row in rows if row["metric"] == metric]
    first = headline(rows_of_first, f"in test {results.metric} {TESTED_METRICS[metric]}", _clause)
    return Answer(parts, texts, first, rows)


def _clause(row: Row) -> str:
    """Return the verdict on one difference, for a headline."""
    return clauses_of([row]) if row["removed"] else beside(row)


def clauses_of(rows: Sequence[Row]) -> str:
    """Return the verdicts: what is left out of the first entry, then the others."""
    removed, others = ([row for row in rows if row["removed"] == flag] for flag in (True, False))
    texts = (
        named(removed, _name, REMOVED),
        named(others, lambda row: f"\u201c{short_label(row)}\u201d", BESIDE),
    )
    return "; ".join(text.replace("; it ", "; ") for text in texts if text)


def _name(row: Row) -> str:
    """Return `OT` for `without OT (tuned)`."""
    label = base_label(row["a"])
    return label.removeprefix(next(word for word in REMOVAL_WORDS if label.startswith(word)))


def _table(draft: Draft, levels: Sequence[Row], rows: Sequence[Row]) -> Table:
    """Return accuracy and difference on each group, a line per scenario and configuration."""
    gaps = {(row["scenario"], row["a"], row["metric"]): row for row in rows}
    reached = {(row["scenario"], row["label"], row["metric"]): row for row in levels}
    reference = rows[0]["b"]

    def accuracy(row: Row, group: str) -> Cell:
        return accuracy_cell(reached.get((row["scenario"], row["label"], f"acc_shared_{group}")))

    def gap(row: Row, group: str) -> Cell:
        found = gaps.get((row["scenario"], row["label"], f"acc_shared_{group}"))
        return Cell("reference") if row["label"] == reference else difference_cell(found)

    results = draft.results
    caption = (
        f"Test {results.metric} of the shared parameters alone, mean [{basis(levels, results.confidence)}]; "
        f"differences are paired by seed, with intervals adjusted for all of them. {GROUPING}"
    )
    lines = [group[0] for group in grouped(entries_of(levels), "scenario", "label").values()]
    columns = [(f"{group}, %", partial(accuracy, group=group)) for group in GROUPS]
    columns += [(f"{group} minus {reference}, points", partial(gap, group=group)) for group in GROUPS]
    title = f"{capitalized(str(results.metric))} on head, medium and tail classes"
    return draft.table(lines, columns, QUERY_OF_GROUPS, caption, title)
