"""Designs over a space: every branch's parameters, values with equal shares, SALib's layout, budgets."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.search.designs import (
    Factor,
    UnitTrial,
    choice_factor,
    discover,
    float_factor,
    int_factor,
    morris,
    sobol,
)
from search_spaces import fedrsclip, safe

K = 5


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

    assert discover(space)[-1] == Factor("behind", "float", 0.1, 1.0, True)
    assert discover(space, seed=3) == discover(space, seed=3)


def test_one_name_with_two_distributions_is_refused() -> None:
    def space(trial: Any) -> None:
        high = 2.0 if trial.suggest_categorical("switch", [False, True]) else 1.0
        trial.suggest_float("x", 0.0, high)

    with pytest.raises(UserError, match="'x' has two distributions"):
        discover(space)
    factors = (choice_factor("switch", [False, True]), float_factor("x", 0.0, 1.0))
    with pytest.raises(UserError, match="'x' has two distributions"):
        space(UnitTrial(factors, [0.9, 0.5]))
    with pytest.raises(UserError, match="asks for 'switch'"):
        space(UnitTrial(factors[1:], [0.5]))
    with pytest.raises(UserError, match="x: "):
        float_factor("x", 2.0, 1.0)
    with pytest.raises(UserError, match="no parameter"):
        discover(lambda trial: None)


def test_values_have_equal_shares() -> None:
    grid = (np.arange(1200) + 0.5) / 1200
    choice = choice_factor("c", ["a", None, 3])
    assert set(Counter(choice.value(u) for u in grid).values()) == {400}
    assert [choice.value(u) for u in (0, 1 / 3, 2 / 3, 1)] == ["a", None, 3, 3]
    assert Counter(int_factor("i", 2, 8, step=2).value(u) for u in grid) == {2: 300, 4: 300, 6: 300, 8: 300}
    assert Counter(float_factor("f", 0.0, 1.0, step=0.5).value(u) for u in grid) == {
        0.0: 400,
        0.5: 400,
        1.0: 400,
    }
    rate = float_factor("r", 1e-3, 1e-1, log=True)
    assert rate.value(0) == 1e-3 and rate.value(1) == 1e-1 and rate.value(0.5) == pytest.approx(1e-2)
    whole = [int_factor("i", 1, 64, log=True).value(u) for u in grid]
    assert min(whole) == 1 and max(whole) == 64 and all(isinstance(value, int) for value in whole)
    assert float(np.median(whole)) == pytest.approx(np.sqrt(0.5 * 64.5), abs=1)
    assert choice.json() == {
        "path": "c",
        "kind": "categorical",
        "low": None,
        "high": None,
        "log": False,
        "step": None,
        "choices": ["a", None, 3],
    }


@pytest.mark.parametrize("second_order", [False, True])
def test_sobol_blocks_have_the_layout_that_salib_reads(second_order: bool) -> None:
    from SALib.analyze.sobol import separate_output_values

    size = 2 * K + 2 if second_order else K + 2
    U, n = sobol(K, 20 * size + 3, seed=1, second_order=second_order)
    assert n == 20 and U.shape == (20 * size, K) and U.min() >= 0 and U.max() <= 1
    for j in range(K):  # each coordinate of A and of B is spread evenly
        a, b, ab, ba = separate_output_values(U[:, j], K, n, second_order)
        assert sorted((a * n).astype(int)) == sorted((b * n).astype(int)) == list(range(n))
        assert all((ab[:, i] == (b if i == j else a)).all() for i in range(K))
        assert not second_order or all((ba[:, i] == (a if i == j else b)).all() for i in range(K))


def test_morris_trajectories_step_every_coordinate_once() -> None:
    U, n = morris(K, 100, seed=1)
    steps = np.diff(U.reshape(n, K + 1, K), axis=1)
    assert n == 16 and len(U) == 96
    assert np.allclose(np.abs(steps).sum(axis=1), 2 / 3) and np.allclose(np.abs(steps).sum(axis=2), 2 / 3)
    assert set(np.round(3 * U.ravel(), 6)) == {0, 1, 2, 3}


def test_designs_depend_on_their_seed_and_on_nothing_else() -> None:
    for design in (sobol, morris):
        np.random.seed(0)
        before = np.random.get_state()[1].copy()
        first, again, other = (design(K, 60, seed=seed)[0] for seed in (1, 1, 2))
        assert (first == again).all() and not np.array_equal(first, other)
        assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize(("design", "least"), [(sobol, 14), (morris, 12)])
def test_a_budget_that_is_too_small_says_what_is_needed(design: Any, least: int) -> None:
    with pytest.raises(UserError, match=f"at least {least} "):
        design(K, least - 1, seed=0)
    assert design(K, least, seed=0)[1] == 2
    with pytest.raises(UserError, match="at least 24 "):
        sobol(K, 23, seed=0, second_order=True)
    with pytest.raises(UserError, match="levels = 3"):
        morris(K, 100, seed=0, levels=3)
    with pytest.raises(UserError, match="0 parameters"):
        design(0, 100, seed=0)
