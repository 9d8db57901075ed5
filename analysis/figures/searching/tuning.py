"""How the entries of a recipe were tuned: validation accuracy against what was tried, and whether the best stands at the edge of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...look.entries import bare, entry_of, groups, looks
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import NARROW, WIDTH, Look, blank, drawing, legend_below, percent_axis
from ...look.words import count, listing
from ...read.queries import parts
from ...read.results import Results, Row, by_seed, finished, params
from ...stats.intervals import t_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPREAD = 4  # levels that differ by more than this factor are drawn on a logarithmic axis


def table_tuning(results: Results) -> list[Row]:
    """One row per scenario, entry and tried level, where the entries of a recipe were tuned over one setting.

    Returns:
        Rows with scenario, entry, method, path, level, mean, low, high, seeds (validation accuracy on the
        clients' own distributions, selection seeds), tried (all of the entry's levels there, those that
        failed or were stopped too), best (the entry's best level there) and edge (best, with tried levels on
        one side only); as the recipe lists them.
    """
    if not results.meta.get("grid"):
        return []
    tried: dict[tuple[str, str, str], set[float]] = {}
    for trial in (t for t in results.trials if t.get("kind") == "search" and len(params(t)) == 1):
        [(path, level)] = params(trial).items()
        if isinstance(level, int | float):
            tried.setdefault((trial["study"], trial["scenario"], path), set()).add(level)
    rows = []
    for trial in (t for t in finished(results.trials, "search") if len(params(t)) == 1):
        [(path, level)] = params(trial).items()
        interval = t_interval(list(by_seed(trial, "acc_personal_own").values()), results.confidence)
        levels = sorted(tried.get((trial["study"], trial["scenario"], path), ()))
        if interval and isinstance(level, int | float):
            rows.append(
                {
                    "scenario": trial["scenario"],
                    "entry": entry_of(results, trial["study"], trial["scenario"]),
                    "method": trial["method"],
                    "path": path,
                    "level": level,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "seeds": interval.n,
                    "tried": levels,
                }
            )
    for row in rows:
        own = [
            r
            for r in rows
            if (r["scenario"], r["entry"], r["path"]) == (row["scenario"], row["entry"], row["path"])
        ]
        row["best"] = row["mean"] == max(r["mean"] for r in own)
        row["edge"] = (
            row["best"] and len(row["tried"]) > 1 and row["level"] in (row["tried"][0], row["tried"][-1])
        )
    order = list(results.meta.get("grid") or [])
    scenarios = [s["label"] for s in results.meta.get("scenarios") or []]
    return sorted(
        rows, key=lambda r: (_place(r["scenario"], scenarios), _place(r["entry"], order), r["level"])
    )


def _place(item: str, order: Sequence[str]) -> int:
    return order.index(item) if item in order else len(order)


@drawing
def draw_tuning(
    rows: Sequence[Row], look: dict[str, Look], limits: tuple[float, float], width: float = WIDTH
) -> Figure:
    """One scenario: a line per entry, its best level ringed."""
    figure, axes = blank(3.1, width)
    levels = sorted({r["level"] for r in rows})
    for entry in dict.fromkeys(r["entry"] for r in rows):
        own, drawn = [r for r in rows if r["entry"] == entry], look[entry]
        axes.plot(
            [r["level"] for r in own],
            [r["mean"] for r in own],
            linestyle="-",
            color=drawn.colour,
            marker=drawn.marker,
            markersize=3.5,
            label=entry,
        )
        best = [r for r in own if r["best"]]
        axes.plot(
            [r["level"] for r in best],
            [r["mean"] for r in best],
            "o",
            markersize=9,
            markerfacecolor="none",
            markeredgecolor=drawn.colour,
            markeredgewidth=1,
        )
    if levels[0] > 0 and levels[-1] > SPREAD * levels[0]:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.grid(axis="y")
    axes.set(ylim=limits, xlabel=rows[0]["path"], ylabel="validation accuracy, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_tuning(results: Results) -> Exhibit | None:
    """The tuning, a panel per scenario; None where entries were not tuned over one setting."""
    rows = table_tuning(results)
    if not rows:
        return None
    look = looks({r["entry"]: r["method"] for r in rows})
    low, high = min(r["mean"] for r in rows), max(r["mean"] for r in rows)
    limits = (max(0.0, low - 0.02), min(1.0, high + 0.02))
    places = [
        (scenario, own, f" ({i} of {len(shown)})" if len(shown) > 1 else "")
        for scenario in dict.fromkeys(r["scenario"] for r in rows)
        for shown in [groups(list(dict.fromkeys(r["entry"] for r in rows if r["scenario"] == scenario)))]
        for i, own in enumerate(shown, 1)
    ]
    width = NARROW if len(places) > 2 else WIDTH
    panels = [
        Panel(
            f"tuning-{slug(scenario + part)}",
            scenario + part,
            draw_tuning(
                [r for r in rows if r["scenario"] == scenario and r["entry"] in own], look, limits, width
            ),
        )
        for scenario, own, part in places
    ]
    caption = (
        "Mean validation accuracy (personal, own distribution) over the selection seeds at every "
        f"{rows[0]['path']} that was tried; every "
        "entry was tried at the same ones. The ring is the one that was confirmed on fresh seeds. "
        f"{_lost(rows)}{edges(rows)}"
    ).strip()
    query = f"""SELECT study, scenario, params, list_avg(acc_personal_own) AS mean, list_stddev_samp(acc_personal_own) AS sd,
  len(seeds) AS seeds
FROM {parts("trials")}
WHERE kind = 'search' AND state = 'COMPLETE'
ORDER BY ALL"""
    columns = ("scenario", "entry", "path", "level", "mean", "low", "high", "seeds", "best", "edge")
    return Exhibit("tuning", "Tuning", caption, query, panels, numbers(rows, columns))


def _lost(rows: Sequence[Row]) -> str:
    """That some levels are not drawn, and why."""
    done = {(r["scenario"], r["entry"], r["level"]) for r in rows}
    gone = {(r["scenario"], r["entry"], level) for r in rows for level in r["tried"]} - done
    return f"Of {count(len(gone), 'trial')} nothing is drawn: failed or stopped. " if gone else ""


def edges(rows: Sequence[Row]) -> str:
    """Which entries were best at the edge of what was tried, so that more might have been had; nothing where none was."""
    where: dict[tuple[str, float], list[str]] = {}
    for row in (r for r in rows if r["edge"]):
        where.setdefault((bare(row["entry"]), row["level"]), []).append(row["scenario"])
    if not where:
        return ""
    said = [
        f"{entry} (at {level:g} under {listing(scenarios)})" for (entry, level), scenarios in where.items()
    ]
    return (
        f"Best at the edge of what was tried, so that a wider range might serve them better: {listing(said)}."
    )
