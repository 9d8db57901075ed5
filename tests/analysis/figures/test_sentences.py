"""Sentences that figures share: the confidence is said once, where there is an interval."""

from __future__ import annotations

import pytest

from analysis.figures.sentences import with_confidence


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["+2.0 points, +1.8 to +2.2"], ["+2.0 points, 90% interval +1.8 to +2.2"]),
        (
            ["2.0 points (1.8 to 2.2)", "3.0 points (1 to 5)"],
            ["2.0 points (90% interval 1.8 to 2.2)", "3.0 points (1 to 5)"],
        ),
        (["+2.0 points, no interval: one seed"], ["+2.0 points, no interval: one seed"]),
        (["nothing was compared"], ["nothing was compared"]),
        ([], []),
    ],
)
def test_the_first_interval_says_its_confidence(texts: list[str], expected: list[str]) -> None:
    assert with_confidence(texts, 0.9) == expected
