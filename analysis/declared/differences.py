"""Accuracies of a recipe's entries beside one of them, also on groups of classes, and against a setting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ..figures.choices.verdicts import DECIDED, FIELDS, difference_cell, exhibit_of, named
from ..figures.estimates import accuracy_cell, basis, confirmed, entries_of, limits, query_of, quoted
from ..figures.exhibits import Draft
from ..figures.lines import Axis, draw_lines, ends_said, lines_of, panels_of
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
from ..look.style import Figure
from ..look.words import WITHIN, capitalized
from ..read.results import Results, Row, tuning_of
from ..verdicts.recipes import placed
from .answers import Answer, base_sql, beside, headline, in_order, nothing, query_of_verdicts

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
COLUMNS = ("scenario", "x", "label", "metric", "mean", "low", "high", "seeds")
RIVAL = f"""SELECT {FIELDS} FROM verdicts
WHERE kind = 'rival' AND strongest AND split = 'test' AND metric = 'acc_personal_own' ORDER BY number"""


def query_of_pairs(to: str, metrics: Sequence[str]) -> str:
    """Return the SQL of each configuration minus the reference, whose label may end with how it was tuned."""
    return f"""SELECT {FIELDS} FROM differences
WHERE split = 'test' AND metric IN ({quoted(*metrics)}) AND kind IN ('recipe', 'rival', 'tuning')
  AND {quoted(to)} IN (b, {base_sql("b")})
ORDER BY list_position([{quoted(*metrics)}], metric), number"""


def table_pairs(results: Results, to: str, metrics: Sequence[str]) -> list[Row]:
    """Return rows of `verdicts`, as the recipe lists them: test accuracies minus those of the reference `to`.

    They have `removed`: the label says what was left out, and the reference is the recipe's first entry.
    """
    first = next(iter(results.meta.get("grid") or []), None)
    rows = in_order(results, results.sql(query_of_pairs(to, metrics)), "a")
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
    reported = [
        row
        for row in rows
        if row["metric"] == first
        or row["verdict"] in set(DECIDED) - {verdicts.get((row["scenario"], row["a"]))}
    ]
    words = {metric: TESTED_METRICS[metric] for metric in metrics[metrics.index(first) :]}
    return _answer(results, [_forest(draft, rows, to, metrics)], reported, rows, words)


def show_groups(results: Results, figure: Row, key: str) -> Answer:
    """Return the accuracy on head, medium and tail classes, differences to one configuration, a table."""
    draft, to = Draft(results, key, figure.get("title") or TITLE), figure["to"]
    levels, rows = table_groups(results), table_pairs(results, to, RAREST_FIRST)
    if all(row["verdict"] == "missing" for row in rows):
        unequal = "some classes have at least 1.5 times the training images of others"
        return nothing(draft, f"{to} and one other configuration, confirmed where {unequal}")
    of_gap = Draft(results, f"{key}-gap", f"{draft.title}: difference to {rows[0]['b']}")
    gap = _forest(of_gap, rows, to, RAREST_FIRST)
    gap = replace(gap, caption=f"{gap.caption} The shared parameters alone. {GROUPING}")
    reached = exhibit_reached(draft, levels)
    words = {f"acc_shared_{group}": f"on {group} classes" for group in ("tail", "head", "medium")}
    words["acc_shared_tail"] += " with the shared model alone"
    return _answer(results, [reached, gap, _table(draft, levels, rows)], rows, rows, words)


def _forest(draft: Draft, rows: Sequence[Row], to: str, metrics: Sequence[str]) -> Exhibit:
    word, metric = tuning_of(rows[0]["b"]), draft.results.metric
    caption = f"Test {metric} of each configuration minus that of {rows[0]['b']} with the same fresh seeds."
    caption += f" All are {word} that do not say otherwise." if word else ""
    titles = {name: title_of(name, metric) for name in metrics}
    return exhibit_of(draft, rows, titles, short_label, query_of_pairs(to, metrics), caption)


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


def table_against(results: Results, path: str) -> list[Row]:
    """Return the confirmed accuracies and the floors with `x`, `line` and `family` (see `recipes.placed`).

    Rows whose trial has no number at the path are left out.
    """
    trials = results.sql("SELECT * FROM trials WHERE kind = 'confirm' ORDER BY trial")
    places = placed(trials, path)
    at = {(t["scenario"], t["label"]): places[t["trial"]] for t in trials if t["trial"] in places}
    of_floors = {scenario: place for (scenario, _), place in at.items()}
    rows = []
    for row in confirmed(results, tuple(PERSONAL_METRICS)):
        if row["kind"] == "floor" and row["scenario"] in of_floors:
            rows.append({**row, **of_floors[row["scenario"]], "line": row["label"]})
        elif place := at.get((row["scenario"], row["label"])):
            rows.append({**row, **place})
    return rows


def show_against(results: Results, figure: Row, key: str) -> Answer:
    """Return accuracy against a setting: own and global for each family of scenarios."""
    path, metric = figure["x"], results.metric
    name = str(figure.get("name") or path.rpartition(".")[2])
    title, rows = f"{capitalized(str(metric))} against {name}", table_against(results, path)
    draft = Draft(results, key, figure.get("title") or title)
    if not rows:
        needed = f"configurations confirmed at two values of {path} in scenarios alike otherwise"
        return nothing(draft, needed)
    axis = Axis(name, f"test {metric}, %", limits(rows), values=sorted({row["x"] for row in rows}))

    def draw(shown: list[Row]) -> Figure:
        return draw_lines(lines_of(shown, "line"), axis, height=3.3)

    placed_rows = [{**row, "panel": f"{row['family']}: {PERSONAL_METRICS[row['metric']]}"} for row in rows]
    panels = panels_of(placed_rows, key, draw, ends_said, "panel", "line")
    tuned = any(tuning_of(row["label"]) not in ("", "untuned") for row in entries_of(rows))
    tuning = "Each entry is tuned in each scenario, so tuned settings may differ along a line. "
    caption = (
        f"Test {metric} on fresh seeds against {name} ({path}): mean and {basis(rows, results.confidence)}. "
        "Within a panel, scenarios are set up alike otherwise. Fewer images per client also mean fewer "
        f"steps per round. {tuning if tuned else ''}Hollow and dashed: untuned. Thin grey lines: what no "
        "method should fall below. Intervals of single lines may overlap although their paired difference is "
        "clear."
    )
    query = query_of(tuple(PERSONAL_METRICS))
    exhibit = draft.exhibit(panels, rows, COLUMNS, query, caption)
    changes, place = results.sql(query_of_verdicts("against")), {row["scenario"]: row for row in rows}
    rivals = [row for row in results.sql(RIVAL) if row["scenario"] in place]
    texts = []
    for row in changes:
        near = [rival for rival in rivals if place[rival["scenario"]]["family"] == row["level"]]
        verdicts = named(near, lambda rival: f"{rival['level']} at {place[rival['scenario']]['x']:g} {name}")
        strongest = f" Beside the strongest rival by validation, it {verdicts}." if verdicts else ""
        texts.append(f"{row['level']}: {beside(row)}.{strongest}")
    families = [{**row, "scenario": row["level"]} for row in changes]
    first = headline(families, f"in test {metric} {PERSONAL_METRICS['acc_personal_own']}")
    return Answer([exhibit], texts, first, [*changes, *rivals])
