"""Standing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raysim.core.types import Row
from raysim.search.spec import BATCH

LASTING = ("diverged", "not possible", "out of time")  # failures that a second try would repeat


def settled(row: Row) -> bool:
    """Whether a finished trial stands: one that failed for a passing reason (memory, disk, a killed process) is run again."""
    return row["state"] != "FAIL" or str(row["reason"]).startswith(LASTING)


def standing(rows: Sequence[Row], ends: Mapping[str, Sequence[int]] | None = None) -> list[Row]:
    """The rows that a resumed sweep takes over; of a trial that was run again, the later one.

    A failure with a passing reason is run again, unless finished trials of its study were chosen in the
    knowledge of it: then it stands, or they would all be other trials.

    Args:
        rows: All that were written.
        ends: Study -> its numbers of search trials when it was extended.
    """
    latest = {row["key"]: row for row in sorted(rows, key=lambda row: float(row["finished"] or 0))}
    done = [row for row in latest.values() if settled(row)]
    failed = [row for row in latest.values() if not settled(row)]
    known = [
        row
        for row in failed
        if any(_chosen_after(other, row, (ends or {}).get(row["study"], ())) for other in done)
    ]
    return sorted([*done, *known], key=lambda row: int(row["trial"]))


def _chosen_after(other: Row, row: Row, ends: Sequence[int]) -> bool:
    """Whether a trial was chosen by what was known of `row`."""
    if other["study"] != row["study"] or row["kind"] not in ("contrast", "search", "race"):
        return False
    if other["kind"] == "search" and not other["space"]:  # a recipe's levels are declared, not chosen
        return False
    order = ("contrast", "search", "race", "confirm")
    if other["kind"] != row["kind"]:  # an extension goes back to searching
        later = (other["finished"] or 0) > (row["finished"] or 0)
        return later and other["kind"] in order and order.index(other["kind"]) > order.index(row["kind"])
    if row["kind"] == "race":  # a seed a round
        return max(other["seeds"]) > max(row["seeds"])
    return row["kind"] == "search" and (
        other["space"] != row["space"] or _batch(other, ends) > _batch(row, ends)
    )


def _batch(row: Row, ends: Sequence[int]) -> tuple[int, int]:
    """Stage and batch of a search trial; its label ends with its place in the study."""
    place = int(row["label"].rpartition(" ")[2])
    begun = max([0, *(end for end in ends if end <= place)])
    return begun, (place - begun) // BATCH
