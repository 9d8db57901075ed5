"""Words that sentences of several figures share."""

from __future__ import annotations

from collections.abc import Sequence


def be(number: int) -> str:
    """Return `is` or `are`."""
    return "is" if number == 1 else "are"


def with_confidence(texts: Sequence[str], confidence: float) -> list[str]:
    """Return the sentences; the first interval of the first one says its confidence.

    Args:
        texts: With intervals as `+2.0 points, +1.8 to +2.2` or `2.0 points (1.8 to 2.2)`.
        confidence: Coverage of the intervals.
    """
    if not texts:
        return []
    sign = " points (" if " points (" in texts[0] else " points, "
    before, _, after = texts[0].partition(sign)
    if not after or after.startswith("no interval"):  # one seed
        return list(texts)
    return [f"{before}{sign}{confidence:.0%} interval {after}", *texts[1:]]
