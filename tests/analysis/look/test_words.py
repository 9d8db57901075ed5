"""Numbers and intervals as words."""

from __future__ import annotations

import re

import pytest

from analysis.look.page import slug
from analysis.look.words import bracket, percent, seeds_said, verb_of


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


def test_two_labels_that_differ_in_signs_or_in_letters_beyond_ascii_have_two_slugs() -> None:
    assert slug("dirichlet alpha=0.1") == "dirichlet-alpha-0-1" and slug("") == "x"
    for first, second in (
        ("\u6570\u636e\u4e00", "\u6570\u636e\u4e8c"),
        ("lam=-0.1", "lam=0.1"),
        ("1e-3", "1e3"),
    ):
        assert slug(first) != slug(second) and re.fullmatch("[a-z0-9-]+", slug(first))


@pytest.mark.parametrize(
    ("lost", "reason", "seeds", "verb"),
    [
        ((3, 0), "diverged on 3 of 3 seeds", "diverged on 3 of 3 seeds", "diverges beside {}"),
        (
            (0, 2),
            "the other side diverged on 2 of 3 seeds",
            "b diverged on 2 of 3 seeds",
            "cannot be compared with {}",
        ),
        (
            (3, 2),
            "diverged on 3 of 3 seeds and the other side diverged on 2 of 3 seeds",
            "diverged on 3, and b on 2, of 3 seeds",
            "diverges beside {}",
        ),
    ],
)
def test_who_diverges_is_said(lost: tuple[int, int], reason: str, seeds: str, verb: str) -> None:
    row = {"verdict": "diverges", "reason": reason, "b": "b", "seeds": 0, "seeds_planned": 3, "missing": 0}
    row |= {"diverged_a": lost[0], "diverged_b": lost[1]}
    assert (seeds_said(row), verb_of(row)) == (seeds, verb)
