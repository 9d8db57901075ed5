"""Several objectives of a search: the Pareto front of its configurations."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...look.marks import panel_width
from ...look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ...look.style import INK, PALETTE, WIDTH, blank, drawing, legend_below
from ...look.words import TITLES, listing, mean_span, percent, size
from ...read.metric import Metric
from ...read.queries import parts
from ...read.results import Results, Row, by_seed, finished_trials, parameters_of
from ...stats.intervals import Interval, t_interval
from ..choices.rivals import home

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRACTIONS = ("acc_", "worst_client_", "p10_", "test_acc_")
OBJECTIVE_NAMES = {
    "bytes_up": "bytes sent up",
    "bytes_down": "bytes sent down",
    "flops": "FLOPs",
    "seconds": "seconds",
}
Objective = Mapping[str, str]


def objectives(results: Results) -> list[Objective]:
    """Return name and direction of each objective of the search, the leading one first."""
    return list((results.meta.get("search") or {}).get("objectives") or [])


def value(trial: Row, name: str) -> float | None:
    """Return a trial's value of an objective, the mean over its seeds; None where there is none."""
    column = trial.get(name)
    seeds = column if isinstance(column, list) else [column]
    values = [float(seed) for seed in seeds if seed is not None]
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None


def table_pareto(results: Results) -> list[Row]:
    """Return a row per complete contrast and search trial of each searched study, with all objectives.

    Returns:
        Rows with study, scenario, label, params, values (by objective), intervals (over seeds, of those
        measured per seed), front (no other trial of the study is at least as good in all and better in one)
        and confirmed (the trial on fresh seeds, or None).
    """
    wanted, rows = objectives(results), []
    if len(wanted) < 2:
        return []
    trials, confirmed = (
        finished_trials(results.trials, "contrast", "search"),
        finished_trials(results.trials, "confirm"),
    )
    for study in dict.fromkeys(trial["study"] for trial in trials if trial["kind"] == "search"):
        study_confirmed = [t for t in confirmed if study in (t["study"], home(results, t))]
        study_rows = [
            row
            for trial in trials
            if trial["study"] == study
            if (row := _objective_row(trial, wanted, study_confirmed, results.confidence))
        ]
        values = [row["values"] for row in study_rows]
        rows += [
            {**row, "front": not any(dominates(v, row["values"], wanted) for v in values)}
            for row in study_rows
        ]
    return rows


def _objective_row(
    trial: Row, wanted: Sequence[Objective], confirmed: Sequence[Row], confidence: float
) -> Row | None:
    """Return the row of a trial; None where it has no value of some objective."""
    names = [objective["name"] for objective in wanted]
    values = {name: value(trial, name) for name in names}
    if None in values.values():
        return None
    settings, method = parameters_of(trial), trial["method"]
    same = (t for t in confirmed if parameters_of(t) == settings and t["method"] == method)
    return {
        **{key: trial[key] for key in ("study", "scenario", "label")},
        "params": settings,
        "values": values,
        "intervals": {
            name: t_interval(list(by_seed(trial, name).values()), confidence)
            for name in names
            if isinstance(trial.get(name), list)
        },
        "confirmed": next(same, None),
    }


def dominates(a: Mapping[str, float], b: Mapping[str, float], wanted: Sequence[Objective]) -> bool:
    """Return whether `a` is at least as good as `b` in every objective and better in one."""
    gains = [(a[o["name"]] - b[o["name"]]) * (-1 if o["direction"] == "minimize" else 1) for o in wanted]
    return all(g >= 0 for g in gains) and any(g > 0 for g in gains)


def form_of(name: str) -> Callable[[float | None], str]:
    """Return the function that writes a value of an objective."""
    if name.startswith(FRACTIONS):
        return percent
    return size if name.startswith("bytes") else lambda value: "\u2013" if value is None else f"{value:.4g}"


def named(name: str, metric: Metric) -> str:
    """Return an objective in words, with its unit."""
    words = (
        f"{metric} ({TITLES[name]})" if name in TITLES else OBJECTIVE_NAMES.get(name, name.replace("_", " "))
    )
    return words + (", %" if name.startswith(FRACTIONS) else "")


