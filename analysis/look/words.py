"""Numbers, intervals and lists as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..read.results import Row
from ..stats.intervals import EQUIVALENCE_MARGIN, Interval, Multiplicity

MINUS = "\u2212"
WITHIN = f"within {100 * EQUIVALENCE_MARGIN:g} point"  # the meaning of `level`
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


def span(interval: Interval, form: Any = points) -> str:
    """Write `low to high`, or why there is no interval."""
    return (
        f"{form(interval.low)} to {form(interval.high)}"
        if interval.low is not None
        else "no interval: one seed"
    )


def mean_span(interval: Interval | None, form: Any = percent) -> str:
    """Write `mean [low, high]`."""
    if interval is None:
        return "\u2013"
    return f"{form(interval.mean)}" + (
        f" [{form(interval.low)}, {form(interval.high)}]" if interval.low is not None else ""
    )


def plus_minus(interval: Interval | None, form: Any = percent) -> str:
    """Write `mean ± half width`, for tables."""
    if interval is None:
        return "\u2013"
    return form(interval.mean) + (
        f" \u00b1 {percent(interval.mean - interval.low)}" if interval.low is not None else ""
    )


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


def count(number: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: `1 seed`, `3 seeds`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def share_of_choices(part: int, whole: int) -> str:
    """Write `3 of 9 open choices are`."""
    return f"{part} of {whole} open choices {'is' if part == 1 else 'are'}"


def untried_clause(number: int) -> str:
    """Write `2 without a finished trial`, of choices that were not tried yet or whose trials all failed."""
    return f"{number} without a finished trial"


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


def seed_count(counts: Sequence[int]) -> str:
    """Write `3 seeds`, or `2 to 3 seeds`."""
    return count(counts[0], "seed") if min(counts) == max(counts) else f"{min(counts)} to {max(counts)} seeds"


def patches_sentence(trials: Sequence[Row]) -> str:
    """Say on how many patches of an image optimal transport works; empty where it is not used."""
    sizes = sorted({t["patches"] for t in trials if t.get("patches") is not None})
    return (
        f"FedOTP and patch-level OT work on M = {listing([str(n) for n in sizes])} patches with this "
        "backbone."
        if sizes
        else ""
    )


def chance_sentence(m: Multiplicity, confidence: float, if_so: str = "if no choice mattered at all") -> str:
    """Say how many intervals exclude zero, and how many would by chance alone.

    Args:
        m: The counts.
        confidence: Coverage of the intervals.
        if_so: The hypothesis under which chance is counted.
    """
    if not m.shown:
        return ""
    excluding = f"{m.decided} exclude{'s' if m.decided == 1 else ''} zero"
    text = (
        f"Of {count(m.shown, 'interval')} of {confidence:.0%} shown, {excluding}; by chance alone, "
        f"{if_so}, about {m.by_chance:.0f} would."
    )
    if m.decided:
        stands = (
            "all of them stand"
            if m.firm == m.decided
            else f"{m.firm or 'none'} of them stand{'s' if m.firm <= 1 else ''}"
        )
        text += f" Adjusted for their number (false discovery rate {1 - confidence:.0%}), {stands}."
    return text
