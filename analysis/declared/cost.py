"""Cost of a configuration beside a plain one: FLOPs and time of a training round, paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from operator import itemgetter
from statistics import multimode

from ..figures.estimates import quoted
from ..figures.exhibits import Draft
from ..figures.lines import Axis, Line, draw_lines, ends_said, lines_of, panels_of
from ..figures.outcomes.accuracies import patches
from ..figures.rows import Column, grouped
from ..look.entries import looks_of
from ..look.page import Cell, Table
from ..look.style import GREY, UNTUNED, Figure, Look
from ..look.words import bracket, count, listing, percent
from ..read.results import Results, Row, flatten
from ..stats.intervals import Interval, t_interval
from ..verdicts.recipes import families
from .answers import Answer, base_sql, in_order, nothing

OT_COLUMNS = ("ot_iterations", "ot_marginal_error", "ot_unconverged")
SHORT = "{:.3g}".format
SHOWN = ("scenario", "label", "seconds", "flops", "time", "work", "seeds", *OT_COLUMNS)


def query_of(reference: str, paths: Sequence[str]) -> str:
    """Return the SQL of the cost of a training round without evaluation, as ratios to the reference's.

    The columns x0, x1, ... are the settings at the paths.
    """
    xs = "".join(f", try_cast(experiment ->> '$.{path}' AS DOUBLE) AS x{i}" for i, path in enumerate(paths))
    names = "".join(f", any_value(c.x{i}) AS x{i}" for i in range(len(paths)))
    ot = ", ".join(f"avg({name}) AS {name}" for name in OT_COLUMNS)
    ot_means = ", ".join(f"avg(c.{name}) AS {name}" for name in OT_COLUMNS)
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
FROM cost c JOIN cost r USING (scenario, seed)
WHERE {quoted(reference)} IN (r.label, {base_sql("r.label")}) AND r.seconds > 0
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
    rows = in_order(results, results.sql(query_of(figure["reference"], paths)))
    for row in rows:
        row |= {"line": lines[row["label"]], "x": {path: row[f"x{i}"] for i, path in enumerate(paths)}}
        row |= {name: ratio(row[f"log_{name}"], results.confidence) for name in ("time", "work")}
    return rows


def typical(results: Results, rows: Sequence[Row], paths: Sequence[str]) -> dict[str, float]:
    """Return path -> the most frequent value; of several, the one nearest to the base's value."""
    base, values = flatten(results.meta.get("anchor") or {}), {}
    for path in paths:
        candidates = multimode(row["x"][path] for row in rows if _has(row, {}) and row["x"][path] is not None)
        near = base.get(path)
        if len(candidates) > 1 and isinstance(near, int | float) and near > 0 and min(candidates) > 0:
            candidates.sort(key=lambda value: abs(math.log(value / near)))
        if candidates:
            values[path] = candidates[0]
    return values


def against(rows: Sequence[Row], path: str, settings: Mapping[str, float]) -> list[Row]:
    """Return the rows that differ from the typical settings in `path` alone; [] for a single value."""
    others = {other: value for other, value in settings.items() if other != path}
    found = [row for row in rows if row["x"][path] is not None and _has(row, others)]
    return sorted(found, key=lambda r: r["x"][path]) if len({r["x"][path] for r in found}) > 1 else []


def _has(row: Row, settings: Mapping[str, float]) -> bool:
    """Return whether a configuration, not the plain one, has these settings; it may lack some."""
    return not row["plain"] and all(row["x"][path] in (None, value) for path, value in settings.items())


def _points(rows: Sequence[Row], path: str, title: str, looks: Mapping[str, Look]) -> Iterator[Row]:
    """Yield the points of a panel: of each line the ratio of time (solid) and of FLOPs (dashed, hollow)."""
    for row in rows:
        solid, about = looks[row["line"]], {"panel": title, "line": row["line"], "path": path}
        dashed = replace(solid, line=UNTUNED, hollow=True)
        for name, interval, look in (("time", row["time"], solid), ("FLOPs", row["work"], dashed)):
            if interval:
                label = f"{row['line']}: {name}"
                yield {**about, **asdict(interval), "label": label, "look": look, "x": row["x"][path]}


