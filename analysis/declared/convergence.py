"""Convergence of the shared parameters: their accuracy on the global split, round by round."""

from __future__ import annotations

from collections.abc import Sequence

from ..figures.choices.verdicts import named
from ..figures.differences import difference_cell
from ..figures.exhibits import Draft
from ..figures.outcomes.curves import SHOWN, panels_of_curves, query_of_rounds, table_curves
from ..figures.rows import Column, grouped
from ..look.entries import base_label
from ..look.page import Table
from ..look.words import percent
from ..read.results import Results, Row
from .answers import Answer, headline, in_order, nothing, query_of_verdicts

METRIC = "acc_shared_global"
VERDICTS = query_of_verdicts("convergence")
WORDS = {"ahead": "above", "behind": "below"}


def show_convergence(results: Results, figure: Row, key: str) -> Answer:
    """Return learning curves of the shared parameters alone, and the table of start, end and best round."""
    draft = Draft(results, key, figure.get("title") or "Convergence of the shared parameters")
    ends = in_order(results, results.sql(VERDICTS), "level")
    sharing = {(row["scenario"], row["level"]) for row in ends}
    rows = [row for row in table_curves(results, METRIC) if (row["scenario"], row["label"]) in sharing]
    if not rows:
        return nothing(draft, "two evaluated rounds of a confirmed configuration that shares parameters")
    caption = (
        f"Validation {results.metric} of the shared parameters alone on the global split after each "
        "evaluated round, of configurations confirmed on fresh seeds: mean over seeds, and the range from "
        "the lowest to the highest seed (band; no interval)."
    )
    panels, query = panels_of_curves(results, rows, key, floors=False), query_of_rounds(results, METRIC)
    curves = draft.exhibit(panels, rows, SHOWN, query, caption)
    told = [{**row, "a": f"the shared part of {row['level']}", "b": "its start"} for row in ends]
    first = headline(told, f"in validation {results.metric} on the global split")
    return Answer([curves, _table(draft, ends, rows)], _sentences(results, ends), first, ends)


def _table(draft: Draft, ends: Sequence[Row], curves: Sequence[Row]) -> Table:
    """Return start, end and best round of each configuration and scenario."""
    by_line = grouped(curves, "scenario", "label")

    def best(row: Row) -> str:
        top = max(by_line[row["scenario"], row["level"]], key=lambda r: r["mean"])
        return f"{percent(top['mean'])} (round {top['round']})"

    caption = (
        f"Validation {draft.results.metric} of the shared parameters alone on the global split. Differences "
        "are paired by seed, with intervals adjusted for all of them. The best round has the highest mean, "
        "so its value is a little too high."
    )
    columns: list[Column] = [
        ("start, %", lambda row: percent(row["mean_b"])),
        ("end, %", lambda row: percent(row["mean_a"])),
        ("end minus start, points", lambda row: difference_cell(row, WORDS)),
        ("best, %", best),
    ]
    named_rows = [{**row, "label": row["level"]} for row in ends]
    return draft.table(named_rows, columns, VERDICTS, caption, "Start and end of the shared parameters")


def _sentences(results: Results, rows: Sequence[Row]) -> list[str]:
    """Return a sentence about the recipe's first entry, then one about the others per scenario."""
    first = next(iter(results.meta.get("grid") or [base_label(row["level"]) for row in rows]), "")
    main = [row for row in rows if base_label(row["level"]) == first]
    texts = []
    if main:
        said = named(main, lambda row: f"its start under {row['scenario']}")
        texts.append(f"On the global validation split, the shared part of {main[0]['level']} {said}.")
    for scenario, group in grouped([row for row in rows if row not in main], "scenario").items():
        said = "; that of ".join(f"{row['level']} {named([row], lambda _: 'its start')}" for row in group)
        texts.append(f"Under {scenario}, the shared part of {said}.")
    return texts
