"""Numbers and verdicts as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..read.results import Row
from ..stats.intervals import MARGIN, Interval, Multiplicity

MINUS = "\u2212"
WITHIN = f"within {100 * MARGIN:g} point"  # what `level` means
TITLES = {
    "acc_personal_own": "personal, own distribution",
    "acc_personal_global": "personal, global split",
    "acc_shared_own": "shared alone, own distribution",
    "acc_shared_global": "shared alone, global split",
    "worst_client_accuracy": "worst client",
}


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage."""
    return "\u2013" if value is None else f"{100 * value:.{digits}f}".replace("-", MINUS)


def points(value: float | None, digits: int = 1) -> str:
    """A difference of fractions in percentage points, with its sign."""
    if value is None:
        return "\u2013"
    text = f"{100 * value:+.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text[1:]  # no sign for zero


def span(interval: Interval, form: Any = points) -> str:
    """`low to high`, or why there is none."""
    return (
        f"{form(interval.low)} to {form(interval.high)}"
        if interval.low is not None
        else "no interval: one seed"
    )


def mean_span(interval: Interval | None, form: Any = percent) -> str:
    """`mean [low, high]`."""
    if interval is None:
        return "\u2013"
    return f"{form(interval.mean)}" + (
        f" [{form(interval.low)}, {form(interval.high)}]" if interval.low is not None else ""
    )


def plus_minus(interval: Interval | None, form: Any = percent) -> str:
    """`mean ± half width`, for tables."""
    if interval is None:
        return "\u2013"
    return form(interval.mean) + (
        f" \u00b1 {percent(interval.mean - interval.low)}" if interval.low is not None else ""
    )


def listing(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def some(words: Sequence[str], most: int = 4) -> str:
    """`a, b and c`; of more than `most`, the first ones and how many others."""
    shown = list(words) if len(words) <= most else [*words[: most - 1], count(len(words) - most + 1, "other")]
    return listing(shown)


def shorten(text: str, most: int) -> str:
    """Text of at most so many characters, with an ellipsis in its middle where it was longer."""
    if len(text) <= most:
        return text
    head = most // 2
    return f"{text[:head].rstrip()}\u2026{text[len(text) - (most - 1 - head) :].lstrip()}"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 seed`, `3 seeds`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def share(part: int, whole: int) -> str:
    """`3 of 9 open choices are`."""
    return f"{part} of {whole} open choices {'is' if part == 1 else 'are'}"


def untried(number: int) -> str:
    """`2 without a finished trial`: not tried yet, or each trial failed."""
    return f"{number} without a finished trial"


def size(number: float | None) -> str:
    """Bytes with a unit (powers of 1,000)."""
    if number is None:
        return "\u2013"
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 1000:
            return f"{number:.4g} {unit}"
        number /= 1000
    return f"{number:.4g} TB"


def duration(seconds: float | None) -> str:
    """Seconds for people."""
    if seconds is None:
        return "\u2013"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def seeds(counts: Sequence[int]) -> str:
    """`3 seeds`, or `2 to 3 seeds`."""
    return count(counts[0], "seed") if min(counts) == max(counts) else f"{min(counts)} to {max(counts)} seeds"


def on_patches(trials: Sequence[Row]) -> str:
    """How many patches of an image optimal transport works on, where it does."""
    sizes = sorted({t["patches"] for t in trials if t.get("patches") is not None})
    return (
        f"FedOTP and patch-level OT work on M = {listing([str(n) for n in sizes])} patches with this "
        "backbone."
        if sizes
        else ""
    )


def chance(m: Multiplicity, confidence: float, if_so: str = "if no choice mattered at all") -> str:
    """What chance alone would do to this many intervals, if nothing were there."""
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
