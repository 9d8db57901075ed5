"""Sentences about the cost."""

from __future__ import annotations

from collections.abc import Sequence

from ..look.words import MINUS, percent
from ..read.results import Results, Row
from ..stats.intervals import Interval
from .cost import differs_from_one, table_cost, table_time_ratios


def sentences_cost(results: Results, rounds: Sequence[Row], figure: Row) -> list[str]:
    """Return sentences about the cost at the typical settings, along each setting, and about OT.

    Args:
        results: The sweep.
        rounds: Rows of the rounds table of the confirmed trials' runs.
        figure: As declared: reference and x.
    """
    paths, reference = list(figure["x"]), figure["reference"]
    rows = table_cost(results, rounds, reference, paths)
    ratios, texts = table_time_ratios(results, rows, paths), []
    at_typical = [ratio for ratio in ratios if ratio["path"] is None]
    if at_typical:
        costs = "; ".join(_cost_clause(ratio, results.confidence) for ratio in at_typical)
        texts.append(f"Compared with {reference} ({at_typical[0]['first']['scenario']}), {costs}.")
    for path in paths:
        trends = "; ".join(_trend(ratio) for ratio in ratios if ratio["path"] == path)
        if trends:
            name = path.rpartition(".")[2]
            texts.append(f"Time against {name}, as a multiple of that of {reference}: {trends}.")
    return texts + _ot_sentences(rows)


def _cost_clause(ratio: Row, confidence: float) -> str:
    row = ratio["first"]
    return (
        f"\u201c{row['label']}\u201d takes {_more(row['work'])} FLOPs and {_more(ratio['change'])} time "
        f"per training round{_time_interval(ratio, confidence)}"
    )


def _more(interval: Interval | None) -> str:
    """Return `25% more`, `1.3% less`, `3.4 times the`."""
    if interval is None:
        return "unknown"
    extra = 100 * (interval.mean - 1)
    if extra >= 100:
        return f"{interval.mean:.{0 if extra >= 900 else 1}f} times the"
    digits = 0 if abs(extra) >= 10 else 1 if abs(extra) >= 0.1 else 2
    return f"{abs(extra):.{digits}f}% {'more' if extra >= 0 else 'less'}"


def _time_interval(row: Row, confidence: float) -> str:
    """Return the interval of the time, in per cent more or less."""
    time: Interval = row["change"]
    if time.low is None or time.high is None:
        return " (one seed gives no interval)"
    low, high = (f"{100 * (end - 1):+.0f}".replace("-", MINUS) for end in (time.low, time.high))
    doubt = f"; the time {text}" if (text := _doubt(row)) else ""
    return f" (time {low}% to {high}%, {confidence:.0%} interval{doubt})"


def _doubt(row: Row) -> str:
    """Return why a ratio is not certain; empty where it is."""
    if not differs_from_one(row["change"]):
        return "is undecided"
    return "" if row["firm"] else "may be chance: it does not stand adjusted for the number of intervals"


def _trend(row: Row) -> str:
    """Return the times at both ends of one setting, and their ratio, paired by seed."""
    change, first, last, path = row["change"], row["first"], row["last"], row["path"]
    verdict = "no interval"
    if change.low is not None:
        verdict = f"\u00d7 {_times(change.mean)}, {_times(change.low)} to {_times(change.high)}"
        verdict += f", which {doubt}" if (doubt := _doubt(row)) else ""
    ends = ", ".join(f"{_times(end['time'].mean)} at {end['x'][path]:g}" for end in (first, last))
    return f"{first['line']} {ends} ({verdict})"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}" if ratio < 10 else f"{ratio:.0f}"


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
