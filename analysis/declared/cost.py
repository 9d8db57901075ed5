"""What a configuration costs beside a plain one: FLOPs and time of a training round, paired by seed."""

from __future__ import annotations

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from ..look.entries import LATEST, bare, entries, families, looks, number_at, quoted
from ..look.page import Cell, Exhibit, Panel, Table, numbers, slug
from ..look.style import INK, NARROW, WIDTH, Look, blank, drawing, legend_below
from ..look.words import MINUS, count, listing, on_patches, percent
from ..read.queries import parts
from ..read.results import Results, Row, finished, flatten
from ..stats.intervals import NO_WIDTH, Interval, t_interval
from .adjusted import with_firm
from .against import LOG, number_axis, shifted_along

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTITIES = {"seconds": "time", "flops": "FLOPs"}
OBSERVED = ("ot_iterations", "ot_marginal_error", "ot_unconverged")


def per_round(rounds: Iterable[Row]) -> dict[str, Row]:
    """Run -> seconds (median) and FLOPs (mean) of a training round without evaluation, and means of what OT reported.

    Args:
        rounds: Rows of the rounds table on validation.
    """
    own: dict[str, list[Row]] = defaultdict(list)
    for row in rounds:
        if row["round"] > 0 and row.get("acc_personal_own") is None and row.get("seconds") is not None:
            own[row["run"]].append(row)
    found: dict[str, Row] = {}
    for run, rows in own.items():
        found[run] = {
            "seconds": median(r["seconds"] for r in rows),
            "flops": mean(r.get("flops") or 0.0 for r in rows),
        }
        for name in OBSERVED:
            values = [r[name] for r in rows if r.get(name) is not None]
            found[run][name] = mean(values) if values else None
    return found


def of_ratios(ratios: Sequence[float], confidence: float) -> Interval | None:
    """The geometric mean of ratios with Student's t interval of their logarithms (`p` is of a ratio of one; a `verdict` means nothing)."""
    interval = t_interval([math.log(ratio) for ratio in ratios if ratio > 0], confidence)
    if interval is None:
        return None
    low, high = (None if end is None else math.exp(end) for end in (interval.low, interval.high))
    return Interval(math.exp(interval.mean), low, high, interval.n, interval.p)


def shifted(interval: Interval) -> bool:
    """Whether a ratio is shown to differ from one."""
    if interval.low is None or interval.high is None or interval.high - interval.low <= NO_WIDTH:
        return False
    return interval.low > 1 or interval.high < 1


def table_cost(results: Results, rounds: Iterable[Row], reference: str, paths: Sequence[str]) -> list[Row]:
    """One row per scenario and configuration: FLOPs and time of a training round, and their ratios to the reference's, paired by seed.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        reference: The label of the plain configuration, with or without `(tuned)`.
        paths: Settings that the cost is drawn against.

    Returns:
        Rows with scenario, label, line (see `entries.families`), x (path -> number or None), seconds and
        flops (means over seeds), time and work (see `of_ratios`), pairs (seed -> ratio of time), seeds, and
        what OT reported; the reference's too.
    """
    trials, measured = finished(results.trials, "confirm"), per_round(rounds)
    lines, order = families(trials, paths), list(entries(results))
    cost = {
        (t["scenario"], t["label"]): {
            s: measured[r] for s, r in zip(t["seeds"], t.get("runs") or [], strict=False) if r in measured
        }
        for t in trials
    }
    plain = {scenario: own for (scenario, label), own in cost.items() if reference in (label, bare(label))}
    rows = []
    for trial in trials:
        scenario, label = trial["scenario"], trial["label"]
        own, theirs = cost[(scenario, label)], plain.get(scenario, {})
        ratios = {
            q: {s: own[s][q] / theirs[s][q] for s in own if s in theirs and theirs[s][q]} for q in QUANTITIES
        }
        if not ratios["seconds"]:
            continue
        means = {
            name: [v[name] for v in own.values() if v[name] is not None] for name in (*QUANTITIES, *OBSERVED)
        }
        rows.append(
            {
                "scenario": scenario,
                "label": label,
                "line": lines[label],
                "x": {path: number_at(trial, path) for path in paths},
                "plain": reference in (label, bare(label)),
                "seeds": len(ratios["seconds"]),
                "pairs": ratios["seconds"],
                "time": of_ratios(list(ratios["seconds"].values()), results.confidence),
                "work": of_ratios(list(ratios["flops"].values()), results.confidence),
                **{name: mean(values) if values else None for name, values in means.items()},
            }
        )
    places = [s["label"] for s in results.meta.get("scenarios") or []]
    return sorted(
        rows,
        key=lambda r: (
            places.index(r["scenario"]) if r["scenario"] in places else len(places),
            order.index(r["label"]),
        ),
    )


