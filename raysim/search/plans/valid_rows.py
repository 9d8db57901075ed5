"""Rows of finished trials that a resumed sweep keeps; the other trials are run again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from raysim.search.trial_spec import BATCH
from raysim.storage.trials import TrialRow

PERMANENT_FAILURES = ("diverged", "not possible", "out of time")  # a second run would fail in the same way
ORDER = ("contrast", "search", "race", "confirm")  # each kind is chosen by the results of those before it


def has_final_result(row: TrialRow) -> bool:
    """Return whether a second run would give the same; not so after a lack of memory or a killed process."""
    return row["state"] != "FAIL" or row["reason"].startswith(PERMANENT_FAILURES)


def valid_rows(
    rows: Sequence[TrialRow], extended: Mapping[str, Sequence[int]] | None = None
) -> list[TrialRow]:
    """Return the rows that a resumed sweep keeps.

    A trial that failed for a temporary reason is run again, unless finished trials of its study were chosen
    by its failure. Then the row is kept, because with another result other trials would have been chosen.

    Args:
        rows: The last row of every trial.
        extended: Study -> its numbers of search trials at the starts and ends of its extensions.
    """
    final = [row for row in rows if has_final_result(row)]
    used_failures = [
        row
        for row in rows
        if not has_final_result(row)
        and any(_depends_on(other, row, (extended or {}).get(row["study"], ())) for other in final)
    ]
    return sorted([*final, *used_failures], key=lambda row: row["trial"])


def _depends_on(later: TrialRow, earlier: TrialRow, stage_ends: Sequence[int]) -> bool:
    """Return whether a trial was chosen by the result of an earlier one."""
    if later["study"] != earlier["study"] or earlier["kind"] not in ("contrast", "search", "race"):
        return False
    if later["kind"] == "search" and not later["space"]:  # the levels of a recipe are declared, not chosen
        return False
    if later["kind"] != earlier["kind"]:
        # times are compared too, because an extension searches again after its races
        finished_later = (later["finished"] or 0.0) > (earlier["finished"] or 0.0)
        in_order = later["kind"] in ORDER and ORDER.index(later["kind"]) > ORDER.index(earlier["kind"])
        return finished_later and in_order
    if earlier["kind"] == "race":  # a round of a race has one seed, and the seeds increase with the round
        return max(later["seeds"]) > max(earlier["seeds"])
    return earlier["kind"] == "search" and (
        later["space"] != earlier["space"] or _batch(later, stage_ends) > _batch(earlier, stage_ends)
    )


def _batch(row: TrialRow, stage_ends: Sequence[int]) -> tuple[int, int]:
    """Return the stage and the batch of a search trial; its label ends with its place in the study."""
    place = int(row["label"].rpartition(" ")[2])
    stage_start = max([0, *(end for end in stage_ends if end <= place)])
    return stage_start, (place - stage_start) // BATCH