@drawing
def draw_pareto(
    rows: Sequence[Row], wanted: Sequence[Objective], metric: Metric, width: float = WIDTH
) -> Figure:
    """Draw one study on its first two objectives: all trials grey, the front joined, confirmed points framed.

    Args:
        rows: Rows of `table_pareto` of one study.
        wanted: The objectives.
        metric: The metric of the sweep.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.0, width)
    y, x = (objective["name"] for objective in wanted[:2])
    x_scale, y_scale = (100.0 if name.startswith(FRACTIONS) else 1.0 for name in (x, y))

    def places(rows: Sequence[Row]) -> tuple[list[float], list[float]]:
        return [x_scale * row["values"][x] for row in rows], [y_scale * row["values"][y] for row in rows]

    front = sorted((row for row in rows if row["front"]), key=lambda row: row["values"][x])
    beaten = [row for row in rows if not row["front"]]
    axes.plot(*places(beaten), "o", color="#b9b9b9", markersize=3.2, label="beaten by another")
    for row in front:
        interval: Interval | None = row["intervals"].get(y)
        if interval and interval.low is not None and interval.high is not None:
            ends = [y_scale * interval.low, y_scale * interval.high]
            axes.plot([x_scale * row["values"][x]] * 2, ends, color=PALETTE[0], linewidth=0.8, alpha=0.6)
    axes.plot(*places(front), "-o", color=PALETTE[0], markersize=4.2, linewidth=0.9, label="front")
    confirmed = [row for row in front if row["confirmed"]]
    if confirmed:
        frame: dict[str, Any] = {"markeredgecolor": INK, "markersize": 8.5, "markeredgewidth": 1.2}
        axes.plot(*places(confirmed), "o", color="none", label="confirmed on fresh seeds", **frame)
    axes.grid()
    axes.set(xlabel=named(x, metric), ylabel="\n".join(textwrap.wrap(named(y, metric), 28)))
    if x.startswith("bytes"):
        from matplotlib.ticker import FuncFormatter, MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: size(value)))
    legend_below(figure, axes)
    return figure


def exhibit(results: Results, rows: Sequence[Row]) -> Exhibit | None:
    """Return the figure of the fronts, a panel per study; None where the search had one objective.

    Args:
        results: The sweep.
        rows: Rows of `table_pareto`.
    """
    wanted, title, metric = objectives(results), "Pareto front of the search", results.metric
    if len(wanted) < 2:
        return None
    if not rows:
        return Exhibit("pareto", title, missing="No trial of the search has all of its objectives yet.")
    studies, panels = list(dict.fromkeys(row["study"] for row in rows)), []
    for study in studies:
        study_rows = [row for row in rows if row["study"] == study]
        figure = draw_pareto(study_rows, wanted, metric, panel_width(len(studies)))
        panels.append(Panel(f"pareto-{slug(study)}", study, figure))
    directions = {"minimize": "least", "maximize": "most"}
    aims = listing(
        [f"{named(o['name'], metric).removesuffix(', %')} ({directions[o['direction']]})" for o in wanted]
    )
    first_two = (
        f" The axes show two of {len(wanted)} objectives: a point of the front may look beaten here."
        if len(wanted) > 2
        else ""
    )
    caption = (
        f"Complete contrast and search trials on validation, by {aims}. Blue: no other trial of the study "
        f"is at least as good in all and better in one; bars are {results.confidence:.0%} t intervals over "
        f"seeds.{first_two} The front consists of the luckiest of many noisy values; the table has the "
        "values on fresh seeds."
    )
    table_rows = [{**row, **row["values"]} for row in rows if row["front"]]
    table = numbers(table_rows, ("study", "label", *(objective["name"] for objective in wanted)))
    return Exhibit("pareto", title, caption, query(wanted), panels, table)


def query(wanted: Sequence[Objective]) -> str:
    """Return the SQL of all points of the figure."""
    columns = ", ".join(
        f"list_avg({objective['name']}) AS {objective['name']}"
        if objective["name"].startswith(FRACTIONS)
        else objective["name"]
        for objective in wanted
    )
    return f"""SELECT study, trial, label, {columns}
FROM {parts("trials")}
WHERE kind IN ('contrast', 'search') AND state = 'COMPLETE'
ORDER BY ALL"""


def table(results: Results, rows: Sequence[Row]) -> Table | None:
    """Return the points of the front in all objectives, with the values on test of the confirmed ones.

    Args:
        results: The sweep.
        rows: Rows of `table_pareto`.
    """
    wanted, front = objectives(results), [row for row in rows if row["front"]]
    if not front:
        return None
    names, metric = [objective["name"] for objective in wanted], results.metric
    first, sign = names[0], 1 if wanted[0]["direction"] == "minimize" else -1
    body = []
    for row in sorted(front, key=lambda row: (row["study"], sign * row["values"][first])):
        cells: list[Any] = []
        for name in names:
            interval, form = row["intervals"].get(name), form_of(name)
            cells.append(mean_span(interval, form) if interval else form(row["values"][name]))
        test = None
        if row["confirmed"]:
            test_values = by_seed(row["confirmed"], f"test_{first}")
            test = t_interval(list(test_values.values()), results.confidence)
        tested = mean_span(test, form_of(first)) if test else "not confirmed"
        body.append([row["study"], row["label"], *cells, tested, settings_cell(row["params"])])
    objective_columns = [named(name, metric) for name in names]
    columns = ["study", "configuration", *objective_columns, f"test: {named(first, metric)}", "set"]
    caption = (
        f"Mean [{results.confidence:.0%} interval over seeds] on validation; on the test split with fresh "
        "seeds where the configuration was confirmed."
    )
    return Table(columns, body, caption, query(wanted), key="table-pareto", title="The front")


def settings_cell(settings: Row) -> Cell:
    """Return the settings that a trial changed, as one cell."""
    text = " ".join(f"{path}={value}" for path, value in settings.items())
    return Cell(text or "nothing: the anchor", "code")
