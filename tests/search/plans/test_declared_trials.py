"""Trials that are declared: recipes, levels with companions, interactions, designs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from raysim.core.errors import UserError
from raysim.experiment import to_dict
from raysim.search.options import SweepOptions
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.trial_spec import TrialSpec
from tests.fakes.sweeps import (
    ONE_STUDY,
    conditional_sample,
    run_to_end,
    toy_options,
    toy_row,
    toy_space,
)


def test_a_recipe_is_its_grid() -> None:
    recipe = toy_space(
        sample=None, contrasts={}, rivals={}, grid={"a": {"method.lam": 0.1}, "b": {"method": "promptfl"}}
    )
    specs = run_to_end(
        SweepPlan([recipe], SweepOptions(trials=None, seeds=3, minutes=None, contrasts=True, slots=2))
    )
    assert [(spec.label, spec.kind, len(spec.experiments)) for spec in specs] == [
        ("a", "confirm", 3),
        ("b", "confirm", 3),
    ] * 2


def test_a_tuned_recipe_gives_every_entry_as_many_trials() -> None:
    grid = {"a": {}, "b": {"method": "promptfl"}, "zero": {"method": "zeroshot"}}
    recipe = toy_space(
        sample=None,
        contrasts={},
        rivals={},
        grid=grid,
        tune={"training.lr": (0.01, 0.1)},
        scenarios=({"scenario": "even"},),
    )
    plan = SweepPlan([recipe], SweepOptions(trials=None, seeds=2, minutes=None, contrasts=True, slots=2))
    assert plan.planned() == {"contrast": 0, "rival": 0, "search": 4, "confirm": 3}
    specs = run_to_end(plan)
    assert [(spec.study, spec.kind) for spec in specs[:4]] == [
        (f"toy {name} | even", "search") for name in "aabb"
    ]
    assert sorted(spec.label for spec in specs[4:]) == ["a (tuned)", "b (tuned)", "zero (untuned)"]
    assert [len(spec.experiments) for spec in specs] == [2] * 7
    failed = SweepPlan([recipe], SweepOptions(trials=None, seeds=2, minutes=None, contrasts=True, slots=1))
    while isinstance(spec := failed.next(), TrialSpec):
        diverged = spec.label == "training.lr=0.1" and spec.study == "toy b | even"
        failed.tell(
            spec,
            {
                **toy_row(spec, "FAIL" if diverged else "COMPLETE"),
                "reason": "diverged: NaN" if diverged else "",
            },
        )
    assert [row["label"] for row in failed.finished[4:]] == ["a (tuned)", "b (tuned)", "zero (untuned)"]
    fewer = run_to_end(
        SweepPlan(
            [replace(recipe, tune_seeds=1)],
            SweepOptions(trials=None, seeds=2, minutes=None, contrasts=True, slots=2),
        )
    )
    assert [len(spec.experiments) for spec in fewer] == [1] * 4 + [2] * 3
    assert all(spec.opens_test == (spec.kind == "confirm") for spec in specs)


def test_a_level_may_bring_companions() -> None:
    joint = {"method.dpa_form": "cosine", "method.s": 1.0}
    plan = SweepPlan(
        [toy_space(scenarios=({"scenario": "even"},), contrasts={"method.dpa_form": (joint,)})],
        SweepOptions(trials=0, seeds=1, minutes=None, contrasts=True, slots=1),
    )
    spec = run_to_end(plan)[1]  # after the anchor
    assert (spec.label, spec.factor, spec.level) == (
        "method.dpa_form=cosine, s=1.0",
        "method.dpa_form",
        "cosine, s=1.0",
    )
    assert dict(spec.params) == joint


def test_two_factors_are_moved_together_on_the_contrasts_seeds() -> None:
    plan = SweepPlan(
        [toy_space(scenarios=({"scenario": "even"},), interactions=(("method.lam", "method.w_dpa"),))],
        toy_options(0, contrasts=True, seeds=2),
    )
    specs = run_to_end(plan)
    [both] = [spec for spec in specs if spec.kind == "interaction"]
    assert (both.factor, both.level, both.factor2, both.level2) == (
        "method.lam",
        "0.1",
        "method.w_dpa",
        "0.0",
    )
    assert dict(both.params) == {"method.lam": 0.1, "method.w_dpa": 0.0} and not both.opens_test
    assert [e.seed for e in both.experiments] == [e.seed for e in specs[0].experiments]


def test_spaces_of_one_sweep_keep_their_own_levels_of_a_factor() -> None:
    first = toy_space(scenarios=ONE_STUDY["scenarios"], rivals={}, contrasts={"method.lam": (0.1, 0.2)})
    second = replace(first, name="other", contrasts={"method.lam": (0.1, 0.3)})
    specs = run_to_end(SweepPlan([first, second], toy_options(0, contrasts=True)))
    found = [(spec.study.partition(" ")[0], spec.level) for spec in specs if spec.factor]
    assert sorted(found) == [("other", "0.1"), ("other", "0.3"), ("toy", "0.1"), ("toy", "0.2")]


def test_a_design_is_a_mode_of_its_own() -> None:
    plan = SweepPlan(
        [toy_space(**{**ONE_STUDY, "sample": conditional_sample})],
        toy_options(None, design="morris", budget=14),
    )
    specs = run_to_end(plan)
    assert {spec.kind for spec in specs} == {"design"} and len(specs) == 12, (
        "four trajectories of three points"
    )
    assert plan.design is not None and plan.design["N"] == {"toy | even": 4}
    for spec in specs:
        assert spec.unit is not None and len(spec.unit) == 2
        values = to_dict(spec.experiments[0])["method"]
        assert values["fusion"] == spec.params["method.fusion"]
        assert ("method.theta" in spec.params) == (values["fusion"] == "mix")
    assert [spec.point for spec in specs] == list(range(12))
    with pytest.raises(UserError, match="budget"):
        SweepPlan(
            [toy_space(**{**ONE_STUDY, "sample": conditional_sample})],
            toy_options(None, design="sobol", budget=3),
        )
    factors = plan.design["factors"]["toy | even"]
    assert [factor["path"] for factor in factors] == ["method.fusion", "method.theta"]
