"""Every configuration of a recipe against one of them, paired by seed: what each part gives."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..figures.outcomes.methods import METRICS
from ..figures.outcomes.tested import MEASURED, query_of_tested, table_tested, title_of
from ..look.entries import CONFIRMED, bare, entries, quoted, subject
from ..look.forest import forest, forest_height, reach
from ..look.page import Exhibit, Panel, numbers
from ..look.style import FAINT, INK, NARROW, SOFT, VERDICT_COLOUR, VERDICT_MARKER, WIDTH, blank, drawing
from ..look.words import WITHIN, listing, percent, points, span
from ..read.results import Results, Row, standing
from ..stats.intervals import MARGIN, Interval, paired
from .adjusted import may, of_number, with_firm

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT_OUT = ("without ", "no ")


def measured(results: Results, compared: Sequence[Row], metrics: Sequence[str] | None) -> Sequence[Row]:
    """The rows of `methods.table_methods`, or those of other metrics where a figure declares them."""
    return table_tested(results, compared, metrics) if metrics else compared


def table_pairs(
    results: Results, compared: Sequence[Row], to: str, metrics: Sequence[str] = tuple(METRICS)
) -> list[Row]:
    """One row per scenario, configuration and metric: its test accuracy minus that of the reference, paired by seed.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods` or of `tested.table_tested`.
        to: The reference's label, with or without `(tuned)`.
        metrics: The order of the metrics.

    Returns:
        Rows with scenario, reference, label, metric, interval, mean, low, high, seeds, verdict, subject (the
        recipe's first entry), removed (the label says what was left out of the first entry, and the reference
        is that entry) and firm (it stands among all of these rows); as the recipe lists them.
    """
    order, whole = list(entries(results)), subject(results)
    reference = {(r["scenario"], r["metric"]): r for r in compared if to in (r["label"], bare(r["label"]))}
    rows = []
    for row in compared:
        theirs = reference.get((row["scenario"], row["metric"]))
        interval = (
            paired(row["values"], theirs["values"], results.confidence)
            if theirs and theirs["label"] != row["label"]
            else None
        )
        if theirs and interval:
            rows.append(
                {
                    "scenario": row["scenario"],
                    "reference": theirs["label"],
                    "label": row["label"],
                    "metric": row["metric"],
                    "interval": interval,
                    "mean": interval.mean,
                    "low": interval.low,
                    "high": interval.high,
                    "seeds": interval.n,
                    "verdict": interval.verdict,
                    "subject": row["label"] == whole,
                    "removed": theirs["label"] == whole and row["label"].startswith(LEFT_OUT),
                }
            )
    scenarios = list(dict.fromkeys(r["scenario"] for r in compared))
    rows.sort(
        key=lambda r: (
            scenarios.index(r["scenario"]),
            order.index(r["label"]),
            list(metrics).index(r["metric"]),
        )
    )
    return with_firm(rows, results.confidence)


def frame_of(rows: Sequence[Row]) -> tuple[float, float]:
    """The x axis in points: zero, the band of `level` and most intervals; what is wider than `contrasts.reach` is cut."""
    limit = reach(rows)
    lows, highs = (
        [100 * (r[end] if r[end] is not None else r["mean"]) for r in rows] for end in ("low", "high")
    )
    low, high = max(-limit, min(lows)), min(limit, max(highs))
    pad = 0.04 * (high - low)
    return min(low - pad, -130 * MARGIN), max(high + pad, 130 * MARGIN)


@drawing
def draw_pairs(rows: Sequence[Row], frame: tuple[float, float], width: float = WIDTH) -> Figure:
    """A forest plot of one metric, scenario by scenario; the band is what `level` means.

    Args:
        rows: Rows of `table_pairs` of one metric.
        frame: The x axis in points.
        width: Of the panel, inches.
    """
    figure, axes = blank(forest_height(rows), width)
    axes.axvspan(-100 * MARGIN, 100 * MARGIN, color="#f1f1ec", linewidth=0, zorder=0)
    axes.axvline(0, color=SOFT, linewidth=0.8, zorder=0.5)
    forest(axes, rows, lambda axes, y, row: _pair(axes, y, row, frame), _short)
    axes.set(xlim=frame, xlabel=f"points against {rows[0]['reference']}")
    return figure


def _short(row: Row) -> str:
    """The label, without the bracket that it shares with the reference."""
    return bare(row["label"]) if standing(row["label"]) == standing(row["reference"]) else str(row["label"])


def _pair(axes: Any, y: float, row: Row, frame: tuple[float, float]) -> None:
    tint = VERDICT_COLOUR[row["verdict"]]
    axes.axhline(y, color=FAINT, linewidth=0.4, zorder=0.2)
    if row["low"] is not None:
        low, high = max(100 * row["low"], frame[0]), min(100 * row["high"], frame[1])
        axes.plot([low, high], [y, y], color=tint, linewidth=1.8, solid_capstyle="butt")
        for end, cut, sign in (
            (low, 100 * row["low"] < frame[0], "<"),
            (high, 100 * row["high"] > frame[1], ">"),
        ):
            if cut:
                axes.plot([end], [y], sign, color=tint, markersize=3.5, clip_on=False)
    axes.plot(
        [100 * row["mean"]],
        [y],
        VERDICT_MARKER[row["verdict"]],
        color=tint,
        markersize=5.2,
        markeredgecolor="white",
        markeredgewidth=0.4,
    )
    axes.annotate(
        points(row["mean"]),
        (1, y),
        xycoords=("axes fraction", "data"),
        xytext=(30, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=7,
        color=SOFT if row["verdict"] == "undecided" else INK,
        annotation_clip=False,
    )


def exhibit_differences(results: Results, compared: Sequence[Row], figure: Row, key: str) -> Exhibit:
    """The forest plots, one for each metric.

    Args:
        results: The sweep.
        compared: Rows of `methods.table_methods`.
        figure: As declared: to, metrics and title.
        key: The exhibit's.
    """
    title, metrics = (
        figure.get("title") or f"Difference to {figure['to']}",
        figure.get("metrics") or list(METRICS),
    )
    rows = table_pairs(results, measured(results, compared, figure.get("metrics")), figure["to"], metrics)
    if not rows:
        return Exhibit(
            key,
            title,
            missing=f"It takes {figure['to']} and one other configuration, confirmed under the same "
            "scenario.",
        )
    panels = panels_of_pairs(rows, metrics, key)
    there = [
        m for m in metrics if any(r["metric"] == m for r in rows)
    ]  # a metric that no run has is no column either
    caption, query = (
        caption_of(results, rows),
        query_of_pairs(rows[0]["reference"], there if figure.get("metrics") else None),
    )
    columns = ("scenario", "label", "metric", "mean", "low", "high", "seeds", "verdict", "firm")
    return Exhibit(key, title, caption, query, panels, numbers(rows, columns))


def panels_of_pairs(rows: Sequence[Row], metrics: Sequence[str], key: str) -> list[Panel]:
    """A forest plot for each metric that was measured."""
    frame = frame_of(rows)
    titles = {m: f"Personal accuracy {METRICS[m]}" if m in METRICS else title_of(m) for m in metrics}
    shown = [m for m in metrics if any(r["metric"] == m for r in rows)]
    width = NARROW if len(shown) > 2 else WIDTH
    return [
        Panel(
            f"{key}-{m.replace('_', '-')}",
            titles[m],
            draw_pairs([r for r in rows if r["metric"] == m], frame, width),
        )
        for m in shown
    ]


def caption_of(results: Results, rows: Sequence[Row]) -> str:
    """What the forest plots show and how to read them."""
    word = standing(rows[0]["reference"])
    return (
        f"Test accuracy of each configuration minus that of {rows[0]['reference']} with the same fresh "
        "seeds: mean and "
        f"{results.confidence:.0%} t interval. Blue triangles up are better, orange triangles down worse; "
        "green squares are level (the "
        "whole interval lies in the band of one point to either side), grey circles undecided. Intervals "
        "wider than the axis end in an "
        f"arrow. {f'All are {word} that do not say otherwise. ' if word else ''}{of_number(rows, results.confidence)}"
    )


def query_of_pairs(reference: str, metrics: Sequence[str] | None) -> str:
    """The numbers of `table_pairs` as SQL."""
    if metrics:
        return query_of_tested(
            metrics,
            f"""SELECT c.scenario, c.label, c.metric, avg(c.value - r.value) AS mean,
  stddev_samp(c.value - r.value) AS sd, count(*) AS seeds
FROM tested c JOIN tested r USING (scenario, seed, metric) WHERE r.label = {quoted(reference)} AND c.label <> r.label
GROUP BY ALL ORDER BY ALL""",
        )
    return f"""{CONFIRMED}, pairs AS (
  SELECT c.scenario, c.label, c.acc_personal_own - r.acc_personal_own AS own, c.acc_personal_global - r.acc_personal_global AS world
  FROM confirmed c JOIN confirmed r USING (scenario, seed) WHERE r.label = {quoted(reference)} AND c.label <> r.label
)
SELECT scenario, label, avg(own) AS own, stddev_samp(own) AS sd_own, avg(world) AS global_split, stddev_samp(world) AS sd_global,
  count(*) AS seeds
FROM pairs GROUP BY ALL ORDER BY ALL"""


def sentences_differences(results: Results, compared: Sequence[Row], figure: Row) -> list[str]:
    """A sentence per scenario: what is left out and what that costs or gains; then where other metrics say otherwise; then the rest.

    Where nothing is left out of the recipe's first entry, every configuration is in the first sentences.
    """
    metrics = figure.get("metrics") or list(METRICS)
    rows = table_pairs(results, measured(results, compared, figure.get("metrics")), figure["to"], metrics)
    main = [r for r in rows if r["removed"]] or rows
    rest = [r for r in rows if r not in main]
    first = next((m for m in metrics if any(r["metric"] == m for r in rows)), metrics[0])
    verdicts = {(r["scenario"], r["label"]): r["verdict"] for r in rows if r["metric"] == first}
    said: list[str] = []
    for part, metric in itertools.product((main, rest), metrics):
        own = [r for r in part if r["metric"] == metric]
        if metric != first:
            own = [
                r
                for r in own
                if r["interval"].excludes_zero and r["verdict"] != verdicts.get((r["scenario"], r["label"]))
            ]
        for scenario in dict.fromkeys(r["scenario"] for r in own):
            text = clauses_of([r for r in own if r["scenario"] == scenario])
            against = "" if said else f"compared with {rows[0]['reference']}, "
            said.append(f"Under {scenario}, {MEASURED[metric]}, {against}{text}.")
    return with_confidence(said, results.confidence)


def with_confidence(said: list[str], confidence: float) -> list[str]:
    """The sentences; the first says of what confidence the intervals are."""
    if said:
        sign = " points (" if " points (" in said[0] else " points, "
        said[0] = said[0].replace(sign, f"{sign}{confidence:.0%} interval ", 1)
    return said


def clauses_of(rows: Sequence[Row]) -> str:
    """The recipe's subject first, then what is left out of it, then the other configurations."""
    own, removed = [r for r in rows if r["subject"]], [r for r in rows if r["removed"]]
    rest = [r for r in rows if not r["subject"] and not r["removed"]]
    return "; ".join(_clauses(part) for part in (own, removed, rest) if part)


def _clauses(rows: Sequence[Row]) -> str:
    """What these differences say, by verdict; all of them or none leave something out."""
    by = {
        verdict: [r for r in rows if r["verdict"] == verdict]
        for verdict in ("hurts", "helps", "level", "undecided")
    }
    worse, better = (
        sorted(by["hurts"], key=lambda r: r["mean"]),
        sorted(by["helps"], key=lambda r: -r["mean"]),
    )
    clauses = [f"{_name(r)} {_does(r, 'cost' if r['removed'] else 'lose')} {_size(r)}" for r in worse]
    clauses += [f"{_name(r)} {_does(r, 'gain')} {_size(r)}" for r in better]
    if by["level"]:
        names = [_name(r) for r in by["level"]]
        one, many = ("does not matter", "do not matter") if rows[0]["removed"] else ("is level", "are level")
        clauses.append(f"{listing(names)} {one if len(names) == 1 else many} ({WITHIN})")
    if by["undecided"]:
        names = [f"{_name(r)} ({points(r['mean'])} points, {span(r['interval'])})" for r in by["undecided"]]
        clauses.append(f"{listing(names)} {'is' if len(names) == 1 else 'are'} undecided")
    return "; ".join(clauses)


def _does(row: Row, verb: str) -> str:
    return f"may {verb}" if may(row) else f"{verb}s"


def _name(row: Row) -> str:
    """`leaving out OT` for `without OT (tuned)`; other labels in quotes."""
    label = bare(row["label"])
    start = next((word for word in LEFT_OUT if label.startswith(word)), "")
    return f"leaving out {label.removeprefix(start)}" if row["removed"] else f"\u201c{label}\u201d"


def _size(row: Row) -> str:
    """`3.1 points (2.5 to 3.7)`: the difference without its sign."""
    interval: Interval = row["interval"]
    ends = sorted((abs(interval.low or 0.0), abs(interval.high or 0.0)))
    return f"{percent(abs(interval.mean))} points ({percent(ends[0])} to {percent(ends[1])})"
