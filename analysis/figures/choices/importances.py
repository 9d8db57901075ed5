"""Importances of parameters from a search's own trials: diagnostics without verdicts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ... import stats as sensitivity
from ...look.entries import look_at
from ...look.marks import name_rows
from ...look.page import Exhibit, numbers
from ...look.style import FAINT, blank, drawing, legend_below
from ...look.words import count, shorten
from ...read.results import Results, Row
from ..estimates import panels_by_title
from ..rows import grouped, symbol_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Hints from the search's trials (no verdict)"
QUERY = """SELECT study, trial, state, objective, params
FROM trials WHERE kind = 'search' ORDER BY study, trial"""
COLUMNS = ("study", "path", "by", "value", "low", "high", "active")
Diagnoses = Mapping[str, sensitivity.Importances]  # by study


def diagnoses(results: Results) -> Diagnoses | None:
    """Return the importances of every study that was searched; None while the sweep runs.

    They take time to compute and change with every trial.
    """
    if results.meta.get("status") == "running":
        return None
    factors = (results.meta.get("design") or {}).get("factors") or {}
    return {
        study: sensitivity.importances(
            trials, factors=factors.get(study) or (), confidence=results.confidence
        )
        for study, trials in grouped(results.sql(QUERY), "study").items()
    }


def rows_of(results: Results, study: str, found: sensitivity.Importances) -> list[Row]:
    """Return a row per parameter and measure, the parameters sorted by the loss when they are shuffled."""
    loss = {index.name: index.value for index in found.columns.get("permutation", ())}
    rows = [
        {
            **{"study": study, "path": index.name, "symbol": symbol_of(results, index.name), "by": measure},
            **{"value": index.value, "low": index.low, "high": index.high},
            "active": found.active.get(index.name),
        }
        for measure, indices in found.columns.items()
        for index in indices
        if math.isfinite(index.value)
    ]
    return sorted(rows, key=lambda row: -loss.get(row["path"], 0.0))


@drawing
def draw_importances(rows: Sequence[Row]) -> Figure:
    """Draw a line per parameter and a mark per measure, with its interval over resampled trials."""
    symbols, measures = {row["path"]: row["symbol"] for row in rows}, grouped(rows, "by")
    figure, axes = blank(0.95 + 0.27 * len(symbols))
    for place in range(len(symbols)):
        axes.axhline(place + 0.5, color=FAINT, linewidth=0.4, zorder=0)
    for place, (measure, group) in enumerate(measures.items()):
        look, shift = look_at(place), 0.24 * (place - (len(measures) - 1) / 2)
        heights = [list(symbols).index(row["path"]) + shift for row in group]
        for y, row in zip(heights, group, strict=True):
            if row["low"] is not None and math.isfinite(row["low"]):
                axes.plot([row["low"], row["high"]], [y, y], color=look.colour, linewidth=1)
        values = [row["value"] for row in group]
        axes.plot(values, heights, look.marker, color=look.colour, markersize=3.8, label=measure)
    name_rows(axes, [shorten(symbol, 18) for symbol in symbols.values()])
    axes.set(ylim=(len(symbols) - 0.5, -0.5), xlabel="share, or loss of held-out R2")
    legend_below(figure, axes)
    return figure


def exhibit(results: Results, studies: Diagnoses | None) -> Exhibit | None:
    """Return the figure of the importances, a panel per study; None where nothing was searched.

    Args:
        results: The sweep.
        studies: What `diagnoses` returns.
    """
    if studies is None:
        searched = any(trial["kind"] == "search" for trial in results.trials)
        missing = "It is computed when the sweep has ended."
        return Exhibit("importances", TITLE, missing=missing) if searched else None
    shown = {study: found for study, found in studies.items() if not found.reason}
    withheld = " ".join(f"{study}: withheld, {f.reason}." for study, f in studies.items() if f.reason)
    source = results.shown(QUERY)
    if not shown:
        return Exhibit("importances", TITLE, missing=withheld, source=source) if studies else None
    rows = {study: rows_of(results, study, found) for study, found in shown.items()}
    fits = [f"{study}: held-out R2 {f.r2:.2f}, {count(f.used, 'trial')}" for study, f in shown.items()]
    caption = (
        f"These are {sensitivity.Importances.caution}: they suggest where to look, and decide nothing. "
        "fANOVA and PED-ANOVA are shares of a whole. Permutation is the loss of held-out R2 when a "
        "parameter is shuffled. Intervals come from resampled trials; they do not show bias. Shown only "
        f"where a surrogate predicts held-out trials with an R2 of at least 0.8. {'; '.join(fits)}. "
        f"{withheld}"
    )
    panels = panels_by_title(rows, "importances", draw_importances, _seen)
    table = numbers([row for group in rows.values() for row in group], COLUMNS)
    return Exhibit("importances", TITLE, caption.strip(), source, panels, table)


def _seen(rows: Sequence[Row]) -> str:
    return f"by importance, {', '.join(dict.fromkeys(row['symbol'] for row in rows))}"
