"""Numbers and intervals as words."""

from __future__ import annotations

import pytest

from analysis.look.words import bracket, percent


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (-0.096, -0.0004, "[\u22129.6, \u22120.04]"),
        (0.0004, 0.02, "[+0.04, +2.0]"),
        (-0.02, 0.0, "[\u22122.0, 0.0]"),
        (None, 0.1, ""),
    ],
)
def test_an_end_that_decides_is_not_written_as_zero(low: float | None, high: float, text: str) -> None:
    assert bracket(low, high) == text


def test_an_accuracy_of_zero_is_zero() -> None:
    assert bracket(0.0, 0.239, percent) == "[0.0, 23.9]" and bracket(0.0002, 1.0, percent) == "[0.02, 100.0]"
