"""Factors: values with equal shares, one distribution per name."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.search.spaces.discovery import discover
from raysim.search.spaces.factors import UnitTrial, choice_factor, float_factor, int_factor


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
