"""The plan of a sweep, without Ray: order, honesty, determinism, resuming, time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.search.options import SweepOptions
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.running.tune import move_superseded_rows
from raysim.search.seeds import drawn_seeds
from raysim.storage.trials import superseded_numbers, write_trial
from tests.fakes.sweeps import (
    ONE_STUDY,
    rows_by_key,
    run_to_end,
    toy_options,
    toy_row,
    toy_space,
    toy_value,
    wider_sample,
)


def test_contrasts_then_search_then_fresh_seeds() -> None:
    specs = run_to_end(
        SweepPlan([toy_space()], SweepOptions(trials=5, seeds=2, minutes=None, contrasts=True, slots=2))
    )
    kinds = [spec.kind for spec in specs]
    assert kinds == ["contrast"] * 6 + ["rival"] * 2 + ["search"] * 10 + ["confirm"] * 6 + ["transfer"] * 2
    assert [spec.label for spec in specs[:7]] == [
        "anchor",
        "anchor",
        "method.lam=0.1",
        "method.lam=0.1",
        "method.w_dpa=0.0",
        "method.w_dpa=0.0",
        "zeroshot",
    ]
    assert all(spec.opens_test == (spec.kind in ("confirm", "transfer")) for spec in specs)
    selection = {experiment.seed for spec in specs if not spec.opens_test for experiment in spec.experiments}
    fresh = {experiment.seed for spec in specs if spec.opens_test for experiment in spec.experiments}
    assert selection == set(drawn_seeds(0, "selection", 2)) and fresh == set(
        drawn_seeds(0, "confirmation", 2)
    )


def test_the_winner_is_the_best_by_validation() -> None:
    plan = SweepPlan([toy_space()], SweepOptions(trials=5, seeds=1, minutes=None, contrasts=True, slots=1))
    specs = run_to_end(plan)
    tuned = [spec for spec in specs if spec.label == "fedrsclip (tuned)"]
    best = max(
        (spec for spec in specs if not spec.opens_test and spec.study == tuned[0].study), key=toy_value
    )
    assert dict(tuned[0].params) == dict(best.params)


def test_the_order_of_finishing_and_the_width_change_nothing() -> None:
    runs = [
        run_to_end(
            SweepPlan(
                [toy_space()], SweepOptions(trials=9, seeds=1, minutes=None, contrasts=True, slots=width)
            ),
            width,
        )
        for width in (1, 2, 5)
    ]
    keys = [sorted(spec.key for spec in specs) for specs in runs]
    assert keys[0] == keys[1] == keys[2]
    thresholds = [{spec.key: dict(spec.thresholds) for spec in specs} for specs in runs]
    assert thresholds[0] == thresholds[1] == thresholds[2]


def test_a_resumed_plan_asks_for_what_is_missing_only() -> None:
    whole = run_to_end(
        SweepPlan([toy_space()], SweepOptions(trials=6, seeds=1, minutes=None, contrasts=True, slots=2))
    )
    for finished in (3, 9, len(whole)):
        stored = {spec.key: toy_row(spec) for spec in whole[:finished]}
        again = run_to_end(
            SweepPlan(
                [toy_space()], SweepOptions(trials=6, seeds=1, minutes=None, contrasts=True, slots=2), stored
            )
        )
        assert {spec.key for spec in again} == {spec.key for spec in whole[finished:]}


@pytest.mark.parametrize("lost", [0, 1, 4])
def test_trials_that_a_kill_interrupted_get_their_numbers_back(lost: int) -> None:
    """Numbers rank equal configurations, so a kill must not change them."""
    options = SweepOptions(trials=6, seeds=1, minutes=None, contrasts=True, slots=2)
    whole = run_to_end(SweepPlan([toy_space()], options))
    later = [spec for spec in whole if spec.number > lost]
    stored = {spec.key: toy_row(spec) for spec in whole if spec.number < lost or spec is later[0]}
    again = run_to_end(SweepPlan([toy_space()], options, stored))
    assert lost in [spec.number for spec in again]
    assert {spec.key: spec.number for spec in again} == {
        spec.key: spec.number for spec in whole if spec.key not in stored
    }


def test_numbers_of_replaced_rows_are_not_given_again(tmp_path: Path) -> None:
    """With a time limit the first anchors run on two seeds, and others on all seeds replace their rows."""
    options = SweepOptions(trials=6, seeds=3, minutes=60.0, contrasts=True, slots=1)
    plan = SweepPlan([toy_space()], options)
    whole = run_to_end(plan)
    assert plan.superseded
    for row in [*plan.superseded, *plan.finished]:
        write_trial(tmp_path, row)
    move_superseded_rows(tmp_path, plan.finished)
    replaced = superseded_numbers(tmp_path)
    assert replaced == {row["key"]: row["trial"] for row in plan.superseded}
    first = max(replaced.values()) + 3
    stored = {row["key"]: row for row in plan.finished if row["trial"] < first}
    again = run_to_end(SweepPlan([toy_space()], options, stored, superseded=replaced))
    numbers = {spec.key: spec.number for spec in whole}
    assert [spec.number for spec in again] == [numbers[spec.key] for spec in again] and len(again) > 5


@pytest.mark.parametrize("sampler", ["qmc", "random", "grid"])
def test_any_sampler_is_repeatable_and_resumes(sampler: Any) -> None:
    how = toy_options(9, sampler=sampler)
    whole = run_to_end(SweepPlan([toy_space(**ONE_STUDY)], how))
    params = [json.dumps(dict(spec.params)) for spec in whole if spec.kind == "search"]
    assert len(params) == 9 == len(set(params))
    stored = {spec.key: toy_row(spec) for spec in whole[:5]}
    again = run_to_end(SweepPlan([toy_space(**ONE_STUDY)], how, stored))
    assert {spec.key for spec in again} == {spec.key for spec in whole[5:]}


def test_an_extended_study_goes_on_from_where_it_was() -> None:
    first = SweepPlan([toy_space(**ONE_STUDY)], toy_options(5))
    run_to_end(first)
    more = SweepPlan(
        [toy_space(**ONE_STUDY)], toy_options(5, extended={"toy | even": (5, 8)}), rows_by_key(first)
    )
    added = run_to_end(more)
    assert [spec.kind for spec in added if spec.kind == "search"] == ["search"] * 3
    asked = [row for row in more.finished if row["kind"] == "search"]
    assert len(asked) == 8 and len({row["params"] for row in asked}) == 8
    killed = SweepPlan(
        [toy_space(**ONE_STUDY)],
        toy_options(5, extended={"toy | even": (5, 8)}),
        {**rows_by_key(first), added[0].key: toy_row(added[0])},
    )
    assert {spec.key for spec in run_to_end(killed)} == {spec.key for spec in added[1:]}


def test_an_exhausted_grid_is_not_extended_and_a_widened_one_is() -> None:
    how = toy_options(99, sampler="grid")
    first = SweepPlan([toy_space(**ONE_STUDY)], how)
    run_to_end(first)
    points = first.asked["toy | even"]
    more = how.replace(extend=2, extended={"toy | even": (points, points + 2)})
    with pytest.raises(UserError, match="every point of the grid has been searched"):
        SweepPlan([toy_space(**ONE_STUDY)], more, rows_by_key(first))
    added = run_to_end(
        SweepPlan([toy_space(**{**ONE_STUDY, "sample": wider_sample})], more, rows_by_key(first))
    )
    assert [spec.kind for spec in added].count("search") == 2


def test_an_extension_is_laid_out_before_anything_is_stored() -> None:
    assert SweepPlan([toy_space(**ONE_STUDY)], toy_options(4, extend=3)).studies, "as --dry-run does"


def test_recipes_run_alone() -> None:
    recipe = toy_space(sample=None, contrasts={}, rivals={}, grid={"a": {}})
    with pytest.raises(UserError, match="'toy' is a recipe"):
        SweepPlan(
            [recipe, replace(recipe, name="other")],
            SweepOptions(trials=0, seeds=1, minutes=None, contrasts=True, slots=1),
        )
