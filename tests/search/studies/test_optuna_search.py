"""Trials of a study in Optuna: states, contrasts, rows of an earlier form of the space."""

from __future__ import annotations

import optuna

from raysim.search.options import SweepOptions
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.trial_spec import TrialSpec
from tests.fakes.sweeps import (
    ONE_STUDY,
    rows_by_key,
    run_to_end,
    toy_options,
    toy_row,
    toy_space,
    wider_sample,
)


def test_pruned_and_failed_trials_reach_optuna_as_what_they_are() -> None:
    plan = SweepPlan(
        [toy_space(scenarios=({"scenario": "even"},), contrasts={})],
        SweepOptions(trials=3, seeds=1, minutes=None, contrasts=False, slots=3),
    )
    for state in ("COMPLETE", "COMPLETE", "PRUNED", "FAIL"):  # the first one is the anchor
        spec = plan.next()
        assert isinstance(spec, TrialSpec)
        plan.tell(spec, toy_row(spec, state))
    study = plan.studies[0]
    assert sorted(trial.state.name for trial in study.search.optuna_study.trials) == [
        "COMPLETE",
        "COMPLETE",
        "FAIL",
        "PRUNED",
    ]
    best = study.best()
    assert best is not None and best["state"] == "COMPLETE"


def test_contrasts_teach_the_search() -> None:
    plan = SweepPlan(
        [toy_space(scenarios=({"scenario": "even"},))],
        SweepOptions(trials=1, seeds=1, minutes=None, contrasts=True, slots=1),
    )
    run_to_end(plan)
    values = [trial.params for trial in plan.studies[0].search.optuna_study.trials]
    assert {"method.lam": 0.1, "method.h": 4} in values
    assert values.count({"method.lam": 0.02, "method.h": 4}) == 1, (
        "w_dpa = 0 is no point of this space: it must not pass for the anchor"
    )


def test_a_widened_range_keeps_the_old_rows() -> None:
    first = SweepPlan([toy_space(**ONE_STUDY)], toy_options(6))
    run_to_end(first)
    plan = SweepPlan(
        [toy_space(**{**ONE_STUDY, "sample": wider_sample})],
        toy_options(6, extended={"toy | even": (6, 10)}),
        rows_by_key(first),
    )
    specs = run_to_end(plan)
    assert [spec.kind for spec in specs].count("search") == 4
    study = plan.studies[0]
    old = [row for row in study.rows if row["kind"] == "search" and row["space"] != study.signature]
    assert len(old) == 6
    told = [
        trial for trial in study.search.optuna_study.trials if trial.state == optuna.trial.TrialState.COMPLETE
    ]
    assert len(told) == 11 and all(trial.distributions["method.lam"].high == 0.9 for trial in told)  # type: ignore[attr-defined]
    best = study.best()
    assert best is not None and best["objective"] == max(
        row["objective"] for row in study.rows if row["kind"] == "search"
    )


def test_a_widened_search_knows_the_contrasts() -> None:
    one = {"scenarios": ONE_STUDY["scenarios"], "rivals": {}}
    first = SweepPlan([toy_space(**one)], toy_options(4, contrasts=True))
    run_to_end(first)
    plan = SweepPlan(
        [toy_space(**{**one, "sample": wider_sample})],
        toy_options(4, contrasts=True, extended={"toy | even": (4, 6)}),
        rows_by_key(first),
    )
    run_to_end(plan)
    complete = [
        trial
        for trial in plan.studies[0].search.optuna_study.trials
        if trial.state == optuna.trial.TrialState.COMPLETE
    ]
    assert len(complete) == 6 + 2, "the searched and the two contrasts that lie inside the space"
