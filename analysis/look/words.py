"""Numbers, intervals, lists, and rows of the tables of verdicts and of estimates, as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..read.results import Row

MINUS = "\u2212"
SMALL = 0.0005  # an end of an interval that would be written 0.0
MARGIN = 0.01  # a difference within it changes nothing that matters
WITHIN = f"within {100 * MARGIN:g} point"  # the meaning of `level`
VERBS = {  # verdict -> what the first side is beside the second
    "diverges": "cannot be compared with {}",  # the other side diverges; `verb_of` has the other word
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
    """Write `[low, high]`, or nothing where there is no interval.

    One end that is not zero, and would be written so, gets a second digit: it may decide a verdict.
    """
    if low is None or high is None:
        return ""
    fine = form in (points, percent) and max(abs(low), abs(high)) >= SMALL
    ends = [form(end, 2) if fine and 0 < abs(end) < SMALL else form(end) for end in (low, high)]
    return f"[{', '.join(ends)}]"


def shown(row: Row) -> float | None:
    """Return the difference that the verdict follows from; seeds that are lost count as 0 in it."""
    value = row["estimate"] if row["worst_case"] is None else row["worst_case"]
    return None if value is None else float(value)


def difference(row: Row) -> str:
    """Write a difference with its adjusted interval: `+2.1 points [+0.5, +3.6]`, or that it diverges."""
    value = shown(row)
    if row["verdict"] == "diverges":
        return seeds_said(row)
    if value is None:
        return "not run"
    text = f"{points(value)} points {bracket(row['adjusted_low'], row['adjusted_high'])}".rstrip()
    return f"{text}; {seeds_said(row)}" if row["diverged_a"] or row["diverged_b"] else text


def described(row: Row) -> str:
    """Write the verdict on a difference, its size and the reason."""
    return "; ".join(filter(None, (f"{row['verdict']}, {difference(row)}", row["reason"])))


def other_diverges(row: Row) -> bool:
    """Whether it is the other side alone that lost at least half of its seeds: of a choice, the anchor."""
    return row["verdict"] == "diverges" and str(row["reason"] or "").startswith("the other side")


def verb_of(row: Row) -> str:
    """Return what the first side is beside the second, with a place for its name."""
    own = row["verdict"] == "diverges" and not other_diverges(row)
    return "diverges beside {}" if own else VERBS[row["verdict"]]


def seeds_said(row: Row) -> str:
    """Write `3 seeds`, `4 of 5 seeds`, or on how many of them a side diverged: the second one with its name.

    The row is one of verdicts, with `seeds` as a number.
    """
    planned = max(row["seeds_planned"] or 0, row["seeds"])
    first, second = row["diverged_a"] or 0, row["diverged_b"] or 0
    if not (first or second):
        return kept_seeds(row["seeds"], planned)
    ran = count(planned - (row["missing"] or 0), "seed")
    if first and second:
        return f"diverged on {first}, and {row['b']} on {second}, of {ran}"
    return f"{row['b']} diverged on {second} of {ran}" if second else f"diverged on {first} of {ran}"


def kept_seeds(kept: int, planned: int) -> str:
    """Write `3 seeds` or `4 of 5 seeds`."""
    return count(planned, "seed") if kept >= planned else f"{kept} of {count(planned, 'seed')}"


def accuracy(row: Row) -> str:
    """Write a row of estimates with its interval, over seeds and images where both are known."""
    both = row["low_both"] is not None
    low, high = (row["low_both"], row["high_both"]) if both else (row["low"], row["high"])
    return f"{percent(row['mean'])} {bracket(low, high, percent)}".rstrip()


def basis(row: Row) -> str:
    """Write what the interval of a row of estimates is over, and who was measured.

    `seeds` is a number: those that kept a value.
    """
    interval = "no interval" if row["low"] is None else "over seeds, these images"
    interval = interval if row["low_both"] is None else "over seeds and images"
    seeds = kept_seeds(row["seeds"], max(row["seeds_planned"] or 0, row["seeds"]))
    measured, evaluated = row["clients_measured"], row["clients_evaluated"]
    all_measured = not evaluated or measured == evaluated
    clients = "" if all_measured else f"{measured:g} of {count(round(evaluated), 'client')} measured"
    return ", ".join(filter(None, (interval, seeds, clients)))


def listing(words: Sequence[str]) -> str:
    """Write `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def quoted_names(names: Sequence[str]) -> list[str]:
    """Return the names of a listing, all in quotes where a comma in one of them would split it."""
    split = any("," in name and not name.startswith("\u201c") for name in names)
    return [f"\u201c{name}\u201d" for name in names] if split else list(names)


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


def size(number: float | None, units: Sequence[str] = ("B", "kB", "MB", "GB", "TB")) -> str:
    """Write bytes, or what else has these units, with a unit (powers of 1,000)."""
    if number is None:
        return "\u2013"
    power = 0
    while abs(number) >= 1000 and power < len(units) - 1:
        number, power = number / 1000, power + 1
    return f"{number:.4g} {units[power]}".rstrip()


def parameter_count(number: float) -> str:
    """Write a number of parameters, short enough for an axis."""
    return size(number, ("", "k", "M", "G"))


def duration(seconds: float | None) -> str:
    """Write seconds as seconds, minutes or hours."""
    if seconds is None:
        return "\u2013"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
