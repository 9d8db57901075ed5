"""Importances of parameters from a search's own trials: diagnostics without verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ... import stats as sensitivity
from ...look.marks import name_rows
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import FAINT, MARKERS, PALETTE, blank, drawing, legend_below
from ...look.words import count, shorten
from ...read.results import Results, Row
from ..rows import symbol_of, symbols_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Hints from the search's trials (no verdict)"
QUERY = """SELECT study, trial, state, objective, params
FROM trials WHERE kind = 'search' ORDER BY study, trial"""
COLUMNS = ("study", "path", "by", "value", "low", "high", "active")


@dataclass(frozen=True)
class Diagnosis:
    """Importances from the search of one study, or the reason why they are withheld."""

    study: str
    importances: sensitivity.Importances


def diagnoses(results: Results) -> list[Diagnosis] | None:
    """Return the importances of every study that was searched; None while the sweep runs.

    They take time to compute and change with every trial.
    """
    if results.meta.get("status") == "running":
        return None
    factors = (results.meta.get("design") or {}).get("factors") or {}
    by_study: dict[str, list[Row]] = {}
    for trial in results.sql(QUERY):
        by_study.setdefault(trial["study"], []).append(trial)
    return [
        Diagnosis(
            study,
            sensitivity.importances(trials, factors=factors.get(study) or (), confidence=results.confidence),
        )
        for study, trials in by_study.items()
    ]


def rows_of(results: Results, diagnosis: Diagnosis) -> list[Row]:
    """Return a row per parameter and measure, the parameters sorted by the loss when they are shuffled."""
    symbols = symbols_of(results)
    permutation_loss = {
        index.name: index.value for index in diagnosis.importances.columns.get("permutation", ())
    }
    rows = [
        {
            "study": diagnosis.study,
            "path": index.name,
            "symbol": symbol_of(symbols, index.name),
            "by": measure,
            "value": index.value,
            "low": index.low,
            "high": index.high,
            "active": diagnosis.importances.active.get(index.name),
        }
        for measure, indices in diagnosis.importances.columns.items()
        for index in indices
        if math.isfinite(index.value)
    ]
    return sorted(rows, key=lambda r: -permutation_loss.get(r["path"], 0.0))


@drawing
def draw_importances(rows: Sequence[Row]) -> Figure:
    """Draw a line per parameter and a mark per measure, with its interval over resampled trials."""
    paths, measures = list(dict.fromkeys(r["path"] for r in rows)), list(dict.fromkeys(r["by"] for r in rows))
    figure, axes = blank(0.95 + 0.27 * len(paths))
    for y in range(len(paths)):
        axes.axhline(y + 0.5, color=FAINT, linewidth=0.4, zorder=0)
    for number, measure in enumerate(measures):
        measure_rows = [r for r in rows if r["by"] == measure]
        heights = [paths.index(r["path"]) + 0.24 * (number - (len(measures) - 1) / 2) for r in measure_rows]
        for height, row in zip(heights, measure_rows, strict=True):
            if row["low"] is not None and math.isfinite(row["low"]):
                axes.plot([row["low"], row["high"]], [height, height], color=PALETTE[number], linewidth=1)
        axes.plot(
            [r["value"] for r in measure_rows],
            heights,
            MARKERS[number],
            color=PALETTE[number],
            markersize=3.8,
            label=measure,
        )
    names = {r["path"]: r["symbol"] for r in rows}
    name_rows(axes, [shorten(names[path], 18) for path in paths])
    axes.set(ylim=(len(paths) - 0.5, -0.5), xlabel="share, or loss of held-out R2")
    legend_below(figure, axes)
    return figure


def exhibit(results: Results, studies: Sequence[Diagnosis] | None) -> Exhibit | None:
    """Return the figure of the importances, a panel per study; None where nothing was searched.

    Args:
        results: The sweep.
        studies: What `diagnoses` returns.
    """
    if studies is None:
        searched = any(trial["kind"] == "search" for trial in results.trials)
        missing = "It is computed when the sweep has ended."
        return Exhibit("importances", TITLE, missing=missing) if searched else None
    shown = [diagnosis for diagnosis in studies if not diagnosis.importances.reason]
    withheld = " ".join(
        f"{diagnosis.study}: withheld, {diagnosis.importances.reason}."
        for diagnosis in studies
        if diagnosis.importances.reason
    )
    if not shown:
        return (
            Exhibit("importances", TITLE, missing=withheld, source=results.shown(QUERY)) if studies else None
        )
    panels, rows, fits = [], [], []
    for diagnosis in shown:
        study_rows, study = rows_of(results, diagnosis), diagnosis.study
        figure = draw_importances(study_rows)
        panels.append(Panel(f"importances-{slug(study)}", study, figure))
        rows += study_rows
        importances = diagnosis.importances
        fits.append(f"{study}: held-out R2 {importances.r2:.2f}, {count(importances.used, 'trial')}")
    caption = (
        f"These are {sensitivity.Importances.caution}: they suggest where to look, and decide nothing. "
        "fANOVA and PED-ANOVA are shares of a whole. Permutation is the loss of held-out R2 when a "
        "parameter is shuffled. Intervals come from resampled trials; they do not show bias. Shown only "
        f"where a surrogate predicts held-out trials with an R2 of at least 0.8. {'; '.join(fits)}. "
        f"{withheld}"
    )
    source = results.shown(QUERY)
    return Exhibit("importances", TITLE, caption.strip(), source, panels, numbers(rows, COLUMNS))
