"""What a search's own trials suggest about its parameters: diagnostics without verdicts, shown only where a surrogate knows the outcome."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ... import stats as sensitivity
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, MARKERS, NARROW, PALETTE, WIDTH, blank, drawing, legend_below
from ...look.words import count, shorten
from ...read.queries import parts
from ...read.results import Results, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "What the search's trials suggest (no verdict)"
QUERY = f"""SELECT study, trial, state, objective, params FROM {parts("trials")} WHERE kind = 'search' ORDER BY study, trial"""


@dataclass(frozen=True)
class Diagnosis:
    """The importances of one study's search, or why they are withheld."""

    study: str
    found: sensitivity.Importances


def diagnoses(results: Results) -> list[Diagnosis] | None:
    """The importances of every study that was searched; None while the sweep runs: they take time, and change with every trial."""
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


def rows_of(results: Results, one: Diagnosis) -> list[Row]:
    """A row per parameter and way of measuring, the parameters by what shuffling them costs."""
    symbols = {f["path"]: f["symbol"] for f in results.meta.get("factors") or []}
    cost = {i.name: i.value for i in one.found.columns.get("permutation", ())}
    rows = [
        {
            "study": one.study,
            "path": i.name,
            "symbol": symbols.get(i.name) or i.name.rpartition(".")[2],
            "by": by,
            "value": i.value,
            "low": i.low,
            "high": i.high,
            "active": one.found.active.get(i.name),
        }
        for by, found in one.found.columns.items()
        for i in found
        if math.isfinite(i.value)
    ]
    return sorted(rows, key=lambda r: -cost.get(r["path"], 0.0))


@drawing
def draw_importances(rows: Sequence[Row], width: float = WIDTH) -> Figure:
    """A line per parameter, a mark per way of measuring, with the interval over resampled trials where there is one."""
    paths, ways = list(dict.fromkeys(r["path"] for r in rows)), list(dict.fromkeys(r["by"] for r in rows))
    figure, axes = blank(0.95 + 0.27 * len(paths), width)
    for y in range(len(paths)):
        axes.axhline(y + 0.5, color=FAINT, linewidth=0.4, zorder=0)
    for place, way in enumerate(ways):
        own = [r for r in rows if r["by"] == way]
        heights = [paths.index(r["path"]) + 0.24 * (place - (len(ways) - 1) / 2) for r in own]
        for height, row in zip(heights, own, strict=True):
            if row["low"] is not None and math.isfinite(row["low"]):
                axes.plot([row["low"], row["high"]], [height, height], color=PALETTE[place], linewidth=1)
        axes.plot(
            [r["value"] for r in own],
            heights,
            MARKERS[place],
            color=PALETTE[place],
            markersize=3.8,
            label=way,
        )
    names = {r["path"]: r["symbol"] for r in rows}
    axes.set_yticks(range(len(paths)), [shorten(names[path], 18) for path in paths])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set(ylim=(len(paths) - 0.5, -0.5), xlabel="share, or loss of held-out R2")
    legend_below(figure, axes)
    return figure


def exhibit(results: Results, found: Sequence[Diagnosis] | None) -> Exhibit | None:
    """The importances, a panel per study; None where nothing was searched."""
    if found is None:
        searched = any(t["kind"] == "search" for t in results.trials)
        return (
            Exhibit("importances", TITLE, missing="Worked out when the sweep has ended.")
            if searched
            else None
        )
    shown = [one for one in found if not one.found.reason]
    withheld = " ".join(f"{one.study}: withheld, {one.found.reason}." for one in found if one.found.reason)
    if not shown:
        return Exhibit("importances", TITLE, missing=withheld, source=QUERY) if found else None
    width = NARROW if len(shown) > 2 else WIDTH
    panels = [
        Panel(f"importances-{slug(one.study)}", one.study, draw_importances(rows_of(results, one), width))
        for one in shown
    ]
    fits = "; ".join(
        f"{one.study}: held-out R2 {one.found.r2:.2f}, {count(one.found.used, 'trial')}" for one in shown
    )
    caption = (
        f"These are {sensitivity.Importances.caution}: they suggest where to look, and decide nothing. "
        "fANOVA and PED-ANOVA are "
        "shares of a "
        "whole; permutation is how much held-out R2 is lost when a parameter is shuffled. Intervals, where "
        "there are any, come from "
        "drawing "
        "trials again; they show no bias. Shown only where a surrogate predicts held-out trials with an R2 "
        "of at least 0.8. "
        f"{fits}. {withheld}"
    )
    columns = ("study", "path", "by", "value", "low", "high", "active")
    flat = [row for one in shown for row in rows_of(results, one)]
    return Exhibit("importances", TITLE, caption.strip(), QUERY, panels, numbers(flat, columns))


def table(results: Results, found: Sequence[Diagnosis] | None) -> Table | None:
    """The importances as numbers, folded away."""
    shown = [one for one in found or [] if not one.found.reason]
    if not shown:
        return None
    ways = list(dict.fromkeys(way for one in shown for way in one.found.columns))
    body: list[list[Any]] = []
    for one in shown:
        rows = rows_of(results, one)
        for path in dict.fromkeys(r["path"] for r in rows):
            cells = [
                next((_cell(r) for r in rows if r["path"] == path and r["by"] == way), "\u2013")
                for way in ways
            ]
            body.append([one.study, Cell(path, "code"), *cells, f"{one.found.active.get(path, 0.0):.0%}"])
    caption = "Diagnostics of an adaptive search; no verdict follows from them."
    return Table(
        ["study", "parameter", *ways, "active in"],
        body,
        caption,
        QUERY,
        folded=f"All {len(body)} parameters",
        key="table-importances",
        title="Search diagnostics",
    )


def _cell(row: Row) -> str:
    ends = (
        f" [{row['low']:.2f}, {row['high']:.2f}]"
        if row["low"] is not None and math.isfinite(row["low"])
        else ""
    )
    return f"{row['value']:.2f}{ends}".replace("-", "\u2212")
