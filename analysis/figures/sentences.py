"""Words that sentences of several figures share."""

from __future__ import annotations


def be(number: int) -> str:
    """Return `is` or `are`."""
    return "is" if number == 1 else "are"
