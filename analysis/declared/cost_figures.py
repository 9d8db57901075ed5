"""Figure and table of the cost."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..figures.rows import group_cell, interval_columns
from ..look.entries import LATEST, looks_of, quoted
from ..look.marks import draw_line, number_axis, panel_width, shifted_along
from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import INK, WIDTH, Look, blank, drawing, legend_below
from ..look.words import count, listing, patches_sentence, percent
from ..read.queries import parts
from ..read.results import Results, Row, finished_trials
from ..stats.intervals import NO_WIDTH, Interval
from .against import LOG_RATIO
from .cost import OT_COLUMNS, against, several, table_cost, typical

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@drawing
def draw_cost(
    rows: Sequence[Row],
    path: str,
    reference: str,
    line_looks: Mapping[str, Look],
    frame: tuple[float, float],
    width: float = WIDTH,
) -> Figure:
    """Draw cost against one setting: for each line the ratio of time (solid) and of FLOPs (dashed, hollow).

    Args:
        rows: Rows of `cost.against`.
        path: The setting along x.
        reference: The label of the plain configuration.
        line_looks: Look of each line.
        frame: Ends of the y axis, as ratios.
        width: Width of the panel, inches.
    """
    figure, axes = blank(3.2, width)
    axes.axhline(1, color=INK, linewidth=0.8, zorder=0.5)
    lines, values = list(dict.fromkeys(row["line"] for row in rows)), sorted({row["x"][path] for row in rows})
    logarithmic = values[0] > 0 and values[-1] / values[0] >= LOG_RATIO
    for i, (line, quantity) in enumerate(itertools.product(lines, ("time", "work"))):
        line_rows = [row for row in rows if row["line"] == line and row[quantity]]
        line_rows.sort(key=lambda row: row["x"][path])
        part = 0.01 * (i - len(lines) + 0.5)
        x = [shifted_along(row["x"][path], part, values, logarithmic) for row in line_rows]
        look, word = Look(line_looks[line].colour, line_looks[line].marker), "time"
        if quantity == "work":
            look, word = dataclasses.replace(look, line=(0, (3, 1.5)), hollow=True), "FLOPs"
        ratios = [interval_columns(row[quantity]) for row in line_rows]
        draw_line(axes, x, ratios, look, f"{line}: {word}")
    number_axis(axes, values, logarithmic)
    _ratio_axis(axes, frame)
    axes.grid(axis="y")
    axes.set(xlabel=path.rpartition(".")[2], ylabel=f"times {reference}")
    legend_below(figure, axes)
    return figure


def _ratio_axis(axes: Any, frame: tuple[float, float]) -> None:
    """Set the y axis of ratios, logarithmic where it is long."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    if frame[1] / frame[0] >= LOG_RATIO:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        ticks = [digit * 10.0**power for power in range(-2, 5) for digit in (1, 2, 5)]
        axes.set_yticks([tick for tick in ticks if frame[0] <= tick <= frame[1]])
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_ylim(frame)


def frame_of(rows: Sequence[Row]) -> tuple[float, float]:
    """Return the y axis: one, all means, and intervals within a factor of two of these."""
    intervals = [interval for row in rows for interval in (row["time"], row["work"]) if interval]
    means = [1.0, *(interval.mean for interval in intervals)]
    low = max(
        min(means) / 2, min([*means, *(interval.low for interval in intervals if interval.low is not None)])
    )
    high = min(
        max(means) * 2, max([*means, *(interval.high for interval in intervals if interval.high is not None)])
    )
    return low / 1.15, high * 1.15


def exhibit_cost(results: Results, rounds: Sequence[Row], figure: Row, key: str) -> list[Exhibit | Table]:
    """Return the figure of the cost, a panel per setting, and the table of all configurations.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: reference, x and title.
        key: Key of the exhibit.
    """
    paths, reference = list(figure["x"]), figure["reference"]
    title = figure.get("title") or f"Cost beside {reference}"
    rows = table_cost(results, rounds, reference, paths)
    settings = typical(results, rows, paths)
    path_rows = {path: against(rows, path, settings) for path in paths}
    path_rows = {path: shown for path, shown in path_rows.items() if several(shown, path)}
    if not path_rows:
        missing = (
            f"It takes {reference} and configurations at two values of one of {listing(paths)}, with "
            "rounds in which nothing was evaluated."
        )
        return [Exhibit(key, title, missing=missing)]
    drawn = [row for shown in path_rows.values() for row in shown]
    line_looks, panels = looks_of({row["line"]: row["line"] for row in drawn}), []
    for path, shown in path_rows.items():
        width = panel_width(len(path_rows))
        plot = draw_cost(shown, path, reference, line_looks, frame_of(drawn), width)
        panels.append(Panel(f"{key}-{slug(path)}", _panel_title(path, settings), plot))
    caption = (
        f"A training round without evaluation, as a multiple of {reference} in the same scenario and with "
        f"the same seed: geometric mean and {results.confidence:.0%} t interval of the logarithm over "
        f"{count(max(row['seeds'] for row in drawn), 'seed')}; wide intervals are cut. Solid and filled: "
        "time (the median round of a run); dashed and hollow: FLOPs. The black line is the reference "
        "itself." + conditions(results)
    )
    columns = ("scenario", "label", "seconds", "flops", "time", "work", "seeds", *OT_COLUMNS)
    table_rows = [{**r, "time": r["time"].mean, "work": r["work"].mean if r["work"] else None} for r in rows]
    query, table = query_of_cost(rows, reference), numbers(table_rows, columns)
    return [
        Exhibit(key, title, caption, query, panels, table),
        table_of_cost(results, rows, reference, key),
    ]