def typical(results: Results, rows: Sequence[Row], paths: Sequence[str]) -> dict[str, float]:
    """Path -> the value that occurs most; of several, the one nearest to the base's."""
    base, chosen = flatten(results.meta.get("anchor") or {}), {}
    for path in paths:
        counts = Counter(r["x"][path] for r in rows if not r["plain"] and r["x"][path] is not None)
        most = [value for value, times in counts.items() if times == max(counts.values())]
        wanted = base.get(path)
        if len(most) > 1 and isinstance(wanted, int | float) and wanted > 0 and min(most) > 0:
            most.sort(key=lambda value: abs(math.log(value / wanted)))
        if most:
            chosen[path] = most[0]
    return chosen


def against(rows: Sequence[Row], path: str, usual: dict[str, float]) -> list[Row]:
    """The rows that differ from the usual settings in `path` alone."""
    return [
        r
        for r in rows
        if not r["plain"]
        and r["x"][path] is not None
        and all(r["x"][other] in (None, value) for other, value in usual.items() if other != path)
    ]


def several(rows: Sequence[Row], path: str) -> bool:
    """Whether there is anything to draw against a setting."""
    return len({r["x"][path] for r in rows}) > 1


@drawing
def draw_cost(
    rows: Sequence[Row],
    path: str,
    reference: str,
    look: dict[str, Look],
    frame: tuple[float, float],
    width: float = WIDTH,
) -> Figure:
    """Against one setting: for each line the ratio of time (solid, filled) and of FLOPs (dashed, hollow) to the reference.

    Args:
        rows: Rows of `against`.
        path: The setting along x.
        reference: The label of the plain configuration.
        look: Of each line.
        frame: The y axis, as ratios.
        width: Of the panel, inches.
    """
    figure, axes = blank(3.2, width)
    axes.axhline(1, color=INK, linewidth=0.8, zorder=0.5)
    lines, values = list(dict.fromkeys(r["line"] for r in rows)), sorted({r["x"][path] for r in rows})
    logarithmic = values[0] > 0 and values[-1] / values[0] >= LOG
    for i, (line, quantity) in enumerate(itertools.product(lines, ("time", "work"))):
        own = sorted((r for r in rows if r["line"] == line and r[quantity]), key=lambda r: r["x"][path])
        part, tint = 0.01 * (i - len(lines) + 0.5), look[line].colour
        x = [shifted_along(r["x"][path], part, values, logarithmic) for r in own]
        for at, row in zip(x, own, strict=True):
            if row[quantity].low is not None:
                axes.plot([at, at], [row[quantity].low, row[quantity].high], color=tint, linewidth=1)
        style, face, word = ("-", tint, "time") if quantity == "time" else ((0, (3, 1.5)), "white", "FLOPs")
        axes.plot(
            x,
            [r[quantity].mean for r in own],
            look[line].marker,
            linestyle=style,
            color=tint,
            markersize=4.5,
            linewidth=1.1,
            markerfacecolor=face,
            label=f"{line}: {word}",
        )
    number_axis(axes, values, logarithmic)
    _ratio_axis(axes, frame)
    axes.grid(axis="y")
    axes.set(xlabel=path.rpartition(".")[2], ylabel=f"times {reference}")
    legend_below(figure, axes)
    return figure


