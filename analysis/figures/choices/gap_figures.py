"""Figures and table of the specification gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ...look.forest import axis_limit, draw_difference
from ...look.marks import finish_differences, panel_width
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import FAINT, WIDTH, blank, drawing
from ...look.words import WITHIN, listing, points, span
from ...read import queries
from ...read.metric import Metric
from ...read.results import Results, Row
from ...stats.intervals import Interval
from ..rows import interval_columns
from .gaps import choices_in_words
from .winners import QUERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure


EFFECT_WORDS = {
    "helps": "raises {}",
    "hurts": "lowers {}",
    "level": "does not matter",
    "undecided": "undecided",
}


LEAD_VERDICTS = {
    "survives": "helps",
    "reverses": "hurts",
    "behind": "hurts",
    "deficit": "hurts",
    "undecided": "undecided",
    "": "",
}


LEAD_WORDS = {
    "survives": "survives",
    "reverses": "reverses",
    "behind": "none: behind at the anchor too",
    "deficit": "behind there; undecided at the anchor",
    "undecided": "undecided",
    "": "not asked: rivals have the same setting",
}


@drawing
def draw_effects(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """Draw a line per choice: a grey dot for each level, and the reported level with its interval.

    Args:
        rows: Rows of `gaps.table_gaps` of one scenario that have an interval.
        limit: Half the width of the x axis in points.
        width: Width of the panel, inches.
    """
    figure, axes = blank(0.55 + 0.19 * len(rows), width)
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        means = [100 * mean for mean in row["effects"].values()]
        axes.plot(means, [y] * len(means), "o", color="#b9b9b9", markersize=2.6, zorder=1)
        draw_difference(axes, y, row, (-limit, limit))
    finish_differences(axes, [row["symbol"] for row in rows], limit, "points against the anchor")
    return figure


@drawing
def draw_leads(rows: Sequence[Row], limit: float, width: float = WIDTH) -> Figure:
    """Draw a line per choice of the method: its smallest lead over the rival, over all levels and the anchor.

    Args:
        rows: Rows of `gaps.table_gaps` of one scenario that have a lead.
        limit: Half the width of the x axis in points.
        width: Width of the panel, inches.
    """
    figure, axes = blank(0.55 + 0.19 * len(rows), width)
    for y, row in enumerate(rows):
        axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0)
        draw_difference(axes, y, {**row, "verdict": LEAD_VERDICTS[row["lasts"]]}, (-limit, limit))
    label = "smallest lead over the rival, points"
    finish_differences(axes, [row["symbol"] for row in rows], limit, label)
    return figure


def exhibits(results: Results, rows: Sequence[Row]) -> list[Exhibit]:
    """Return two figures, the effect of each choice and the lead over the rival, with a panel per scenario.

    Args:
        results: The sweep.
        rows: Rows of `gaps.table_gaps`.
    """
    title = "Largest effect of each open choice"
    effects = [{**row, **interval_columns(row["interval"])} for row in rows if row["interval"] is not None]
    if not effects:
        missing = "No choice is contrasted yet: it takes an anchor and one changed choice of one study."
        return [Exhibit("gaps", title, missing=missing)]
    caption = (
        f"Effect of each choice on validation {results.metric} (personal, own distribution) against the "
        "anchor, paired by seed. Grey dots: all levels. The mark is one level: the level farthest from "
        "the anchor among those whose interval excludes zero, else the farthest of all. It is picked from "
        "several, so its interval is widened: all levels of a choice hold together with "
        f"{results.confidence:.0%} (Bonferroni). Blue: it raises {results.metric}; orange: it lowers it; "
        f"green: no level matters ({WITHIN}); grey: undecided."
    )
    columns = ("scenario", "path", "level", "mean", "low", "high", "verdict", "firm")
    panels, table = _panels("gaps", effects, draw_effects), numbers(effects, columns)
    leads = [{**row, **interval_columns(row["lead"])} for row in rows if row["lead"] is not None]
    return [
        Exhibit("gaps", title, caption, queries.CONTRASTS, panels, table),
        *([_exhibit_leads(results, leads)] if leads else []),
    ]


def _exhibit_leads(results: Results, leads: Sequence[Row]) -> Exhibit:
    scenarios: dict[str, dict[str, None]] = {}
    for row in leads:
        scenarios.setdefault(f"{row['rival'].label}, {row['rival'].why}", {})[row["scenario"]] = None
    rivals = [
        f"{rival} (under {listing(list(places))})" if len(scenarios) > 1 else rival
        for rival, places in scenarios.items()
    ]
    caption = (
        "Smallest lead of the method over its rival, over all tried levels of one choice and the anchor, "
        "on validation and common seeds. Intervals are widened, so that all levels of a choice hold "
        f"together with {results.confidence:.0%} (Bonferroni). Blue: ahead at every level, so the lead "
        f"survives; orange: behind at some level; grey: undecided. The rival: {'; '.join(rivals)}. "
        "Training settings are left out, because they change the rival too."
    )
    table_rows = [{**row, "rival": row["rival"].label} for row in leads]
    columns = ("scenario", "path", "least", "rival", "mean", "low", "high", "lasts", "lasts_firm")
    panels, table = _panels("gaps-lead", leads, draw_leads), numbers(table_rows, columns)
    return Exhibit("gaps-lead", "Does the lead survive the whole range?", caption, QUERY, panels, table)


def _panels(
    key: str, rows: Sequence[Row], draw: Callable[[Sequence[Row], float, float], Figure]
) -> list[Panel]:
    """Return a panel per scenario, all with the same x axis."""
    limit, scenarios = axis_limit(rows), list(dict.fromkeys(row["scenario"] for row in rows))
    panels = []
    for scenario in scenarios:
        figure = draw([r for r in rows if r["scenario"] == scenario], limit, panel_width(len(scenarios)))
        panels.append(Panel(f"{key}-{slug(scenario)}", scenario, figure))
    return panels


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the table of the specification gaps, a row per choice and scenario.

    Args:
        results: The sweep.
        rows: Rows of `gaps.table_gaps`.
    """
    if not rows:
        return None
    paths = [choice["path"] for choice in choices_in_words(results)]
    body: list[list[Any]] = []
    previous = None
    for row in sorted(rows, key=lambda row: paths.index(row["path"])):
        choice = _choice_cells(row) if row["path"] != previous else [Cell(" ")] * 3
        body.append([*choice, row["scenario"], *_result_cells(row, results.metric)])
        previous = row["path"]
    columns = [
        "choice",
        "basis of its value",
        "anchor and range",
        "scenario",
        "largest effect, points",
        "verdict",
        "best level",
        "smallest lead, points",
        "the lead",
    ]
    caption = (
        "The paper leaves these choices open. Basis: paper = stated in its public text; relative = from "
        "the code of a published relative; computed = follows from a computation; guess = ours. Intervals "
        "in brackets are widened for the number of a choice's levels (Bonferroni over levels, "
        f"{results.confidence:.0%} together), because the largest of several is shown. The best level has "
        "the highest mean; it is no verdict unless its interval excludes zero. A star: the verdict also "
        "remains when adjusted for the number of all rows (false discovery rate)."
    )
    return Table(columns, body, caption, queries.CONTRASTS, key="table-gaps", title="Specification gaps")


