"""Declared figures: what may be declared, and recipes that are half finished."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from analysis import declared as recipes
from analysis import write_report
from analysis.look.page import Table
from tests.fakes.recipe import SEEDS, Recipe, at, drawn

ALL = [
    {"kind": "against", "x": "scenario.clients"},
    {"kind": "differences", "to": "plain"},
    {"kind": "domains"},
    {"kind": "convergence"},
    {"kind": "cost", "reference": "plain", "x": ["method.lam", "training.batch"]},
]


@pytest.mark.parametrize(
    ("figure", "said"),
    [
        (
            {"kind": "cake"},
            r"run\.json: figures\[0\]: the kind 'cake' is unknown; known kinds are against, convergence, "
            r"cost, diff.*, domains",
        ),
        ({"kind": "against"}, r"figures\[0\]: a figure of kind 'against' lacks x; it takes x, name, title"),
        (
            {"kind": "domains", "to": "a"},
            r"figures\[0\]: a figure of kind 'domains' has the unknown key to; it takes title",
        ),
        ("cost", r"figures\[0\] is 'cost'; it should be an object with a kind"),
        (
            {"kind": "differences", "to": "a", "metrics": "acc_shared_tail"},
            r"metrics = 'acc_shared_tail' should be a list of metrics",
        ),
        (
            {"kind": "differences", "to": "a", "metrics": ["acc_tail"]},
            r"metrics: acc_tail unknown; known metrics are acc_personal_own, ",
        ),
        ({"kind": "groups", "to": "b"}, r"to = 'b' is no entry of GRID; these are a"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_named(tmp_path: Path, figure: Any, said: str) -> None:
    results = Recipe(tmp_path, {"even": {}}, [figure], ["a"]).open()
    with pytest.raises(ValueError, match=said):
        recipes.parse(results.meta["figures"], results.meta["grid"], "run.json: figures")


@pytest.mark.parametrize("done", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_half_finished_recipe_does_not_fail(tmp_path: Path, done: int, seeds: int) -> None:
    places = {
        f"even, {n} clients": {"scenario": {"name": "even", "clients": n}, "training": {"batch": 8}}
        for n in (5, 10)
    }
    made = Recipe(
        tmp_path,
        places,
        ALL,
        ["plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot"],
        SEEDS[:seeds],
    )
    planned = [
        (label, scenario)
        for scenario in places
        for label in ("plain", "batch, lambda 0.01", "batch, lambda 0.02", "zeroshot")
    ]
    for label, scenario in planned[:done]:
        value = at(0.7)
        lam = float(label.split()[-1]) if "lambda" in label else 0.1
        tested = [
            {"split": "test", "client": c, "acc_personal_own": 0.7, "acc_personal_global": 0.6}
            for c in range(4)
        ]
        made.trial(
            label,
            scenario,
            value,
            method="zeroshot" if label == "zeroshot" else "fedrsclip",
            settings={"lam": lam},
            parameters=0 if label == "zeroshot" else 256,
            clients=lambda _, rows=tested: rows,
        )  # type: ignore[misc]
    parts, said = drawn(made.open())
    assert len([p for p in parts if not isinstance(p, Table)]) == len(ALL)
    assert all(p.missing for p in parts) if done == 0 else any(not getattr(p, "missing", "") for p in parts)
    assert "interval None" not in " ".join(said) and "nan" not in " ".join(said)
    page = write_report(tmp_path).read_text(encoding="utf-8")
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
