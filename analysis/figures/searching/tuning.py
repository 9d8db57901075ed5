"""Tuning of a recipe's entries: validation accuracy at each tried level, and best levels at an edge."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...look.entries import base_label, entry_of, looks_of, panel_groups
from ...look.marks import panel_width
from ...look.page import Exhibit, Panel, numbers, slug
from ...look.style import WIDTH, Look, blank, drawing, legend_below, percent_axis
from ...look.words import count, listing
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row, by_seed, finished_trials, parameters_of
from ...stats.intervals import t_interval
from ..rows import interval_columns, place_in, scenario_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LOG_RATIO = 4  # of the largest level to the smallest, beyond which the axis is logarithmic


QUERY = f"""SELECT study, scenario, params, list_avg(acc_personal_own) AS mean,
  list_stddev_samp(acc_personal_own) AS sd, len(seeds) AS seeds
FROM {parts("trials")}
WHERE kind = 'search' AND state = 'COMPLETE'
ORDER BY ALL"""


def table_tuning(results: Results) -> list[Row]:
    """Return a row per scenario, entry and tried level, where a recipe's entries were tuned over one setting.

    Returns:
        Rows with scenario, entry, method, path, level, mean, low, high, seeds (validation accuracy on the
        clients' own distributions, selection seeds), tried (all of the entry's levels there, those that
        failed or were stopped too), best (the entry's best level there) and edge (best, with tried levels on
        one side only); as the recipe lists them.
    """
    if not results.meta.get("grid"):
        return []
    tried: dict[tuple[str, str, str], set[float]] = {}
    for trial in results.trials:
        setting = _only_setting(trial) if trial.get("kind") == "search" else None
        if setting:
            tried.setdefault((trial["study"], trial["scenario"], setting[0]), set()).add(setting[1])
    rows = []
    for trial in finished_trials(results.trials, "search"):
        setting = _only_setting(trial)
        interval = t_interval(list(by_seed(trial, "acc_personal_own").values()), results.confidence)
        if setting and interval:
            path, level = setting
            entry = entry_of(results, trial["study"], trial["scenario"])
            place = {"scenario": trial["scenario"], "entry": entry, "method": trial["method"]}
            levels = sorted(tried[(trial["study"], trial["scenario"], path)])
            setting_columns = {"path": path, "level": level, "tried": levels}
            rows.append({**place, **setting_columns, **interval_columns(interval)})
    _add_best(rows)
    entries, scenarios = list(results.meta.get("grid") or []), scenario_order(results)
    return sorted(
        rows,
        key=lambda row: (place_in(scenarios, row["scenario"]), place_in(entries, row["entry"]), row["level"]),
    )


def _only_setting(trial: Row) -> tuple[str, float] | None:
    """Return path and level of a trial that set one number; None of all others."""
    settings = parameters_of(trial)
    if len(settings) != 1:
        return None
    [(path, level)] = settings.items()
    return (path, level) if isinstance(level, int | float) else None


def _add_best(rows: Sequence[Row]) -> None:
    """Add the columns `best` and `edge` to rows."""
    best: dict[tuple[str, str, str], float] = {}
    for row in rows:
        key = (row["scenario"], row["entry"], row["path"])
        best[key] = max(best.get(key, row["mean"]), row["mean"])
    for row in rows:
        tried = row["tried"]
        row["best"] = row["mean"] == best[(row["scenario"], row["entry"], row["path"])]
        row["edge"] = row["best"] and len(tried) > 1 and row["level"] in (tried[0], tried[-1])


@drawing
def draw_tuning(
    rows: Sequence[Row],
    entry_looks: Mapping[str, Look],
    limits: tuple[float, float],
    metric: Metric,
    width: float = WIDTH,
) -> Figure:
    """Draw a line per entry of one scenario, with a ring around its best level.

    Args:
        rows: Rows of `table_tuning` of one scenario.
        entry_looks: Look of each entry.
        limits: Ends of the y axis, as fractions.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.1, width)
    levels = sorted({row["level"] for row in rows})
    for entry in dict.fromkeys(row["entry"] for row in rows):
        means = {row["level"]: row["mean"] for row in rows if row["entry"] == entry}
        best = {row["level"]: row["mean"] for row in rows if row["entry"] == entry and row["best"]}
        look = entry_looks[entry]
        line: dict[str, Any] = {"linestyle": "-", "marker": look.marker, "markersize": 3.5}
        axes.plot(list(means), list(means.values()), color=look.colour, label=entry, **line)
        ring: dict[str, Any] = {"markersize": 9, "markerfacecolor": "none", "markeredgewidth": 1}
        axes.plot(list(best), list(best.values()), "o", markeredgecolor=look.colour, **ring)
    if levels[0] > 0 and levels[-1] > LOG_RATIO * levels[0]:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(levels, [f"{level:g}" for level in levels])
    axes.grid(axis="y")
    axes.set(ylim=limits, xlabel=rows[0]["path"], ylabel=f"validation {metric}, %")
    percent_axis(axes.yaxis)
    legend_below(figure, axes)
    return figure


