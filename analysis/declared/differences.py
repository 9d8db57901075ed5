"""Differences of all configurations of a recipe to one of them, overall and on groups of classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS, difference_cell, exhibit_of
from ..figures.estimates import accuracy_cell, basis, entries_of, quoted
from ..figures.exhibits import table_by_scenario
from ..figures.outcomes.accuracies import GROUPING, PERSONAL_METRICS, SHARED_METRICS, TESTED_METRICS, title_of
from ..figures.outcomes.balance import QUERY_OF_GROUPS, TITLE, exhibit_reached, table_groups
from ..figures.rows import Column, grouped
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table
from ..look.words import WITHIN, capitalized
from ..read.results import Results, Row, tuning_of
from .answers import Answer, base_sql, headline, in_order, nothing

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
    title, rows = figure.get("title") or f"Difference to {to}", table_pairs(results, to, metrics)
    if all(row["verdict"] == "missing" for row in rows):
        return nothing(key, title, f"{to} and one other configuration, confirmed under the same scenario")
    first = next(metric for metric in metrics if any(row["metric"] == metric for row in rows))
    verdicts = {(row["scenario"], row["a"]): row["verdict"] for row in rows if row["metric"] == first}
    told = [
        row
        for row in rows
        if row["metric"] == first
        or (
            row["verdict"] != verdicts.get((row["scenario"], row["a"]))
            and row["verdict"] in ("ahead", "behind", "diverges")
        )
    ]
    return _answer(
        results,
        [_forest(results, rows, key, title, to, metrics)],
        told,
        rows,
        {m: TESTED_METRICS[m] for m in metrics},
    )


def show_groups(results: Results, figure: Row, key: str) -> Answer:
    """Return the accuracy on head, medium and tail classes, differences to one configuration, a table."""
    title, to = figure.get("title") or TITLE, figure["to"]
    levels, rows = table_groups(results), table_pairs(results, to, RAREST_FIRST)
    if all(row["verdict"] == "missing" for row in rows):
        return nothing(
            key,
            title,
            f"{to} and one other configuration, confirmed where some classes have at least 1.5 times the "
            "training images of others",
        )
    gap = _forest(results, rows, f"{key}-gap", f"{title}: difference to {rows[0]['b']}", to, RAREST_FIRST)
    gap = replace(gap, caption=f"{gap.caption} The shared parameters alone. {GROUPING}")
    reached = exhibit_reached(results, levels, key, title)
    words = {metric: TESTED_METRICS[metric] for metric in RAREST_FIRST[:1]}
    words |= {f"acc_shared_{group}": f"on {group} classes" for group in ("head", "medium")}
    return _answer(results, [reached, gap, _table(results, levels, rows, key)], rows, rows, words)


def _forest(
    results: Results, rows: Sequence[Row], key: str, title: str, to: str, metrics: Sequence[str]
) -> Exhibit:
    """Return the forest plots of differences."""
    word = tuning_of(rows[0]["b"])
    caption = (
        f"Test {results.metric} of each configuration minus that of {rows[0]['b']} with the same fresh seeds."
    )
    caption += f" All are {word} that do not say otherwise." if word else ""
    about = {"key": key, "title": title, "caption": caption, "query": query_of(to, metrics)}
    return exhibit_of(results, rows, about, {m: title_of(m, results.metric) for m in metrics}, short_label)


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
    first = headline(
        rows, lambda row: f"in test {results.metric} {TESTED_METRICS[row['metric']]} under {row['scenario']}"
    )
    return Answer(parts, texts, first, rows)


def clauses_of(rows: Sequence[Row]) -> str:
    """Return the verdicts: what is left out of the first entry, then the others."""
    removed, others = ([row for row in rows if row["removed"] == flag] for flag in (True, False))
    beside = named(others, lambda row: f"\u201c{short_label(row)}\u201d", BESIDE)
    texts = (named(removed, _name, REMOVED), beside)
    return "; ".join(text.replace("; it ", "; ") for text in texts if text)


def _name(row: Row) -> str:
    """Return `OT` for `without OT (tuned)`."""
    label = base_label(row["a"])
    return label.removeprefix(next(word for word in REMOVAL_WORDS if label.startswith(word)))


def _table(results: Results, levels: Sequence[Row], rows: Sequence[Row], key: str) -> Table:
    """Return accuracy and difference on each group, a line per scenario and configuration."""
    gaps = {(row["scenario"], row["a"], row["metric"]): row for row in rows}
    reached = {(row["scenario"], row["label"], row["metric"]): row for row in levels}
    reference, names = rows[0]["b"], dict(zip(SHARED_METRICS, ("head", "medium", "tail"), strict=True))

    def accuracy(metric: str) -> Column:
        return f"{names[metric]}, %", lambda row: accuracy_cell(
            reached.get((row["scenario"], row["label"], metric))
        )

    def gap(metric: str) -> Column:
        def cell(row: Row) -> Cell:
            if row["label"] == reference:
                return Cell("reference")
            return difference_cell(gaps.get((row["scenario"], row["label"], metric)))

        return f"{names[metric]} minus {reference}, points", cell

    caption = (
        f"Test {results.metric} of the shared parameters alone, mean [{basis(levels, results.confidence)}]; "
        f"differences are paired by seed, with intervals adjusted for all of them. {GROUPING}"
    )
    return table_by_scenario(
        results,
        [group[0] for group in grouped(entries_of(levels), "scenario", "label").values()],
        [*map(accuracy, SHARED_METRICS), *map(gap, SHARED_METRICS)],
        query=QUERY_OF_GROUPS,
        caption=caption,
        key=f"{key}-table",
        title=f"{capitalized(str(results.metric))} on head, medium and tail classes",
    )
