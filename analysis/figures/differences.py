"""Differences of a recipe: forest plots by metric, cells, and what brackets in sentences are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..look.forest import axis_frame, draw_differences
from ..look.page import Cell, Exhibit, numbers
from ..look.words import bracket, points, short_listing, shown
from ..read.results import Results, Row
from .choices.verdicts import DECIDED, READING, look
from .estimates import panel, quoted
from .rows import grouped

SHOWN = (
    *("scenario", "level", "a", "b", "metric", "estimate", "low", "high", "low_both", "high_both"),
    *("worst_case", "adjusted_low", "adjusted_high", "seeds", "seeds_planned", "verdict", "reason"),
    "seeds_needed",
)
FIELDS = "* EXCLUDE (seeds), coalesce(len(seeds), 0) AS seeds"
Name = Callable[[Row], str]


def query_of(*kinds: str, where: str) -> str:
    """Return the SQL of the differences of some kinds."""
    return f"SELECT {FIELDS} FROM verdicts WHERE kind IN ({quoted(*kinds)}) AND {where} ORDER BY number"


def difference_cell(row: Row | None, words: Mapping[str, str] | None = None) -> Cell:
    """Return `+2.1 [+1.0, +3.2] ahead` with the look of the verdict; the reason shows where one points.

    Args:
        row: A row of `verdicts`; None: an empty cell.
        words: Verdict -> another word for it.
    """
    if row is None:
        return Cell("")
    word, reason = (words or {}).get(row["verdict"], row["verdict"]), row["reason"] or ""
    value = shown(row)
    if row["verdict"] in ("no effect", "missing", "diverges") or value is None:
        return Cell(word, f"tight {look(row)}", reason)
    ends = bracket(row["adjusted_low"], row["adjusted_high"]) or "(no interval)"
    return Cell(f"{points(value)} {ends} {word}", f"tight {look(row)}", reason)


def with_basis(texts: Sequence[str], rows: Sequence[Row], confidence: float) -> list[str]:
    """Return the sentences; the first is followed by what the brackets are.

    A verdict on the test split is read from the interval over seeds and images, where images were kept.
    """
    bracketed = [row for row in rows if row["adjusted_low"] is not None]
    if not texts or not bracketed:
        return list(texts)
    wide = [row["split"] == "test" and row["low_both"] is not None for row in bracketed]
    images = " and images" if all(wide) else ", and images where they were kept" if any(wide) else ""
    many = max(row["family_size"] or 1 for row in rows)
    adjusted = f", adjusted for {many} differences" if many > 1 else ""
    return [f"{texts[0]} In brackets: {confidence:.0%} intervals over seeds{images}{adjusted}.", *texts[1:]]


def exhibit_of(
    results: Results, rows: Sequence[Row], about: Mapping[str, str], titles: Mapping[str, str], name: Name
) -> Exhibit:
    """Return forest plots, a panel per metric.

    Args:
        results: The result folder.
        rows: Rows of `verdicts`.
        about: The key, title and caption of the exhibit, and the query of the rows.
        titles: Metric -> title of its panel, in order.
        name: What a row is called.
    """
    frame, measured = axis_frame(rows), [m for m in titles if any(row["metric"] == m for row in rows)]
    panels, label = [], f"points against {rows[0]['b']}"
    for metric in measured:
        drawn = [row for row in rows if row["metric"] == metric]
        by_scenario = grouped(drawn, "scenario").items()
        lines = {scenario: [(name(row), row) for row in group] for scenario, group in by_scenario}
        key = f"{about['key']}-{metric.replace('_', '-')}"
        panels.append(panel(key, titles[metric], draw_differences(lines, frame, label), seen(drawn, name)))
    says = seen([row for row in rows if row["metric"] == measured[0]], name)
    caption, source = f"{about['caption']} {READING}", results.shown(about["query"])
    return Exhibit(about["key"], about["title"], caption, source, panels, numbers(rows, SHOWN), says=says)


def seen(rows: Sequence[Row], name: Name) -> str:
    """Return how many rows have each verdict, with the names of those ahead, behind or diverging."""
    texts = []
    for verdict, group in grouped(rows, "verdict").items():
        names = short_listing([f"{name(row)} under {row['scenario']}" for row in group])
        texts.append(f"{len(group)} {verdict}" + (f" ({names})" if verdict in DECIDED else ""))
    return f"Of {len(rows)} differences, {'; '.join(texts)}."
