"""Numbers, intervals and lists as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..read.results import Row

MINUS = "\u2212"
MARGIN = 0.01  # a difference within it changes nothing that matters
WITHIN = f"within {100 * MARGIN:g} point"  # the meaning of `level`
VERBS = {  # verdict -> what the first side is beside the second
    "diverges": "cannot be compared with {}",
    "ahead": "is ahead of {}",
    "behind": "is behind {}",
    "negligible": "is all but equal to {}",
    "level": f"is level with {{}} ({WITHIN})",
    "no effect": "gives the same as {}",
    "undecided": "is undecided against {}",
    "missing": "cannot be paired with {}",
}
TITLES = {
    "acc_personal_own": "personal, own distribution",
    "acc_personal_global": "personal, global split",
    "acc_shared_own": "shared alone, own distribution",
    "acc_shared_global": "shared alone, global split",
    "worst_client_accuracy": "worst client",
}


def percent(value: float | None, digits: int = 1) -> str:
    """Write a fraction as a percentage."""
    return "\u2013" if value is None else f"{100 * value:.{digits}f}".replace("-", MINUS)


def points(value: float | None, digits: int = 1) -> str:
    """Write a difference of fractions in percentage points, with its sign."""
    if value is None:
        return "\u2013"
    text = f"{100 * value:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text[1:]  # no sign for zero


def bracket(low: float | None, high: float | None, form: Any = points) -> str:
    """Write `[low, high]`, or nothing where there is no interval."""
    return f"[{form(low)}, {form(high)}]" if low is not None and high is not None else ""


def shown(row: Row) -> float | None:
    """Return the difference that the verdict follows from: with lost seeds counted as 0, where some are lost.

    Args:
        row: A row of the table of verdicts.
    """
    value = row["estimate"] if row["worst_case"] is None else row["worst_case"]
    return None if value is None else float(value)


def difference(row: Row) -> str:
    """Write a difference with its adjusted interval: `+2.1 points [+0.5, +3.6]`, or that it diverges.

    Args:
        row: A row of the table of verdicts.
    """
    value = shown(row)
    if value is None or row["verdict"] == "diverges":
        return seeds_said(row) if row["verdict"] == "diverges" else "not run"
    interval = bracket(row["adjusted_low"], row["adjusted_high"])
    size_said = " ".join(part for part in (f"{points(value)} points", interval) if part)
    return f"{size_said}; {seeds_said(row)}" if row["diverged_a"] or row["diverged_b"] else size_said


def described(row: Row) -> str:
    """Write the verdict on a difference, its size and the reason.

    Args:
        row: A row of the table of verdicts.
    """
    parts = (f"{row['verdict']}, {difference(row)}", row["reason"])
    return "; ".join(part for part in parts if part)


def seeds_said(row: Row) -> str:
    """Write `3 seeds`, `4 of 5 seeds`, or on how many of them a side diverged: the second one with its name.

    Args:
        row: A row of the table of verdicts, with `seeds` as a number.
    """
    planned = max(row["seeds_planned"] or 0, row["seeds"])
    first, second = row["diverged_a"] or 0, row["diverged_b"] or 0
    if first or second:
        who = f"{row['b']} " if second > first else ""
        ran = planned - (row["missing"] or 0)
        return f"{who}diverged on {max(first, second)} of {count(ran, 'seed')}"
    return (
        count(planned, "seed") if row["seeds"] == planned else f"{row['seeds']} of {count(planned, 'seed')}"
    )


def accuracy(row: Row, form: Any = percent) -> str:
    """Write an accuracy with its interval, over seeds and images where both are known.

    Args:
        row: A row of the table of estimates.
        form: How a number is written.
    """
    ends = ("low_both", "high_both") if row["low_both"] is not None else ("low", "high")
    parts = (form(row["mean"]), bracket(row[ends[0]], row[ends[1]], form))
    return " ".join(part for part in parts if part)


def basis(row: Row) -> str:
    """Write what the interval of an accuracy is over, and who was measured.

    Args:
        row: A row of the table of estimates, with `seeds` as a number: those that kept a value.
    """
    kept, planned = row["seeds"], max(row["seeds_planned"] or 0, row["seeds"])
    seeds = count(planned, "seed") if kept == planned else f"{kept} of {count(planned, 'seed')}"
    over = "over seeds and images" if row["low_both"] is not None else "over seeds, these images"
    measured, evaluated = row["clients_measured"], row["clients_evaluated"]
    clients = f"{measured:g} of {count(round(evaluated), 'client')} measured" if evaluated else ""
    interval = over if row["low_both"] is not None or row["low"] is not None else "no interval"
    return ", ".join(part for part in (interval, seeds, clients if measured != evaluated else "") if part)


def listing(words: Sequence[str]) -> str:
    """Write `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def short_listing(words: Sequence[str], most: int = 4) -> str:
    """Write `a, b and c`; of more than `most` words, the first ones and the number of others."""
    shown = list(words) if len(words) <= most else [*words[: most - 1], count(len(words) - most + 1, "other")]
    return listing(shown)


def shorten(text: str, most: int) -> str:
    """Shorten a text to at most `most` characters, with an ellipsis in its middle."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head].rstrip()}\u2026{text[len(text) - (most - 1 - head) :].lstrip()}"


def capitalized(text: str) -> str:
    """Return a text as a sentence or a title begins: `Accuracy`; `mIoU` keeps its small letter."""
    return text if text.startswith("mIoU") else text[:1].upper() + text[1:]


def be(number: int) -> str:
    """Return `is` or `are`."""
    return "is" if number == 1 else "are"


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: `1 seed`, `3 seeds`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def size(number: float | None) -> str:
    """Write bytes with a unit (powers of 1,000)."""
    if number is None:
        return "\u2013"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.4g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"


def duration(seconds: float | None) -> str:
    """Write seconds as seconds, minutes or hours."""
    if seconds is None:
        return "\u2013"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
