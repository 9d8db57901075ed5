"""Cost of a configuration beside a plain one: FLOPs and time of a training round, paired by seed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..figures.estimates import panel, quoted
from ..figures.lines import Axis, Line, draw_lines
from ..figures.outcomes.methods import patches
from ..figures.rows import group_cell, grouped
from ..look.entries import looks_of
from ..look.page import Cell, Exhibit, Table, numbers, slug
from ..look.style import GREY, Look
from ..look.words import bracket, count, listing, percent
from ..read.results import Results, Row, flatten
from ..stats.intervals import Interval, t_interval
from ..verdicts.recipes import families
from .masks import in_order

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OT_COLUMNS = ("ot_iterations", "ot_marginal_error", "ot_unconverged")


def query_of(reference: str, paths: Sequence[str]) -> str:
    """Return the SQL of the cost of a training round without evaluation, as ratios to the reference's.

    Args:
        reference: Label of the plain configuration, with or without how it was tuned.
        paths: Settings that the cost is drawn against; their columns are x0, x1, ...
    """
    xs = "".join(f", try_cast(experiment ->> '$.{path}' AS DOUBLE) AS x{i}" for i, path in enumerate(paths))
    names = "".join(f", any_value(c.x{i}) AS x{i}" for i in range(len(paths)))
    ot = ", ".join(f"avg({name}) AS {name}" for name in OT_COLUMNS)
    ot_means = ", ".join(f"avg(c.{name}) AS {name}" for name in OT_COLUMNS)
    base = r"regexp_replace(r.label, ' \((tuned|untuned|best of .*)\)$', '')"
    return f"""WITH run_of AS (
  SELECT scenario, label, unnest(runs) AS run, unnest(seeds) AS seed{xs} FROM trials WHERE kind = 'confirm'
), measured AS (
  SELECT run, median(seconds) AS seconds, avg(coalesce(flops, 0)) AS flops, {ot} FROM rounds
  WHERE split = 'validation' AND round > 0 AND acc_personal_own IS NULL AND seconds IS NOT NULL GROUP BY run
), cost AS (SELECT * EXCLUDE (run) FROM run_of JOIN measured USING (run))
SELECT c.scenario, c.label, bool_or(c.label = r.label) AS plain{names}, avg(c.seconds) AS seconds,
  avg(c.flops) AS flops, list(c.seed ORDER BY c.seed) AS seed_list, count(*) AS seeds,
  list(ln(c.seconds / r.seconds) ORDER BY c.seed) AS log_time,
  list(ln(nullif(c.flops, 0) / nullif(r.flops, 0)) ORDER BY c.seed) AS log_work, {ot_means}
FROM cost c JOIN cost r USING (scenario, seed) WHERE {quoted(reference)} IN (r.label, {base}) AND r.seconds >
0
GROUP BY c.scenario, c.label ORDER BY ALL"""


def ratio(logs: Sequence[float | None], confidence: float) -> Interval | None:
    """Return the geometric mean of ratios with Student's t interval of their logarithms."""
    interval = t_interval([log for log in logs if log is not None], confidence)
    if interval is None:
        return None
    low, high = (None if end is None else math.exp(end) for end in (interval.low, interval.high))
    return Interval(math.exp(interval.mean), low, high, interval.n)


def table_cost(results: Results, figure: Row) -> list[Row]:
    """Return the cost of a training round by scenario and configuration, as ratios to the reference's.

    Returns:
        Rows of `query_of` with line (see `recipes.families`), x (path -> number or None), time and work (see
        `ratio`).
    """
    paths = list(figure["x"])
    lines = families(results.sql("SELECT * FROM trials WHERE kind = 'confirm' ORDER BY trial"), paths)
    return [
        {
            **row,
            "line": lines[row["label"]],
            "x": {path: row[f"x{i}"] for i, path in enumerate(paths)},
            "time": ratio(row["log_time"], results.confidence),
            "work": ratio(row["log_work"], results.confidence),
        }
        for row in in_order(results, results.sql(query_of(figure["reference"], paths)))
    ]


def typical(results: Results, rows: Sequence[Row], paths: Sequence[str]) -> dict[str, float]:
    """Return path -> the most frequent value; of several, the one nearest to the base's value."""
    base, values = flatten(results.meta.get("anchor") or {}), {}
    for path in paths:
        counts = Counter(row["x"][path] for row in rows if not row["plain"] and row["x"][path] is not None)
        candidates = [value for value, number in counts.items() if number == max(counts.values())]
        near = base.get(path)
        if len(candidates) > 1 and isinstance(near, int | float) and near > 0 and min(candidates) > 0:
            candidates.sort(key=lambda value: abs(math.log(value / near)))
        if candidates:
            values[path] = candidates[0]
    return values


