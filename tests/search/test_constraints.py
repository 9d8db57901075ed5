"""Constraints: how they are read, what meets them, and what a search makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.search.constraints import Constraint, constraints_of, violated
from raysim.search.plans.confirmations import UNTUNED, tuning_of
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.sweep import _new_record
from raysim.search.trial_spec import TrialSpec
from tests.fakes.sweeps import ONE_STUDY, toy_options, toy_row, toy_space


def test_a_constraint_is_read_and_written() -> None:
    assert str(Constraint.of(" bytes_up <= 2e6 ")) == "bytes_up<=2000000"
    assert constraints_of(["flops<=1e9", "acc_shared_own>=0.5", "flops<=1000000000"]) == (
        Constraint("acc_shared_own", ">=", 0.5),
        Constraint("flops", "<=", 1e9),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bytes_up<2e6", "it should be COLUMN<=NUMBER or COLUMN>=NUMBER"),
        ("byte_up<=2e6", "unknown column 'byte_up'.*bytes_up"),
        ("seconds<=5", "depends on the machine"),
        ("flops<=much", "'much' should be a finite number"),
        ("flops<=nan", "'nan' should be a finite number"),
    ],
)
def test_what_is_no_constraint_is_refused(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        Constraint.of(text)


def run_plan(limit: str, **changes: Any) -> SweepPlan:
    """Run a plan whose trials send as many bytes as their accuracy has percent, so that good is dear."""
    plan = SweepPlan(
        [toy_space(**ONE_STUDY)], toy_options(12, constraints=constraints_of([limit]), **changes)
    )
    while isinstance(spec := plan.next(), TrialSpec):
        row = toy_row(spec)
        row["bytes_up"] = round(100 * row["objective"])  # type: ignore[typeddict-unknown-key]
        plan.tell(spec, row)
    return plan


@pytest.mark.parametrize("sampler", ["tpe", "gp", "random"])
def test_the_chosen_configuration_meets_the_constraint(sampler: str) -> None:
    free = run_plan("bytes_up<=1000", sampler=sampler)
    [study, *_] = [study for study in free.studies if study.is_main]
    values = sorted(row["objective"] for row in study.complete_rows())
    limit = round(100 * values[len(values) // 2])
    plan = run_plan(f"bytes_up<={limit}", sampler=sampler)
    [study, *_] = [study for study in plan.studies if study.is_main]
    best = study.best()
    assert best is not None and round(100 * best["objective"]) <= limit < round(100 * values[-1])
    assert any(violated(row, plan.options.constraints) for row in study.rows)
    assert study.search is not None
    told = [trial for trial in study.search.optuna_study.trials if trial.state.name == "COMPLETE"]
    assert told and all(set(trial.constraints) == {f"bytes_up<={limit}"} for trial in told)


def test_where_none_is_feasible_nothing_is_chosen() -> None:
    plan = run_plan("bytes_up<=-1")
    for study in plan.studies:
        assert study.best() is None and tuning_of(study, 0, {}) == UNTUNED
    assert all(row["label"].endswith("(untuned)") for row in plan.finished if row["kind"] == "confirm")


def test_a_missing_value_breaks_a_constraint_and_an_incomplete_trial_is_not_judged() -> None:
    spec = SweepPlan([toy_space()], toy_options(1)).next()
    assert isinstance(spec, TrialSpec)
    limits = constraints_of(["bytes_up<=5"])
    row = toy_row(spec)
    row["bytes_up"] = None  # type: ignore[typeddict-unknown-key]
    assert violated(row, limits) == "bytes_up<=5" and violated(row, ()) is None
    assert violated(toy_row(spec, "FAIL"), limits) is None


def test_constraints_are_part_of_the_id_and_sweeps_without_keep_theirs() -> None:
    ids = [
        _new_record([toy_space()], toy_options(3, constraints=constraints_of(texts)))["id"]
        for texts in ([], ["flops<=5", "bytes_up<=5"], ["bytes_up<=5", "flops<=5"], ["bytes_up<=6"])
    ]
    assert ids[1] == ids[2] and len(set(ids)) == 3
