"""Which differences of a figure stand when adjusted for how many it holds, and how the rest are spoken of."""

from __future__ import annotations

from collections.abc import Sequence

from ..look.words import chance
from ..read.results import Row
from ..stats.intervals import firm, multiplicity


def with_firm(rows: Sequence[Row], confidence: float, key: str = "interval") -> list[Row]:
    """The rows with `firm`: whether the interval under `key` stands among all of them (false discovery rate 1 - confidence)."""
    return [
        {**row, "firm": stands}
        for row, stands in zip(rows, firm([r[key] for r in rows], 1 - confidence), strict=True)
    ]


def may(row: Row, key: str = "interval") -> bool:
    """Whether a row's difference excludes zero but does not stand adjusted: sentences say `may` of it."""
    return bool(row[key].excludes_zero and not row["firm"])


def of_number(rows: Sequence[Row], confidence: float, what: str = "", key: str = "interval") -> str:
    """For a caption: what chance alone would do to so many intervals (of `what`), and what `may` means in the sentences."""
    text = chance(multiplicity([r[key] for r in rows], confidence), confidence, "if nothing differed")
    text = f"{what}: {text[0].lower()}{text[1:]}" if text and what else text
    return text + (
        " Of those that do not stand, sentences say \u201cmay\u201d."
        if any(may(r, key) for r in rows)
        else ""
    )