def _choice_cells(row: Row) -> list[Any]:
    """Return the cells of a choice: symbol, basis, anchor and range."""
    source = f"{row['basis'] or 'not said'}{': ' + row['source'] if row['source'] else ''}"
    searched = f"; range {row['searched']}" if row["searched"] else ""
    return [
        Cell(row["symbol"], "code", row["doc"]),
        source,
        f"{row['anchor']}; tried {row['tried']}{searched}",
    ]


def _result_cells(row: Row, metric: Metric) -> list[Any]:
    """Return the cells of a result: effect, verdict, best level, smallest lead, verdict on the lead."""
    interval, best = row["interval"], row["best"] or "\u2013"
    if row["best_interval"] is not None:
        best = _level_with_interval(best, row["best_interval"])
    effect = _level_with_interval(row["level"], interval) if interval else row["missing_levels"]
    least = _level_with_interval(row["least"], row["lead"]) if row["lead"] else "\u2013"
    verdict = EFFECT_WORDS[row["verdict"]].format(metric) if interval else "not tried yet"
    verdict_cell = Cell(verdict + (" *" if row["firm"] else ""), row["verdict"], row["missing_levels"])
    star = " *" if row["lasts_firm"] and row["lasts"] != "undecided" else ""
    lead_cell = Cell(LEAD_WORDS[row["lasts"]] + star, LEAD_VERDICTS[row["lasts"]])
    return [effect, verdict_cell, best, least, lead_cell]


def _level_with_interval(level: str, interval: Interval) -> str:
    return f"{level}: {points(interval.mean)} [{span(interval)}]"
