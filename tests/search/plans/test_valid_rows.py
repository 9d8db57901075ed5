"""Rows that a resumed or extended sweep keeps."""

from __future__ import annotations

import pytest

from raysim.search.plans.valid_rows import valid_rows
from raysim.storage.trials import TrialRow
from tests.fakes.sweeps import PERMANENT, TEMPORARY, ended_row


@pytest.mark.parametrize(
    ("failed", "others", "is_kept"),
    [
        (ended_row("search", "tpe 1", 1, PERMANENT), [], True),
        (ended_row("search", "tpe 1", 1, TEMPORARY), [], False),
        (
            ended_row("search", "tpe 1", 1, TEMPORARY),
            [ended_row("search", "tpe 2", 9)],
            False,
        ),  # of its own batch
        (ended_row("search", "tpe 1", 1, TEMPORARY), [ended_row("search", "tpe 4", 9)], True),
        (
            ended_row("search", "tpe 1", 1, TEMPORARY),
            [ended_row("search", "tpe 4", 9, TEMPORARY)],
            False,
        ),  # neither chose anything that is kept
        (
            ended_row("search", "tpe 1", 1, TEMPORARY),
            [ended_row("search", "tpe 4", 9, study="toy | other")],
            False,
        ),
        (
            ended_row("search", "training.lr=0.1", 1, TEMPORARY, space=""),
            [ended_row("search", "training.lr=0.2", 9, space="")],
            False,
        ),  # declared
        (ended_row("contrast", "anchor", 1, TEMPORARY), [ended_row("contrast", "a=1", 9)], False),
        (ended_row("contrast", "anchor", 1, TEMPORARY), [ended_row("search", "tpe 0", 9)], True),
        (
            ended_row("rival", "fedavg", 1, TEMPORARY),
            [ended_row("search", "tpe 0", 9), ended_row("confirm", "tuned", 10)],
            False,
        ),
        (ended_row("search", "tpe 1", 1, TEMPORARY), [ended_row("race", "tpe 0", 9)], True),
        (
            ended_row("search", "tpe 9", 9, TEMPORARY),
            [ended_row("race", "tpe 0", 1)],
            False,
        ),  # the race was before the extension
        (
            ended_row("race", "tpe 0", 1, TEMPORARY, seeds=[500]),
            [ended_row("race", "tpe 1", 9, seeds=[500])],
            False,
        ),
        (
            ended_row("race", "tpe 0", 1, TEMPORARY, seeds=[500]),
            [ended_row("race", "tpe 1", 9, seeds=[501])],
            True,
        ),
        (ended_row("confirm", "tuned", 1, TEMPORARY), [ended_row("confirm", "untuned", 9)], False),
    ],
)
def test_a_temporary_failure_is_kept_where_others_were_chosen_by_it(
    failed: TrialRow, others: list[TrialRow], is_kept: bool
) -> None:
    assert (failed in valid_rows([failed, *others])) == is_kept


def test_stages_of_an_extension_are_batches_of_their_own() -> None:
    failed, next_ = ended_row("search", "tpe 4", 1, TEMPORARY), ended_row("search", "tpe 5", 9)
    assert failed not in valid_rows([failed, next_])
    assert failed in valid_rows([failed, next_], {"toy | even": (5, 8)})