def show_cost(results: Results, figure: Row, key: str) -> Answer:
    """Return the figure of the cost, a panel per setting, and the table of all configurations."""
    paths, reference, rows = list(figure["x"]), figure["reference"], table_cost(results, figure)
    draft = Draft(results, key, figure.get("title") or f"Cost beside {reference}")
    settings = typical(results, rows, paths)
    by_path = {path: shown for path in paths if (shown := against(rows, path, settings))}
    usual = [row for row in rows if _has(row, settings)]
    first = _headline(usual[0], reference) if usual else ""
    if not by_path:
        needed = f"{reference} and configurations at two values of one of {listing(paths)}"
        return replace(nothing(draft, f"{needed}, with rounds without evaluation"), headline=first)
    drawn = [row for shown in by_path.values() for row in shown]
    looks = looks_of({row["line"]: row["line"] for row in drawn})
    points = list[Row]()
    for path, shown in by_path.items():
        others = listing([f"{_last(p)} {value:g}" for p, value in settings.items() if p != path])
        points += _points(shown, path, f"Against {_last(path)}{f', at {others}' if others else ''}", looks)
    top = 1.15 * max(min(2 * point["mean"], point["high"] or point["mean"]) for point in points)

    def draw(shown: list[Row]) -> Figure:
        path, values = shown[0]["path"], sorted({point["x"] for point in shown})
        plain = [{"x": value, "mean": 1.0, "low": None} for value in (values[0], values[-1])]
        lines = [*lines_of(shown), Line(reference, Look(GREY, ""), plain, width=1.0, marked=False)]
        axis = Axis(_last(path), f"times {reference}", (0.0, top), values=values, fractions=False)
        return draw_lines(lines, axis, height=3.3)

    panels = panels_of(points, key, draw, lambda shown: ends_said(shown, SHORT, ""), "panel", "line")
    caption = (
        f"A training round without evaluation, as a multiple of {reference} in the same scenario and with "
        f"the same seed: geometric mean and {results.confidence:.0%} t interval of the logarithm over "
        f"{count(max(row['seeds'] for row in drawn), 'seed')} (bar; none with one seed). Solid and filled: "
        "time (the median round of a run); dashed and hollow: FLOPs. Grey: the reference "
        f"itself.{conditions(results)}"
    )
    query = query_of(reference, paths)
    body = [{**r, **{name: r[name].mean if r[name] else None for name in ("time", "work")}} for r in rows]
    exhibit = draft.exhibit(panels, body, SHOWN, query, caption)
    texts = [_compared(group, reference) for group in grouped(usual, "scenario").values()]
    texts[:1] = [f"{text} In brackets: {results.confidence:.0%} intervals over seeds." for text in texts[:1]]
    for path, shown in by_path.items():
        trends = [_trend(results, line, path) for line in grouped(shown, "line").values() if len(line) > 1]
        if trends:
            beside = f"as a multiple of that of {reference}"
            texts.append(f"Time against {_last(path)}, {beside}: {'; '.join(trends)}.")
    return Answer([exhibit, _table(draft, rows, query, reference)], texts + _ot_sentences(rows), first)


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _headline(row: Row, reference: str) -> str:
    """Return the time of a configuration with the typical settings, short."""
    round_of = f"Under {row['scenario']}, a training round of \u201c{row['label']}\u201d"
    return f"{round_of} takes {_times(row['time'])} times as long as one of {reference}{_doubt(row['time'])}."


def conditions(results: Results) -> str:
    """Return the conditions of the measurement: patches, and trials that ran at the same time."""
    slots, cores = int(results.meta.get("slots") or 1), (results.meta.get("hardware") or {}).get("cores")
    place = f" on {count(cores, 'core')}" if cores else ""
    noise = f" {slots} trials ran at once{place}: times hold that noise; --workers 1 times one trial alone."
    return patches(results) + (noise if slots > 1 else "")


def _table(draft: Draft, rows: Sequence[Row], query: str, reference: str) -> Table:
    """Return the cost of every configuration and scenario, and how its transport problems were solved."""

    def times(row: Row, name: str) -> Cell:
        return Cell("1" if row["plain"] else _times(row[name]), "tight")

    def unconverged(row: Row) -> str:
        return "" if row["ot_unconverged"] is None else percent(row["ot_unconverged"])

    caption = (
        "Training rounds without evaluation, means over seeds, ratios with their intervals; OT columns are "
        f"means over these rounds.{conditions(draft.results)}"
    )
    columns: list[Column] = [
        ("seconds per round", lambda row: row["seconds"]),
        (f"times {reference}", lambda row: times(row, "time")),
        ("GFLOPs per round", lambda row: row["flops"] / 1e9),
        (f"times {reference}", lambda row: times(row, "work")),
        ("OT iterations", lambda row: row["ot_iterations"]),
        ("OT marginal error (L1)", lambda row: row["ot_marginal_error"]),
        ("OT problems over tolerance, %", unconverged),
    ]
    folded = f"All {count(len(rows), 'row')}"
    return draft.table(rows, columns, query, caption, "Cost of every configuration", folded)


def _times(interval: Interval | None) -> str:
    """Return `3.46 [3.32, 3.61]`; FLOPs that are the same for all seeds have no interval."""
    if interval is None:
        return ""
    if interval.low is None or interval.high is None:
        return f"{SHORT(interval.mean)} (one seed)"
    wide = interval.high - interval.low > 1e-9
    return f"{SHORT(interval.mean)} {bracket(interval.low, interval.high, SHORT) if wide else ''}".strip()


def _compared(rows: Sequence[Row], reference: str) -> str:
    """Return what the configurations with the typical settings cost under one scenario."""
    costs = "; ".join(
        f"\u201c{row['label']}\u201d takes {_times(row['work'])} times the FLOPs and "
        f"{_times(row['time'])} times the time per training round{_doubt(row['time'])}"
        for row in rows
    )
    return f"Compared with {reference} ({rows[0]['scenario']}), {costs}."


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
    ends = ", ".join(f"{SHORT(end['time'].mean)} at {end['x'][path]:g}" for end in (first, last))
    return f"{first['line']} {ends} (\u00d7 {_times(change)}{_doubt(change)})"


def _ot_sentences(rows: Sequence[Row]) -> list[str]:
    """Return a sentence that says whether the optimal-transport problems reach their tolerance."""
    solved = [row for row in rows if row["ot_unconverged"] is not None]
    worst = max(solved, key=itemgetter("ot_unconverged"), default=None)
    if worst is None:
        return []
    if worst["ot_unconverged"] == 0:
        return ["All optimal-transport problems reach their tolerance."]
    return [
        f"Up to {percent(worst['ot_unconverged'])}% of the optimal-transport problems stop over their "
        f"tolerance ({worst['label']}, {worst['scenario']})."
    ]