def _panel_title(path: str, settings: Mapping[str, float]) -> str:
    """Return `Against lam, at batch 32`: the setting along x, and the others."""
    others = [f"{other.rpartition('.')[2]} {value:g}" for other, value in settings.items() if other != path]
    return f"Against {path.rpartition('.')[2]}" + (f", at {listing(others)}" if others else "")


def conditions(results: Results) -> str:
    """Return the conditions of the measurement: patches, and trials that ran at the same time."""
    slots, cores = int(results.meta.get("slots") or 1), (results.meta.get("hardware") or {}).get("cores")
    place = f" on {count(cores, 'core')}" if cores else ""
    noise = f"{slots} trials ran at once{place}: times hold that noise; --workers 1 times one trial alone."
    sentences = [patches_sentence(finished_trials(results.trials, "confirm")), noise if slots > 1 else ""]
    return "".join(f" {sentence}" for sentence in sentences if sentence)


def query_of_cost(rows: Sequence[Row], reference: str) -> str:
    """Return the SQL that gives the numbers of `cost.table_cost`."""
    reported = [name for name in OT_COLUMNS if any(row[name] is not None for row in rows)]
    run_means, means = (
        "".join(f", avg({prefix}{name}) AS {name}" for name in reported) for prefix in ("", "c.")
    )
    labels = ", ".join(quoted(f"{reference}{suffix}") for suffix in ("", " (tuned)", " (untuned)"))
    return f"""{LATEST.format(where="kind = 'confirm'")}, runs AS (
  SELECT scenario, label, unnest(seeds) AS seed, unnest(runs) AS run FROM latest
), measured AS (
  SELECT run, median(seconds) AS seconds, avg(flops) AS flops{run_means}
  FROM (
    SELECT DISTINCT * FROM {parts("rounds")}
    WHERE split = 'validation' AND round > 0 AND acc_personal_own IS NULL
  ) GROUP BY run
), cost AS (FROM runs JOIN measured USING (run))
SELECT c.scenario, c.label, avg(c.seconds) AS seconds, avg(c.flops) AS flops,
  exp(avg(ln(c.seconds / r.seconds))) AS time, stddev_samp(ln(c.seconds / r.seconds)) AS sd_log_time,
  exp(avg(ln(c.flops / r.flops))) AS work, stddev_samp(ln(c.flops / r.flops)) AS sd_log_work,
  count(*) AS seeds{means}
FROM cost c JOIN cost r USING (scenario, seed) WHERE r.label IN ({labels})
GROUP BY ALL ORDER BY ALL"""


def table_of_cost(results: Results, rows: Sequence[Row], reference: str, key: str) -> Table:
    """Return the cost of every configuration and scenario, and how its transport problems were solved.

    Args:
        results: The sweep.
        rows: Rows of `cost.table_cost`.
        reference: The label of the plain configuration.
        key: Key of the exhibit.
    """
    body: list[list[Any]] = []
    for row in rows:
        time, work = (Cell("1" if row["plain"] else _ratio(row[name]), "tight") for name in ("time", "work"))
        unconverged = "" if row["ot_unconverged"] is None else percent(row["ot_unconverged"])
        names = [group_cell(body, row["scenario"]), Cell(row["label"], "tight")]
        cost = [row["seconds"], time, row["flops"] / 1e9, work]
        body.append([*names, *cost, row["ot_iterations"], row["ot_marginal_error"], unconverged])
    columns = [
        "scenario",
        "configuration",
        "seconds per round",
        f"times {reference}",
        "GFLOPs per round",
        f"times {reference}",
        "OT iterations",
        "OT marginal error (L1)",
        "OT problems over tolerance, %",
    ]
    caption = (
        "Training rounds without evaluation, means over seeds, ratios with their intervals; OT columns "
        "are means over these rounds." + conditions(results)
    )
    query, title = query_of_cost(rows, reference), "Cost of every configuration"
    folded = f"All {count(len(body), 'row')}"
    return Table(columns, body, caption, query, key=f"{key}-table", title=title, folded=folded)


def _ratio(interval: Interval | None) -> str:
    """Return `3.46 [3.32, 3.61]`; FLOPs that are the same for all seeds have no interval."""
    if interval is None:
        return ""
    wide = interval.low is not None and interval.high is not None and interval.high - interval.low > NO_WIDTH
    return f"{interval.mean:.4g}" + (f" [{interval.low:.3g}, {interval.high:.3g}]" if wide else "")