def against(rows: Sequence[Row], path: str, settings: Mapping[str, float]) -> list[Row]:
    """Return the rows that differ from the typical settings in `path` alone; [] for a single value."""
    found = [
        row
        for row in rows
        if not row["plain"]
        and row["x"][path] is not None
        and all(row["x"][other] in (None, value) for other, value in settings.items() if other != path)
    ]
    return sorted(found, key=lambda r: r["x"][path]) if len({r["x"][path] for r in found}) > 1 else []


def draw_cost(
    rows: Sequence[Row], path: str, reference: str, looks: Mapping[str, Look], top: float
) -> Figure:
    """Draw cost against one setting: for each line the ratio of time (solid) and of FLOPs (dashed, hollow).

    Args:
        rows: Rows of `against`.
        path: The setting along x.
        reference: The label of the plain configuration.
        looks: Look of each line.
        top: Upper end of the y axis, as a ratio.
    """
    lines, values = [], sorted({row["x"][path] for row in rows})
    for line, group in grouped(rows, "line").items():
        for name, quantity in (("time", "time"), ("FLOPs", "work")):
            look = Look(looks[line].colour, looks[line].marker)
            look = look if quantity == "time" else Look(look.colour, look.marker, (0, (3, 1.5)), hollow=True)
            points = [{"x": r["x"][path], **_ends(r[quantity])} for r in group if r[quantity]]
            lines.append(Line(f"{line}: {name}", look, points))
    plain = [{"x": value, "mean": 1.0, "low": None} for value in (values[0], values[-1])]
    lines.append(Line(reference, Look(GREY, ""), plain, width=1.0, marked=False))
    axis = Axis(path.rpartition(".")[2], f"times {reference}", (0.0, top), values=values, fractions=False)
    figure: Figure = draw_lines(lines, axis, height=3.3)
    return figure


def _ends(interval: Interval) -> Row:
    return {"mean": interval.mean, "low": interval.low, "high": interval.high}


def exhibit_cost(results: Results, figure: Row, key: str) -> list[Exhibit | Table]:
    """Return the figure of the cost, a panel per setting, and the table of all configurations.

    Args:
        results: The sweep.
        figure: As declared: reference, x and title.
        key: Key of the exhibit.
    """
    paths, reference, rows = list(figure["x"]), figure["reference"], table_cost(results, figure)
    title, settings = figure.get("title") or f"Cost beside {reference}", typical(results, rows, paths)
    by_path = {path: shown for path in paths if (shown := against(rows, path, settings))}
    if not by_path:
        missing = (
            f"It takes {reference} and configurations at two values of one of {listing(paths)}, with rounds "
            "in which nothing was evaluated."
        )
        return [Exhibit(key, title, missing=missing)]
    drawn = [row for shown in by_path.values() for row in shown]
    looks = looks_of({row["line"]: row["line"] for row in drawn})
    top = 1.15 * max(
        min(2 * i.mean, i.high or i.mean) for row in drawn for i in (row["time"], row["work"]) if i
    )
    panels = [
        panel(
            f"{key}-{slug(path)}",
            _panel_title(path, settings),
            draw_cost(shown, path, reference, looks, top),
            _seen(shown, path),
        )
        for path, shown in by_path.items()
    ]
    caption = (
        f"A training round without evaluation, as a multiple of {reference} in the same scenario and with "
        f"the same seed: geometric mean and {results.confidence:.0%} t interval of the logarithm over "
        f"{count(max(row['seeds'] for row in drawn), 'seed')} (bar; none with one seed). Solid and filled: "
        "time (the median round of a run); dashed and hollow: FLOPs. Grey: the reference "
        f"itself.{conditions(results)}"
    )
    source, says = results.shown(query_of(reference, paths)), " ".join(sentences_cost(results, figure))
    body = [{**r, **{name: r[name].mean if r[name] else None for name in ("time", "work")}} for r in rows]
    table = numbers(body, ("scenario", "label", "seconds", "flops", "time", "work", "seeds", *OT_COLUMNS))
    return [
        Exhibit(key, title, caption, source, panels, table, says=says),
        table_of_cost(results, rows, figure, key),
    ]


def _seen(rows: Sequence[Row], path: str) -> str:
    """Return what is seen: the ratio of time of each line at both ends."""
    return "; ".join(
        f"{line}: time {_times(group[0]['time'])} at {group[0]['x'][path]:g}, {_times(group[-1]['time'])} at "
        f"{group[-1]['x'][path]:g}"
        for line, group in grouped(rows, "line").items()
    )


def _panel_title(path: str, settings: Mapping[str, float]) -> str:
    """Return `Against lam, at batch 32`: the setting along x, and the others."""
    others = [f"{other.rpartition('.')[2]} {value:g}" for other, value in settings.items() if other != path]
    return f"Against {path.rpartition('.')[2]}" + (f", at {listing(others)}" if others else "")