def exhibit_tuning(results: Results) -> Exhibit | None:
    """Return the figure of the tuning, a panel per scenario; None where no entry was tuned so."""
    rows = table_tuning(results)
    if not rows:
        return None
    entry_looks = looks_of({row["entry"]: row["method"] for row in rows})
    low, high = min(row["mean"] for row in rows), max(row["mean"] for row in rows)
    limits = (max(0.0, low - 0.02), min(1.0, high + 0.02))
    places, panels = _places(rows), []
    for scenario, entries, suffix in places:
        panel_rows = [row for row in rows if row["scenario"] == scenario and row["entry"] in entries]
        figure = draw_tuning(panel_rows, entry_looks, limits, results.metric, panel_width(len(places)))
        panels.append(Panel(f"tuning-{slug(scenario + suffix)}", scenario + suffix, figure))
    caption = (
        f"Mean validation {results.metric} (personal, own distribution) over the selection seeds at every "
        f"tried {rows[0]['path']}; all entries were tried at the same values. The ring is the value that "
        f"was confirmed on fresh seeds. {_not_drawn(rows)}{edges(rows)}"
    ).strip()
    columns = ("scenario", "entry", "path", "level", "mean", "low", "high", "seeds", "best", "edge")
    return Exhibit("tuning", "Tuning", caption, QUERY, panels, numbers(rows, columns))


def _places(rows: Sequence[Row]) -> list[tuple[str, list[str], str]]:
    """Return scenario, entries and title suffix of each panel, at most `MAX_PER_PANEL` entries in each."""
    entries: dict[str, dict[str, None]] = {}
    for row in rows:
        entries.setdefault(row["scenario"], {})[row["entry"]] = None
    places = []
    for scenario, names in entries.items():
        entry_groups = panel_groups(list(names))
        for i, group in enumerate(entry_groups, 1):
            places.append(
                (scenario, group, f" ({i} of {len(entry_groups)})" if len(entry_groups) > 1 else "")
            )
    return places


def _not_drawn(rows: Sequence[Row]) -> str:
    """Return a sentence about trials that are not drawn; empty where all are."""
    finished_levels = {(r["scenario"], r["entry"], r["level"]) for r in rows}
    missing = {(r["scenario"], r["entry"], level) for r in rows for level in r["tried"]} - finished_levels
    return f"{count(len(missing), 'trial')} not drawn: failed or stopped. " if missing else ""


def edges(rows: Sequence[Row]) -> str:
    """Return the entries whose best level is at the edge of the tried ones; empty where none is."""
    scenarios_of: dict[tuple[str, float], list[str]] = {}
    for row in (r for r in rows if r["edge"]):
        scenarios_of.setdefault((base_label(row["entry"]), row["level"]), []).append(row["scenario"])
    if not scenarios_of:
        return ""
    names = [
        f"{entry} (at {level:g} under {listing(scenarios)})"
        for (entry, level), scenarios in scenarios_of.items()
    ]
    return (
        f"Best at the edge of the tried values, so a wider range might be better for them: {listing(names)}."
    )