def _ratio_axis(axes: Any, frame: tuple[float, float]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    if frame[1] / frame[0] >= LOG:
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_yticks(
            [
                v
                for k in range(-2, 5)
                for v in (10.0**k, 2 * 10.0**k, 5 * 10.0**k)
                if frame[0] <= v <= frame[1]
            ]
        )
    else:
        axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:g}"))
    axes.set_ylim(frame)


def frame_of(rows: Sequence[Row]) -> tuple[float, float]:
    """The y axis: one, all means, and intervals as far as they are within a factor of two of these."""
    known = [i for r in rows for i in (r["time"], r["work"]) if i]
    means = [1.0, *(i.mean for i in known)]
    low = max(min(means) / 2, min([*means, *(i.low for i in known if i.low is not None)]))
    high = min(max(means) * 2, max([*means, *(i.high for i in known if i.high is not None)]))
    return low / 1.15, high * 1.15


def exhibit_cost(results: Results, rounds: Sequence[Row], figure: Row, key: str) -> list[Exhibit | Table]:
    """A panel per setting, and the table of all of it.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: reference, x and title.
        key: The exhibit's.
    """
    paths, reference = list(figure["x"]), figure["reference"]
    title, rows = (
        figure.get("title") or f"Cost beside {reference}",
        table_cost(results, rounds, reference, paths),
    )
    usual = typical(results, rows, paths)
    shown = {path: own for path in paths if several(own := against(rows, path, usual), path)}
    if not shown:
        wanted = (
            f"configurations at two values of one of {listing(paths)}, with rounds in which nothing "
            "was evaluated"
        )
        return [Exhibit(key, title, missing=f"It takes {reference} and {wanted}.")]
    drawn = [r for own in shown.values() for r in own]
    look = looks({line: line for line in dict.fromkeys(r["line"] for r in drawn)})
    width = NARROW if len(shown) > 2 else WIDTH
    panels = []
    for path, own in shown.items():
        others = [f"{p.rpartition('.')[2]} {usual[p]:g}" for p in paths if p != path and p in usual]
        name = f"Against {path.rpartition('.')[2]}" + (f", at {listing(others)}" if others else "")
        panels.append(
            Panel(f"{key}-{slug(path)}", name, draw_cost(own, path, reference, look, frame_of(drawn), width))
        )
    caption = (
        f"A training round without evaluation, as a multiple of {reference} in the same scenario and with "
        "the same seed: geometric "
        f"mean and {results.confidence:.0%} t interval of the logarithm over "
        f"{count(max(r['seeds'] for r in drawn), 'seed')}; wide ones "
        "are cut. Solid and filled: time (the median round of a run); dashed and hollow: FLOPs. The black "
        "line is the reference itself." + conditions(results)
    )
    query, columns = (
        query_of_cost(rows, reference),
        ("scenario", "label", "seconds", "flops", "time", "work", "seeds", *OBSERVED),
    )
    flat = [{**r, "time": r["time"].mean, "work": r["work"].mean if r["work"] else None} for r in rows]
    return [
        Exhibit(key, title, caption, query, panels, numbers(flat, columns)),
        table_of_cost(results, rows, reference, key),
    ]


def conditions(results: Results) -> str:
    """What else the numbers hold: patches that transport works on, and trials that ran at the same time."""
    slots, cores = int(results.meta.get("slots") or 1), (results.meta.get("hardware") or {}).get("cores")
    patches = on_patches(finished(results.trials, "confirm"))
    where = f" on {count(cores, 'core')}" if cores else ""
    noise = (
        f"{slots} trials ran at once{where}: times hold that noise; --workers 1 times one trial alone."
        if slots > 1
        else ""
    )
    return "".join(f" {text}" for text in (patches, noise) if text)


