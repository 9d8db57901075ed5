"""Configurations that open the test split: tuned rivals, points of a front, winners of other scenarios."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.trial_spec import TrialSpec
from tests.fakes.sweeps import (
    ONE_STUDY,
    PERMANENT,
    TEMPORARY,
    run_to_end,
    toy_options,
    toy_row,
    toy_space,
)


def rival(trial: Any) -> dict[str, Any]:
    return {"training.lr": trial.suggest_float("training.lr", 0.001, 0.1, log=True)}


def test_a_tuned_rival_gets_as_many_trials_as_the_method() -> None:
    spaces = [
        toy_space(
            scenarios=({"scenario": "even"},),
            rivals={"promptfl": {"method": "promptfl"}},
            rival_spaces={"promptfl": rival},
        )
    ]
    plan = SweepPlan(spaces, toy_options(3, contrasts=True))
    specs = run_to_end(plan)
    own = [spec for spec in specs if spec.study == "toy | even" and spec.kind in ("search", "contrast")]
    theirs = [spec for spec in specs if spec.study == "toy promptfl | even"]
    assert (
        len(own) == len(theirs) == 6
        and {spec.kind for spec in theirs} == {"search"}
        and {spec.method for spec in theirs} == {"promptfl"}
    )
    assert theirs[0].params["training.lr"] == spaces[0].base.training.lr or theirs[0].label.startswith("tpe")
    best = plan.studies[1].best()
    [confirmed] = [spec for spec in specs if spec.label == "promptfl (tuned)"]
    assert best is not None and confirmed.study == "toy | even" and confirmed.opens_test
    assert confirmed.params == {"method": "promptfl", **json.loads(best["params"])}
    assert not [study for study in SweepPlan(spaces, toy_options(None)).studies if study.is_rival], (
        "without a declared budget it is untuned, and called so"
    )


def test_several_objectives_make_a_front() -> None:
    """Fewer prompt tokens send fewer bytes: the front holds what no other beats in both."""
    how = toy_options(8, objectives=("acc_personal_own", "bytes_up"))
    plan = SweepPlan([toy_space(**ONE_STUDY)], how)
    specs = run_to_end(plan)
    study = plan.studies[0]
    assert [d.name for d in study.search.optuna_study.directions] == ["MAXIMIZE", "MINIMIZE"] and not any(
        spec.thresholds for spec in specs
    )
    done = [row for row in plan.finished if row["kind"] == "search"]
    points = {row["label"]: (row["objective"], -row["bytes_up"]) for row in done}
    front = {
        a
        for a, p in points.items()
        if not any(q[0] >= p[0] and q[1] >= p[1] and q != p for q in points.values())
    }
    confirmed = [spec for spec in specs if spec.kind == "confirm" and "untuned" not in spec.label]
    expected = {row["params"] for row in done if row["label"] in front}
    assert {json.dumps(dict(spec.params)) for spec in confirmed} <= expected
    assert len(confirmed) == min(len(expected), 5) and confirmed[0].label == "fedrsclip (tuned)"
    best = study.best()
    assert best is not None and best["objective"] == max(row["objective"] for row in done)


def test_the_winner_of_a_scenario_is_used_in_the_others() -> None:
    plan = SweepPlan([toy_space(contrasts={}, rivals={})], toy_options(4))
    specs = run_to_end(plan)
    moved = [spec for spec in specs if spec.kind == "transfer"]
    assert [(spec.scenario, spec.level) for spec in moved] == [
        ("dirichlet alpha=0.1", "even"),
        ("even", "dirichlet alpha=0.1"),
    ]
    tuned = {spec.scenario: dict(spec.params) for spec in specs if spec.label == "fedrsclip (tuned)"}
    assert all(dict(spec.params) == tuned[str(spec.level)] and spec.opens_test for spec in moved)
    seeds = {spec.kind: {experiment.seed for experiment in spec.experiments} for spec in specs}
    assert seeds["transfer"] == seeds["confirm"], "paired with the scenario's own winner"


def confirmed_labels(plan: SweepPlan, outcome: Callable[[TrialSpec], dict[str, Any]]) -> set[str]:
    """Run a plan to its end with such changes of the rows, and return the labels of what is confirmed."""
    while isinstance(spec := plan.next(), TrialSpec):
        plan.tell(spec, toy_row(spec, **outcome(spec)))
    return {row["label"] for row in plan.finished if row["kind"] == "confirm"}


def test_tuned_takes_the_declared_trials_and_the_anchor() -> None:
    """A trial whose process died was not tried; a diverged one was."""

    def ends(label: str, reason: str) -> Callable[[TrialSpec], dict[str, Any]]:
        return lambda spec: {"state": "FAIL", "reason": reason} if spec.label == label else {}

    space = toy_space(**{**ONE_STUDY, "contrasts": {"method.lam": (0.1,)}})
    found = {
        (label, reason): confirmed_labels(
            SweepPlan([space], toy_options(4, contrasts=True, slots=1)), ends(label, reason)
        )
        for label in ("anchor", "tpe 3")
        for reason in (PERMANENT, TEMPORARY)
    }
    tuned, untuned = {"fedrsclip (tuned)", "fedrsclip (untuned)"}, "fedrsclip (untuned)"
    assert found["anchor", PERMANENT] == found["tpe 3", PERMANENT] == tuned
    assert (
        found["anchor", TEMPORARY] == found["tpe 3", TEMPORARY] == {"fedrsclip (best of 5 trials)", untuned}
    )


def test_the_anchor_is_a_candidate_also_without_contrasts() -> None:
    plan = SweepPlan([toy_space(**ONE_STUDY)], toy_options(2, slots=1))
    specs = run_to_end(plan)
    assert [spec.label for spec in specs if spec.kind == "contrast"] == ["anchor"]
    assert "anchor" in {row["label"] for row in plan.studies[0].complete_rows()}
    labels = confirmed_labels(
        SweepPlan([toy_space(**ONE_STUDY)], toy_options(2, slots=1)),
        lambda spec: {"objective": 0.9 if spec.label == "anchor" else 0.5},
    )
    assert labels == {"fedrsclip (tuned)"}, "the anchor has won: one trial confirms both"


def test_a_single_trial_that_is_not_the_anchor_is_not_untuned() -> None:
    """The anchor diverged: its settings and those of the only other trial must not share a label."""
    plan = SweepPlan(
        [toy_space(**{**ONE_STUDY, "contrasts": {"method.lam": (0.1,)}})], toy_options(0, contrasts=True)
    )
    labels = confirmed_labels(
        plan, lambda spec: {"state": "FAIL", "reason": PERMANENT} if spec.label == "anchor" else {}
    )
    assert labels == {"fedrsclip (untuned)", "fedrsclip (best of 1 trial)"}
    params = {row["label"]: json.loads(row["params"]) for row in plan.finished if row["kind"] == "confirm"}
    assert params == {"fedrsclip (untuned)": {}, "fedrsclip (best of 1 trial)": {"method.lam": 0.1}}


def test_a_study_with_no_search_and_no_contrast_is_untuned() -> None:
    plan = SweepPlan([toy_space(**ONE_STUDY)], toy_options(0, slots=1))
    assert confirmed_labels(plan, lambda spec: {}) == {"fedrsclip (untuned)"}
