"""Configurations that a report compares: their names, their order, and their look in all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count

from ..read.results import tuning_of
from .style import GREY, KNOWN, LINES, MARKERS, PALETTE, UNTUNED, Look

MAX_PER_PANEL = 8  # configurations that can be distinguished in one panel


def base_label(label: str) -> str:
    """Remove how a configuration was tuned from its label: `(tuned)`, `(best of 4 trials)`, `(untuned)`."""
    return label.removesuffix(f" ({tuning_of(label)})")


def panel_groups(labels: Sequence[str]) -> list[list[str]]:
    """Cut labels into panels of at most `MAX_PER_PANEL`; the first label, the reference, is in each panel."""
    if len(labels) <= MAX_PER_PANEL:
        return [list(labels)]
    first, rest = labels[0], labels[1:]
    size = -(-len(rest) // -(-len(rest) // (MAX_PER_PANEL - 1)))
    return [[first, *rest[start : start + size]] for start in range(0, len(rest), size)]


def looks_of(entries: Mapping[str, str]) -> dict[str, Look]:
    """Return label -> look; no two configurations share a look.

    Args:
        entries: Label -> method, the most important first. Of several labels of a known method, the first
            has the colour of the method. The tuned and the untuned configuration of one name differ only in
            the filling and the line.
    """
    places: dict[str, int] = {}
    for label, method in entries.items():
        if method in KNOWN and KNOWN[method] not in places.values():
            places.setdefault(base_label(label), KNOWN[method])
    grey = next((base_label(label) for label, method in entries.items() if method == "zeroshot"), None)
    for name in map(base_label, entries):
        if name not in places and name != grey:
            places[name] = next(place for place in count() if place not in places.values())
    return {label: look_at(places.get(base_label(label)), tuning_of(label) == "untuned") for label in entries}


def look_at(place: int | None, hollow: bool = False) -> Look:
    """Return the look at a place, grey without one.

    After the last colour, the palette is repeated without its first colour and with another line.
    """
    if place is None:
        return Look(GREY, "h", UNTUNED if hollow else LINES[0], hollow)
    again, which = divmod(place - len(PALETTE), len(PALETTE) - 1)
    first = place < len(PALETTE)
    line = LINES[0] if first else LINES[1 + again % (len(LINES) - 1)]
    colour, marker = PALETTE[place if first else 1 + which], MARKERS[place % len(MARKERS)]
    return Look(colour, marker, UNTUNED if hollow else line, hollow)