def query_of_cost(rows: Sequence[Row], reference: str) -> str:
    """The numbers of `table_cost` as SQL."""
    label, observed = quoted(reference), [name for name in OBSERVED if any(r[name] is not None for r in rows)]
    return f"""{LATEST.format(where="kind = 'confirm'")}, runs AS (
  SELECT scenario, label, unnest(seeds) AS seed, unnest(runs) AS run FROM latest
), measured AS (
  SELECT run, median(seconds) AS seconds, avg(flops) AS flops{"".join(f", avg({name}) AS {name}" for name in observed)}
  FROM (SELECT DISTINCT * FROM {parts("rounds")} WHERE split = 'validation' AND round > 0 AND acc_personal_own IS NULL) GROUP BY run
), cost AS (FROM runs JOIN measured USING (run))
SELECT c.scenario, c.label, avg(c.seconds) AS seconds, avg(c.flops) AS flops, exp(avg(ln(c.seconds / r.seconds))) AS time,
  stddev_samp(ln(c.seconds / r.seconds)) AS sd_log_time, exp(avg(ln(c.flops / r.flops))) AS work,
  stddev_samp(ln(c.flops / r.flops)) AS sd_log_work,
  count(*) AS seeds{"".join(f", avg(c.{name}) AS {name}" for name in observed)}
FROM cost c JOIN cost r USING (scenario, seed) WHERE r.label IN ({label}, {label} || ' (tuned)', {label} || ' (untuned)')
GROUP BY ALL ORDER BY ALL"""


def table_of_cost(results: Results, rows: Sequence[Row], reference: str, key: str) -> Table:
    """Cost of every configuration and scenario, and how its transport problems were solved."""
    body: list[list[Any]] = []
    for row in rows:
        first = not any(line[0].text == row["scenario"] for line in body)
        ratios = [Cell("1" if row["plain"] else _ratio(row[q]), "tight") for q in ("time", "work")]
        body.append(
            [
                Cell(row["scenario"], "tight" if first else "again"),
                Cell(row["label"], "tight"),
                row["seconds"],
                ratios[0],
                row["flops"] / 1e9,
                ratios[1],
                row["ot_iterations"],
                row["ot_marginal_error"],
                "" if row["ot_unconverged"] is None else percent(row["ot_unconverged"]),
            ]
        )
    head = [
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
        "Training rounds without evaluation, means over seeds, ratios with their intervals; OT "
        "columns are means over these rounds."
    )
    caption += conditions(results)
    return Table(
        head,
        body,
        caption,
        query_of_cost(rows, reference),
        key=f"{key}-table",
        title="Cost of every configuration",
        folded=f"All {count(len(body), 'row')}",
    )


def _ratio(interval: Interval | None) -> str:
    """`3.46 [3.32, 3.61]`; FLOPs that are the same for all seeds have no spread."""
    if interval is None:
        return ""
    wide = interval.low is not None and interval.high is not None and interval.high - interval.low > NO_WIDTH
    return f"{interval.mean:.4g}" + (f" [{interval.low:.3g}, {interval.high:.3g}]" if wide else "")


def table_told(results: Results, rows: Sequence[Row], paths: Sequence[str]) -> list[Row]:
    """The ratios of time that sentences speak of.

    Args:
        results: The sweep.
        rows: Rows of `table_cost`.
        paths: Settings that the cost is drawn against.

    Returns:
        Of each configuration at the usual settings (path is None), its time beside the reference; of each
        line and path, the time at the largest value beside that at the smallest: rows with path, first and
        last (rows of `table_cost`), change (see `of_ratios`) and firm (it stands among all of these rows).
    """
    usual = typical(results, rows, paths)
    at_usual = [
        r
        for r in rows
        if not r["plain"] and all(r["x"][path] in (None, value) for path, value in usual.items())
    ]
    told = [{"path": None, "first": r, "last": r, "change": r["time"]} for r in at_usual]
    for path in paths:
        shown = against(rows, path, usual)
        for line in dict.fromkeys(r["line"] for r in shown):
            own = sorted((r for r in shown if r["line"] == line), key=lambda r: r["x"][path])
            first, last = own[0], own[-1]
            ratios = [
                last["pairs"][seed] / first["pairs"][seed] for seed in last["pairs"] if seed in first["pairs"]
            ]
            change = of_ratios(ratios, results.confidence)
            told += (
                [{"path": path, "first": first, "last": last, "change": change}] if several(own, path) else []
            )
    return with_firm([r for r in told if r["change"]], results.confidence, "change")


