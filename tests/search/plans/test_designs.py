"""Designs: SALib's layout, seeds, budgets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.search.plans.designs import morris, sobol

K = 5


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
