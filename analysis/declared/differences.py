"""Differences of all configurations of a recipe to one of them, overall and on groups of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..figures.choices.verdicts import named
from ..figures.differences import FIELDS, difference_cell, exhibit_of, with_basis
from ..figures.estimates import accuracy_cell, basis, confirmed, entries_of, quoted
from ..figures.outcomes.accuracies import (
    GROUPING,
    GROUPS,
    PERSONAL_METRICS,
    SHARED_METRICS,
    TESTED_METRICS,
    title_of,
)
from ..figures.outcomes.balance import QUERY_OF_GROUPS, SHOWN, TITLE, panels_of_groups
from ..figures.rows import group_cell, grouped, place_in, scenario_order
from ..look.entries import base_label
from ..look.page import Cell, Exhibit, Table, numbers
from ..look.words import WITHIN, capitalized
from ..read.results import Results, Row, tuning_of

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
    base = r"regexp_replace(b, ' \((tuned|untuned|best of .*)\)$', '')"
    return f"""SELECT {FIELDS} FROM differences
WHERE split = 'test' AND metric IN ({quoted(*metrics)}) AND kind IN ('recipe', 'rival', 'tuning')
  AND {quoted(to)} IN (b, {base})
ORDER BY number, metric"""


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
    grid, order = list(results.meta.get("grid") or []), scenario_order(results)
    rows = [
        {
            **row,
            "removed": bool(grid) and base_label(row["b"]) == grid[0] and row["a"].startswith(REMOVAL_WORDS),
        }
        for row in results.sql(query_of(to, metrics))
    ]
    return sorted(
        rows,
        key=lambda r: (
            place_in(order, r["scenario"]),
            place_in(grid, base_label(r["a"])),
            metrics.index(r["metric"]),
        ),
    )


def short_label(row: Row) -> str:
    """Return the label, without the bracket that it shares with the reference."""
    return base_label(row["a"]) if tuning_of(row["a"]) == tuning_of(row["b"]) else str(row["a"])


def exhibit_differences(results: Results, figure: Row, key: str) -> list[Exhibit]:
    """Return the figure of the forest plots, one for each metric.

    Args:
        results: The sweep.
        figure: As declared: to, metrics and title.
        key: Key of the exhibit.
    """
    title, metrics = figure.get("title") or f"Difference to {figure['to']}", _metrics(figure)
    rows = table_pairs(results, figure["to"], metrics)
    if all(row["verdict"] == "missing" for row in rows):
        missing = f"It takes {figure['to']} and one other configuration, confirmed under the same scenario."
        return [Exhibit(key, title, missing=missing)]
    about = {
        "key": key,
        "title": title,
        "caption": _caption(results, rows),
        "query": query_of(figure["to"], metrics),
    }
    return [exhibit_of(results, rows, about, {m: title_of(m, results.metric) for m in metrics}, short_label)]


def _metrics(figure: Row) -> list[str]:
    return list(figure.get("metrics") or PERSONAL_METRICS)


def _caption(results: Results, rows: Sequence[Row]) -> str:
    """Return what the forest plots show."""
    word = tuning_of(rows[0]["b"])
    tuning = f" All are {word} that do not say otherwise." if word else ""
    text = (
        f"Test {results.metric} of each configuration minus that of {rows[0]['b']} with the same fresh seeds."
    )
    return text + tuning


def sentences_differences(results: Results, figure: Row) -> list[str]:
    """Return a sentence per scenario and metric; of a later metric, only where its verdict differs.

    Args:
        results: The sweep.
        figure: As declared: to and metrics.
    """
    metrics = _metrics(figure)
    rows = table_pairs(results, figure["to"], metrics)
    first = next((metric for metric in metrics if any(row["metric"] == metric for row in rows)), metrics[0])
    verdicts = {(row["scenario"], row["a"]): row["verdict"] for row in rows if row["metric"] == first}
    texts: list[str] = []
    for metric in metrics:
        told = [
            row
            for row in rows
            if row["metric"] == metric
            and (
                metric == first
                or (
                    row["verdict"] != verdicts.get((row["scenario"], row["a"]))
                    and row["verdict"] in ("ahead", "behind", "diverges")
                )
            )
        ]
        for scenario, group in grouped(told, "scenario").items():
            against = "" if texts else f" compared with {rows[0]['b']},"
            texts.append(f"Under {scenario}, {TESTED_METRICS[metric]},{against} {clauses_of(group)}.")
    return with_basis(texts, rows, results.confidence)


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


def exhibit_groups(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """Return the accuracy on head, medium and tail classes, differences to one configuration, a table.

    Args:
        results: The sweep.
        figure: As declared: to and title.
        key: Key of the exhibit.
    """
    title, to = figure.get("title") or TITLE, figure["to"]
    levels, rows = entries_of(confirmed(results, SHARED_METRICS)), table_pairs(results, to, RAREST_FIRST)
    if all(row["verdict"] == "missing" for row in rows):
        missing = (
            f"It takes {to} and one other configuration, confirmed where some classes have at least 1.5 "
            "times the training images of others."
        )
        return [Exhibit(key, title, missing=missing)]
    about = f"The shared parameters alone, test split, fresh seeds. {GROUPING}"
    caption = (
        f"{about} Mean and {basis(levels, results.confidence)}; intervals may overlap although the paired "
        "difference is clear."
    )
    panels = panels_of_groups(results, levels, key)
    reached = Exhibit(
        key,
        title,
        caption,
        results.shown(QUERY_OF_GROUPS),
        panels,
        numbers(levels, SHOWN),
        says=" ".join(sentences_groups(results, figure)),
    )
    gap = {
        "key": f"{key}-gap",
        "title": f"{title}: difference to {rows[0]['b']}",
        "caption": f"{_caption(results, rows)} {about}",
        "query": query_of(to, RAREST_FIRST),
    }
    titles = {metric: title_of(metric, results.metric) for metric in RAREST_FIRST}
    return [
        reached,
        exhibit_of(results, rows, gap, titles, short_label),
        table_of_groups(results, levels, rows, key),
    ]


def table_of_groups(results: Results, levels: Sequence[Row], rows: Sequence[Row], key: str) -> Table:
    """Return accuracy and difference on each group, a line per scenario and configuration.

    Args:
        results: The sweep.
        levels: Accuracies of `SHARED_METRICS`.
        rows: Rows of `table_pairs`.
        key: Key of the exhibit.
    """
    gaps = {(row["scenario"], row["a"], row["metric"]): row for row in rows}
    reference, body = rows[0]["b"], list[list[Any]]()
    for (scenario, label), group in grouped(levels, "scenario", "label").items():
        reached = {row["metric"]: row for row in group}
        cells = [difference_cell(gaps.get((scenario, label, metric))) for metric in SHARED_METRICS]
        cells = [Cell("reference") for _ in cells] if label == reference else cells
        names = [group_cell(body, scenario), Cell(label, "tight")]
        body.append([*names, *(accuracy_cell(reached.get(metric)) for metric in SHARED_METRICS), *cells])
    columns = ["scenario", "configuration", *(f"{group}, %" for group in GROUPS)]
    columns += [f"{group} minus {reference}, points" for group in GROUPS]
    caption = (
        f"Test {results.metric} of the shared parameters alone, mean [{basis(levels, results.confidence)}]; "
        f"differences are paired by seed, with intervals adjusted for all of them. {GROUPING}"
    )
    title, source = (
        f"{capitalized(str(results.metric))} on head, medium and tail classes",
        results.shown(QUERY_OF_GROUPS),
    )
    return Table(columns, body, caption, source, key=f"{key}-table", title=title)


def sentences_groups(results: Results, figure: Row) -> list[str]:
    """Return sentences by scenario about the rarest classes, then the most frequent, then the medium ones.

    Args:
        results: The sweep.
        figure: As declared: to.
    """
    rows, texts = table_pairs(results, figure["to"], RAREST_FIRST), list[str]()
    for group in ("tail", "head", "medium"):
        of_group = [row for row in rows if row["metric"] == f"acc_shared_{group}"]
        for scenario, scenario_rows in grouped(of_group, "scenario").items():
            against = "" if texts else f" with the shared parameters alone, compared with {rows[0]['b']}"
            texts.append(f"Under {scenario}, on {group} classes{against}, {clauses_of(scenario_rows)}.")
    return with_basis(texts, rows, results.confidence)