def sentences_cost(results: Results, rounds: Sequence[Row], figure: Row) -> list[str]:
    """What each line costs at the usual settings, how that changes along each setting, and whether the transport problems are solved."""
    paths, reference, said = list(figure["x"]), figure["reference"], []
    rows = table_cost(results, rounds, reference, paths)
    told = table_told(results, rows, paths)
    if at_usual := [r for r in told if r["path"] is None]:
        costs = [
            f"\u201c{r['first']['label']}\u201d takes {_more(r['first']['work'])} FLOPs and "
            f"{_more(r['change'])} time per training "
            f"round{_within(r, results)}"
            for r in at_usual
        ]
        said.append(f"Compared with {reference} ({at_usual[0]['first']['scenario']}), {'; '.join(costs)}.")
    for path in paths:
        clauses = [_trend(r) for r in told if r["path"] == path]
        if clauses:
            said.append(
                f"Time against {path.rpartition('.')[2]}, as a multiple of that of {reference}: "
                f"{'; '.join(clauses)}."
            )
    return said + _solved(rows)


def _more(interval: Interval | None) -> str:
    """`25% more`, `1.3% less`, `3.4 times the`."""
    if interval is None:
        return "unknown"
    extra = 100 * (interval.mean - 1)
    if extra >= 100:
        return f"{interval.mean:.{0 if extra >= 900 else 1}f} times the"
    digits = 0 if abs(extra) >= 10 else 1 if abs(extra) >= 0.1 else 2
    return f"{abs(extra):.{digits}f}% {'more' if extra >= 0 else 'less'}"


def _within(row: Row, results: Results) -> str:
    """The interval of the time, in per cent more or less."""
    time: Interval = row["change"]
    if time.low is None or time.high is None:
        return " (one seed gives no interval)"
    low, high = (f"{100 * (end - 1):+.0f}".replace("-", MINUS) for end in (time.low, time.high))
    word = f"; the time {verdict}" if (verdict := _doubt(row)) else ""
    return f" (time {low}% to {high}%, {results.confidence:.0%} interval{word})"


def _doubt(row: Row) -> str:
    """What is to be said of a ratio that does not stand."""
    if not shifted(row["change"]):
        return "is undecided"
    return "" if row["firm"] else "may be chance: it does not stand adjusted for the number of intervals"


def _trend(row: Row) -> str:
    """From the smallest to the largest value of one setting, paired by seed."""
    change, first, last, path = row["change"], row["first"], row["last"], row["path"]
    spread = f"\u00d7 {_times(change.mean)}, {_times(change.low)} to {_times(change.high)}"
    verdict = (
        "no interval"
        if change.low is None
        else f"{spread}, which {doubt}"
        if (doubt := _doubt(row))
        else spread
    )
    ends = (
        f"{_times(first['time'].mean)} at {first['x'][path]:g}, {_times(last['time'].mean)} at "
        f"{last['x'][path]:g}"
    )
    return f"{first['line']} {ends} ({verdict})"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


def _solved(rows: Sequence[Row]) -> list[str]:
    known = [r for r in rows if r["ot_unconverged"] is not None]
    if not known:
        return []
    worst = max(known, key=lambda r: r["ot_unconverged"])
    if worst["ot_unconverged"] == 0:
        return ["All optimal-transport problems reach their tolerance."]
    return [
        f"Up to {percent(worst['ot_unconverged'])}% of the optimal-transport problems stop over their "
        f"tolerance ({worst['label']}, "
        f"{worst['scenario']})."
    ]
