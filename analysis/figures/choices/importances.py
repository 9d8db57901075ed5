"""Importances of parameters from a search's own trials: diagnostics without verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ... import stats as sensitivity
from ...look.marks import name_rows, panel_width
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, MARKERS, PALETTE, WIDTH, blank, drawing, legend_below
from ...look.words import count, shorten
from ...read.queries import parts
from ...read.results import Results, Row
from ..rows import two_digits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Hints from the search's trials (no verdict)"
QUERY = f"""SELECT study, trial, state, objective, params FROM {parts("trials")}
WHERE kind = 'search' ORDER BY study, trial"""


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
    trials = [t for t in results.trials if t["kind"] == "search"]
    factors = (results.meta.get("design") or {}).get("factors") or {}
    return [
        Diagnosis(
            study,
            sensitivity.importances(
                [t for t in trials if t["study"] == study],
                factors=factors.get(study) or (),
                confidence=results.confidence,
            ),
        )
        for study in dict.fromkeys(t["study"] for t in trials)
    ]


def rows_of(results: Results, diagnosis: Diagnosis) -> list[Row]:
    """Return a row per parameter and measure, the parameters sorted by the loss when they are shuffled."""
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    permutation_loss = {
        index.name: index.value for index in diagnosis.importances.columns.get("permutation", ())
    }
    rows = [
        {
            "study": diagnosis.study,
            "path": index.name,
            "symbol": symbols.get(index.name) or index.name.rpartition(".")[2],
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
def draw_importances(rows: Sequence[Row], width: float = WIDTH) -> Figure:
    """Draw a line per parameter and a mark per measure, with its interval over resampled trials."""
    paths, measures = list(dict.fromkeys(r["path"] for r in rows)), list(dict.fromkeys(r["by"] for r in rows))
    figure, axes = blank(0.95 + 0.27 * len(paths), width)
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
        return Exhibit("importances", TITLE, missing=withheld, source=QUERY) if studies else None
    panels, rows, fits = [], [], []
    for diagnosis in shown:
        study_rows, study = rows_of(results, diagnosis), diagnosis.study
        figure = draw_importances(study_rows, panel_width(len(shown)))
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
    columns = ("study", "path", "by", "value", "low", "high", "active")
    return Exhibit("importances", TITLE, caption.strip(), QUERY, panels, numbers(rows, columns))


def table(results: Results, studies: Sequence[Diagnosis] | None) -> Table | None:
    """Return the importances as a folded table.

    Args:
        results: The sweep.
        studies: What `diagnoses` returns.
    """
    shown = [diagnosis for diagnosis in studies or [] if not diagnosis.importances.reason]
    if not shown:
        return None
    measures = list(dict.fromkeys(name for diagnosis in shown for name in diagnosis.importances.columns))
    body: list[list[Any]] = []
    for diagnosis in shown:
        cells: dict[str, dict[str, str]] = {}
        for row in rows_of(results, diagnosis):
            cells.setdefault(row["path"], {}).setdefault(row["by"], _cell(row))
        for path, values in cells.items():
            active = f"{diagnosis.importances.active.get(path, 0.0):.0%}"
            in_order = [values.get(measure, "\u2013") for measure in measures]
            body.append([diagnosis.study, Cell(path, "code"), *in_order, active])
    return Table(
        ["study", "parameter", *measures, "active in"],
        body,
        "Diagnostics of an adaptive search; no verdict follows from them.",
        QUERY,
        folded=f"All {len(body)} parameters",
        key="table-importances",
        title="Search diagnostics",
    )


def _cell(row: Row) -> str:
    if row["low"] is None or not math.isfinite(row["low"]):
        return two_digits(row["value"])
    return f"{two_digits(row['value'])} [{two_digits(row['low'])}, {two_digits(row['high'])}]"
