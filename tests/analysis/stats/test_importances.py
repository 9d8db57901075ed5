"""Importances of a search: shown only where the surrogate predicts the outcome, with what was left out."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from analysis.stats import importances


def rows(n: int, noise: float = 0.0) -> list[dict[str, Any]]:
    """A switch chooses which of two parameters acts; a learning rate always does, "nothing" never."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(n):
        params: dict[str, Any] = {
            "switch": bool(rng.random() < 0.5),
            "lr": float(10 ** rng.uniform(-3, 0)),
            "nothing": float(rng.random()),
        }
        params["a" if params["switch"] else "form"] = (
            float(rng.random()) if params["switch"] else ["x", "y", None][number % 3]
        )
        outcome = 2 * params["a"] if params["switch"] else float(params["form"] == "x")
        outcome += 0.3 * math.log10(params["lr"]) + noise * rng.normal()
        found.append({"state": "COMPLETE", "params": json.dumps(params), "objective": outcome})
    return found


def test_what_acts_is_ahead_and_what_is_conditional_is_said() -> None:
    lost = [{"state": "PRUNED", "params": "{}", "objective": None}] * 3 + [
        {"state": "FAIL", "params": "{}", "objective": None}
    ]
    diverged = [{"state": "COMPLETE", "params": "{}", "objective": math.nan}]
    factors = [{"path": "lr", "kind": "float", "low": 1e-3, "high": 1.0, "log": True, "choices": []}]
    found = importances(rows(90) + lost + diverged, factors=factors)
    assert found.reason == "" and found.r2 >= 0.8 and "without verdicts" in found.caution
    assert (found.used, found.left_out) == (
        90,
        {"PRUNED": 3, "FAIL": 1, "COMPLETE without a finite objective": 1},
    )
    assert (
        found.active["lr"] == 1
        and found.active["a"] + found.active["form"] == 1
        and 0.3 < found.active["a"] < 0.7
    )
    assert set(found.columns) == {"fANOVA", "PED-ANOVA", "permutation"}
    for name, column in found.columns.items():
        value = {index.name: index.value for index in column}
        assert set(value) == {"switch", "lr", "nothing", "a", "form"}, "a conditional parameter went missing"
        assert value["nothing"] < 0.1 and value["a"] > 0.25
        assert name == "permutation" or abs(sum(value.values()) - 1) < 1e-9
    assert max(found.columns["permutation"], key=lambda index: index.value).name == "a"
    assert all(
        index.low <= index.value <= index.high for index in found.columns["permutation"] if index.value > 0.05
    )


def test_a_surrogate_that_does_not_know_the_outcome_is_not_asked() -> None:
    found = importances(rows(60, noise=3.0))
    assert (
        found.columns == {}
        and found.r2 < 0.8
        and f"R2 is {found.r2:.2f}" in found.reason
        and found.active["lr"] == 1
    )
    few = importances(rows(10))
    assert few.columns == {} and few.r2 is None and "10 complete trials" in few.reason
    constant = importances([{**row, "objective": 0.5} for row in rows(40)])
    assert constant.columns == {} and constant.reason
