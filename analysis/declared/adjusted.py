"""Words for differences that exclude zero but not when adjusted for the number of differences of a figure."""

from __future__ import annotations

from collections.abc import Sequence

from ..look.words import chance_sentence
from ..read.results import Row
from ..stats.intervals import multiplicity


def may(row: Row, key: str = "interval") -> bool:
    """Return whether a difference excludes zero but is not firm; sentences use `may` for it."""
    return bool(row[key].excludes_zero and not row["firm"])


def note_on_number(rows: Sequence[Row], confidence: float, subject: str = "", key: str = "interval") -> str:
    """Return for a caption how many of these intervals chance alone would decide, and what `may` means.

    Args:
        rows: With the column `firm` (see `rows.with_firm`).
        confidence: Coverage of the intervals.
        subject: Name of the differences, at the start of the text.
        key: Column of the interval.
    """
    text = chance_sentence(
        multiplicity([row[key] for row in rows], confidence), confidence, "if nothing differed"
    )
    if text and subject:
        text = f"{subject}: {text[0].lower()}{text[1:]}"
    if any(may(row, key) for row in rows):
        text += " Of those that do not stand, sentences say \u201cmay\u201d."
    return text