def conditions(results: Results) -> str:
    """Return the conditions of the measurement: patches, and trials that ran at the same time."""
    slots, cores = int(results.meta.get("slots") or 1), (results.meta.get("hardware") or {}).get("cores")
    place = f" on {count(cores, 'core')}" if cores else ""
    noise = f" {slots} trials ran at once{place}: times hold that noise; --workers 1 times one trial alone."
    return patches(results) + (noise if slots > 1 else "")


def table_of_cost(results: Results, rows: Sequence[Row], figure: Row, key: str) -> Table:
    """Return the cost of every configuration and scenario, and how its transport problems were solved.

    Args:
        results: The sweep.
        rows: Rows of `table_cost`.
        figure: As declared.
        key: Key of the exhibit.
    """
    body, reference = list[list[Any]](), figure["reference"]
    for row in rows:
        time, work = (Cell("1" if row["plain"] else _times(row[name]), "tight") for name in ("time", "work"))
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
        "Training rounds without evaluation, means over seeds, ratios with their intervals; OT columns are "
        f"means over these rounds.{conditions(results)}"
    )
    query, title = results.shown(query_of(reference, list(figure["x"]))), "Cost of every configuration"
    folded = f"All {count(len(body), 'row')}"
    return Table(columns, body, caption, query, folded, key=f"{key}-table", title=title)


def _times(interval: Interval | None) -> str:
    """Return `3.46 [3.32, 3.61]`; FLOPs that are the same for all seeds have no interval."""
    if interval is None:
        return ""
    if interval.low is None or interval.high is None:
        return f"{interval.mean:.3g} (one seed)"
    wide = interval.high - interval.low > 1e-9
    return f"{interval.mean:.3g}" + (
        f" {bracket(interval.low, interval.high, lambda v: f'{v:.3g}')}" if wide else ""
    )


def sentences_cost(results: Results, figure: Row) -> list[str]:
    """Return sentences about the cost at the typical settings, along each setting, and about OT.

    Args:
        results: The sweep.
        figure: As declared: reference and x.
    """
    paths, reference, rows = list(figure["x"]), figure["reference"], table_cost(results, figure)
    settings, texts = typical(results, rows, paths), []
    at_typical = [
        row for row in rows if not row["plain"] and all(row["x"][p] in (None, v) for p, v in settings.items())
    ]
    if at_typical:
        costs = "; ".join(
            f"\u201c{row['label']}\u201d takes {_times(row['work'])} times the FLOPs and "
            f"{_times(row['time'])} times the time per training round{_doubt(row['time'])}"
            for row in at_typical
        )
        basis = f"In brackets: {results.confidence:.0%} intervals over seeds."
        texts.append(f"Compared with {reference} ({at_typical[0]['scenario']}), {costs}. {basis}")
    for path in paths:
        trends = [
            _trend(results, g, path)
            for g in grouped(against(rows, path, settings), "line").values()
            if len(g) > 1
        ]
        if trends:
            name = path.rpartition(".")[2]
            texts.append(f"Time against {name}, as a multiple of that of {reference}: {'; '.join(trends)}.")
    return texts + _ot_sentences(rows)


def _doubt(interval: Interval | None) -> str:
    """Return that a ratio is undecided; empty where its interval excludes one."""
    if interval is None or interval.low is None or interval.high is None:
        return ""
    return ", which is undecided" if interval.low <= 1 <= interval.high else ""


def _trend(results: Results, line: Sequence[Row], path: str) -> str:
    """Return the times at both ends of one setting, and their ratio, paired by seed."""
    first, last = line[0], line[-1]
    before = dict(zip(first["seed_list"], first["log_time"], strict=True))
    after = dict(zip(last["seed_list"], last["log_time"], strict=True))
    change = ratio([after[seed] - before[seed] for seed in after if seed in before], results.confidence)
    ends = ", ".join(f"{end['time'].mean:.3g} at {end['x'][path]:g}" for end in (first, last))
    return f"{first['line']} {ends} (\u00d7 {_times(change)}{_doubt(change)})"


def _ot_sentences(rows: Sequence[Row]) -> list[str]:
    """Return a sentence that says whether the optimal-transport problems reach their tolerance."""
    with_ot = [row for row in rows if row["ot_unconverged"] is not None]
    if not with_ot:
        return []
    worst = max(with_ot, key=lambda row: row["ot_unconverged"])
    if worst["ot_unconverged"] == 0:
        return ["All optimal-transport problems reach their tolerance."]
    return [
        f"Up to {percent(worst['ot_unconverged'])}% of the optimal-transport problems stop over their "
        f"tolerance ({worst['label']}, {worst['scenario']})."
    ]
