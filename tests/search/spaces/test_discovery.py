"""Every branch of a space is found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raysim.search.spaces.discovery import discover
from raysim.search.spaces.factors import Factor, UnitTrial
from search_spaces import fedrsclip, safe


@pytest.mark.parametrize(
    ("space", "count", "deepest"),
    [
        (safe.space, 21, {"method.kappa", "method.p", "method.tau_g_end"}),
        (fedrsclip.space, 11, {"method.theta"}),
    ],
)
def test_every_branch_of_a_real_space_is_found(space: Any, count: int, deepest: set[str]) -> None:
    factors = discover(space)
    names = [factor.name for factor in factors]
    assert len(set(names)) == len(names) == count and deepest <= set(names)
    for u in np.random.default_rng(0).random((300, count)):  # no branch asks for anything else
        trial = UnitTrial(factors, u)
        assert set(space(trial)) == set(trial.active) == set(trial.params)


def test_a_branch_behind_choices_that_chance_would_miss() -> None:
    def space(trial: Any) -> None:
        if all(trial.suggest_categorical(f"c{n}", list(range(6))) == 5 for n in range(6)):  # 1 in 46656
            trial.suggest_int("behind", 1, 3)

    assert {factor.name for factor in discover(space)} == {*(f"c{n}" for n in range(6)), "behind"}


def test_a_branch_behind_a_number() -> None:
    def space(trial: Any) -> None:
        if trial.suggest_float("x", 0.0, 1.0) > 0.97 and trial.suggest_int("n", 1, 1000) == 1000:
            trial.suggest_float("behind", 0.1, 1.0, log=True)

    assert discover(space)[-1] == Factor(name="behind", kind="float", low=0.1, high=1.0, log=True)
    assert discover(space, seed=3) == discover(space, seed=3)
