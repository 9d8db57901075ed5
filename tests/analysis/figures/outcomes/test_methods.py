"""Confirmed configurations: a label belongs to one study."""

from __future__ import annotations

import pytest

from analysis.figures.outcomes import methods
from tests.fakes.trials import confirm, sweep_of


def test_two_studies_of_one_name_are_not_thrown_together() -> None:
    trials = [
        confirm("m (tuned)", "A", [0.8, 0.82], [1, 2]),
        {**confirm("m (tuned)", "A", [0.7, 0.7], [1, 2]), "study": "other | A"},
    ]
    with pytest.raises(
        ValueError, match=r"'m \(tuned\)' is confirmed under 'A' by two studies, 'm | A' and 'other | A'"
    ):
        methods.table_methods(sweep_of(trials))
    assert len(methods.table_methods(sweep_of([trials[0], trials[0]]))) == 2
