"""Differences of a recipe: forest plots by metric, cells, and what brackets in sentences are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..look.forest import axis_frame, draw_differences
from ..look.page import Cell, Exhibit
from ..look.words import bracket, points, short_listing, shorten, shown
from ..read.results import Row
from .choices.verdicts import DECIDED, READING, look
from .estimates import panel
from .exhibits import Draft
from .rows import grouped

LETTERS = 24  # of the name of a line; longer ones would leave no room for the plot
SHOWN = (
    *("scenario", "level", "a", "b", "metric", "estimate", "low", "high", "low_both", "high_both"),
    *("worst_case", "adjusted_low", "adjusted_high", "seeds", "seeds_planned", "verdict", "reason"),
    "seeds_needed",
)
FIELDS = "* EXCLUDE (seeds), coalesce(len(seeds), 0) AS seeds"
Name = Callable[[Row], str]


def difference_cell(row: Row | None, words: Mapping[str, str] | None = None) -> Cell:
    """Return `+2.1 [+1.0, +3.2] ahead` with the look of the verdict; the reason shows where one points.

    `words` has other words for verdicts.
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
    sizes = sorted({row["family_size"] or 1 for row in bracketed})
    adjusted = f", adjusted for {' or '.join(map(str, sizes))} differences" if sizes[-1] > 1 else ""
    return [f"{texts[0]} In brackets: {confidence:.0%} intervals over seeds{images}{adjusted}.", *texts[1:]]


def exhibit_of(
    draft: Draft, rows: Sequence[Row], titles: Mapping[str, str], name: Name, query: str, caption: str
) -> Exhibit:
    """Return forest plots of rows of `verdicts`, a panel per metric.

    `titles` are those of the panels by metric, in order; `name` is what a row is called.
    """
    frame, measured = axis_frame(rows), [m for m in titles if any(row["metric"] == m for row in rows)]
    panels, label = [], f"points against {rows[0]['b']}"
    for metric in measured:
        drawn = [row for row in rows if row["metric"] == metric]
        by_scenario = grouped(drawn, "scenario").items()
        lines = {
            scenario: [(shorten(name(row), LETTERS), row) for row in group] for scenario, group in by_scenario
        }
        key = f"{draft.key}-{metric.replace('_', '-')}"
        panels.append(panel(key, titles[metric], draw_differences(lines, frame, label), seen(drawn, name)))
    says = seen([row for row in rows if row["metric"] == measured[0]], name)
    return draft.exhibit(panels, rows, SHOWN, query, f"{caption} {READING}", says)


def seen(rows: Sequence[Row], name: Name) -> str:
    """Return how many rows have each verdict, with the names of those ahead, behind or diverging."""
    texts = []
    for verdict, group in grouped(rows, "verdict").items():
        names = short_listing([f"{name(row)} under {row['scenario']}" for row in group])
        texts.append(f"{len(group)} {verdict}" + (f" ({names})" if verdict in DECIDED else ""))
    return f"Of {len(rows)} differences, {'; '.join(texts)}."
