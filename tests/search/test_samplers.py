"""What a plan can search and how: samplers, objectives, races, rivals, extensions, widened ranges, other scenarios, designs. No Ray."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest

from raysim.core.errors import UserError
from raysim.core.types import Row
from raysim.experiment import to_dict
from raysim.search.plan import Plan
from raysim.search.racing import RACE, Race, survivors
from raysim.search.samplers import grid
from raysim.search.spec import Options, Spec
from tests.search.test_plan import answer, drive, space

ONE: dict[str, Any] = {"scenarios": ({"scenario": "even"},), "contrasts": {}, "rivals": {}}


def wider(trial: Any) -> dict[str, Any]:
    return {
        "method.lam": trial.suggest_float("method.lam", 0.001, 0.9, log=True),
        "method.h": trial.suggest_categorical("method.h", [1, 2, 4, 8]),
    }


def rival(trial: Any) -> dict[str, Any]:
    return {"training.lr": trial.suggest_float("training.lr", 0.001, 0.1, log=True)}


def conditional(trial: Any) -> dict[str, Any]:
    chosen = {"method.fusion": trial.suggest_categorical("method.fusion", ["concat", "mix"])}
    if chosen["method.fusion"] == "mix":
        chosen["method.theta"] = trial.suggest_float("method.theta", 0.0, 1.0)
    return chosen


def options(trials: int | None, **changes: Any) -> Options:
    return replace(Options(trials, 1, None, False, 2), **changes)


def rows_of(plan: Plan) -> dict[str, Row]:
    return {row["key"]: row for row in plan.finished}


@pytest.mark.parametrize("sampler", ["qmc", "random", "grid"])
def test_any_sampler_is_repeatable_and_resumes(sampler: Any) -> None:
    how = options(9, sampler=sampler)
    whole = drive(Plan([space(**ONE)], how))
    params = [json.dumps(dict(spec.params)) for spec in whole if spec.kind == "search"]
    assert len(params) == 9 == len(set(params))
    stored = {spec.key: answer(spec) for spec in whole[:5]}
    again = drive(Plan([space(**ONE)], how, stored))
    assert {spec.key for spec in again} == {spec.key for spec in whole[5:]}


def test_an_exhausted_grid_is_not_extended_and_a_widened_one_is() -> None:
    how = options(99, sampler="grid")
    first = Plan([space(**ONE)], how)
    drive(first)
    points = first.asked["toy | even"]
    more = replace(how, extend=2, extended={"toy | even": (points, points + 2)})
    with pytest.raises(UserError, match="every point of the grid has been searched"):
        Plan([space(**ONE)], more, rows_of(first))
    added = drive(Plan([space(**{**ONE, "sample": wider})], more, rows_of(first)))
    assert [spec.kind for spec in added].count("search") == 2


def test_a_sobol_sequence_fills_the_space_more_evenly_than_chance() -> None:
    """32 points: each of 16 equal parts of the log range holds 2, as no random draw of 32 does."""
    specs = [
        spec for spec in drive(Plan([space(**ONE)], options(32, sampler="qmc"))) if spec.kind == "search"
    ]
    unit = np.array([np.log(spec.params["method.lam"] / 0.005) / np.log(100) for spec in specs])
    assert set(np.histogram(unit, 16, (0, 1))[0]) == {2}


def test_a_grid_ends_and_knows_conditions() -> None:
    found = grid(conditional, np.random.default_rng(0))
    assert len(found) == 4 and {"method.fusion": "concat"} in found
    assert sorted(point["method.theta"] for point in found if "method.theta" in point) == [0.0, 0.5, 1.0]
    specs = drive(Plan([space(**{**ONE, "sample": conditional})], options(99, sampler="grid")))
    assert [spec.kind for spec in specs].count("search") == 4
    with pytest.raises(UserError, match="more than 5000 points"):
        grid(
            lambda trial: {str(i): trial.suggest_float(str(i), 0.0, 1.0) for i in range(10)},
            np.random.default_rng(0),
        )


def test_several_objectives_make_a_front() -> None:
    """Fewer prompt tokens send fewer bytes: the front holds what no other beats in both."""
    how = options(8, objectives=("acc_personal_own", "bytes_up"))
    plan = Plan([space(**ONE)], how)
    specs = drive(plan)
    study = plan.studies[0]
    assert [d.name for d in study._study.directions] == ["MAXIMIZE", "MINIMIZE"] and not any(
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


def test_a_race_goes_to_what_is_in_question() -> None:
    """The leader of the search is worse on other seeds: the race finds out, on seeds that the search never saw."""
    plan = Plan([space(**ONE)], options(6, race=Race(seeds=5)))
    ranks: dict[str, float] = {}
    raced: list[Spec] = []

    def outcome(spec: Spec) -> Row:
        row = answer(spec)
        if spec.kind == "race":
            raced.append(spec)
            order = sorted(
                plan.studies[0].raced or {},
                key=lambda label: (plan.studies[0].raced or {})[label]["objective"],
            )
            ranks.update(
                {label: place / 10 for place, label in enumerate(reversed(order))}
            )  # the search's best is the worst here
            row["objective"] = ranks[spec.label] + 1e-3 * (
                spec.experiments[0].seed % 7
            )  # seeds move all alike, and each a little
            row["objective"] += 1e-4 * ((spec.experiments[0].seed + 1) * (int(spec.label[-1]) + 2) % 5)
        return row

    while isinstance(spec := plan.next(), Spec):
        plan.tell(spec, outcome(spec))
    study = plan.studies[0]
    best = study.best()
    assert best is not None and best["label"] == max(ranks, key=lambda label: ranks[label])
    assert {spec.experiments[0].seed for spec in raced} <= {RACE + index for index in range(5)}
    assert not any(spec.test for spec in raced)
    assert len(raced) < 4 * 5, "who is behind gets no more seeds"
    [tuned] = [row for row in plan.finished if row["label"] == "fedrsclip (tuned)"]
    assert tuned["params"] == best["params"]


def test_a_race_drops_the_best_no_more_often_than_it_says() -> None:
    """Four equal configurations: any that falls out falls out wrongly; one given as the best does so in at most a tenth."""
    rng = np.random.default_rng(0)
    rule, lost = Race(seeds=6), 0
    for _ in range(400):
        table = rng.normal(size=(4, 6)) + rng.normal(size=6)
        lost += "0" not in survivors({str(i): dict(enumerate(row)) for i, row in enumerate(table)}, rule)
    assert lost / 400 <= rule.error
    clear = {str(i): dict(enumerate(rng.normal(size=6) * 0.01 - i)) for i in range(4)}
    assert survivors(clear, rule) == ["0"]
    assert survivors({"a": {0: float("nan")}, "b": {0: 1.0}}, rule) == ["b"]


def test_a_tuned_rival_gets_as_many_trials_as_the_method() -> None:
    spaces = [
        space(
            scenarios=({"scenario": "even"},),
            rivals={"promptfl": {"method": "promptfl"}},
            rival_spaces={"promptfl": rival},
        )
    ]
    plan = Plan(spaces, options(3, contrasts=True))
    specs = drive(plan)
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
    assert best is not None and confirmed.study == "toy | even" and confirmed.test
    assert confirmed.params == {"method": "promptfl", **json.loads(best["params"])}
    assert not [study for study in Plan(spaces, options(None)).studies if study.rival], (
        "without a declared budget it is untuned, and called so"
    )


def test_an_extended_study_goes_on_from_where_it_was() -> None:
    first = Plan([space(**ONE)], options(5))
    drive(first)
    more = Plan([space(**ONE)], options(5, extended={"toy | even": (5, 8)}), rows_of(first))
    added = drive(more)
    assert [spec.kind for spec in added if spec.kind == "search"] == ["search"] * 3
    asked = [row for row in more.finished if row["kind"] == "search"]
    assert len(asked) == 8 and len({row["params"] for row in asked}) == 8
    killed = Plan(
        [space(**ONE)],
        options(5, extended={"toy | even": (5, 8)}),
        {**rows_of(first), added[0].key: answer(added[0])},
    )
    assert {spec.key for spec in drive(killed)} == {spec.key for spec in added[1:]}


def test_a_widened_range_keeps_the_old_rows() -> None:
    first = Plan([space(**ONE)], options(6))
    drive(first)
    plan = Plan(
        [space(**{**ONE, "sample": wider})], options(6, extended={"toy | even": (6, 10)}), rows_of(first)
    )
    specs = drive(plan)
    assert [spec.kind for spec in specs].count("search") == 4
    study = plan.studies[0]
    old = [row for row in study.rows if row["kind"] == "search" and row["space"] != study.signature]
    assert len(old) == 6
    told = [trial for trial in study._study.trials if trial.state == optuna.trial.TrialState.COMPLETE]
    assert len(told) == 10 and all(trial.distributions["method.lam"].high == 0.9 for trial in told)  # type: ignore[attr-defined]
    best = study.best()
    assert best is not None and best["objective"] == max(
        row["objective"] for row in study.rows if row["kind"] == "search"
    )


def test_the_winner_of_a_scenario_is_used_in_the_others() -> None:
    plan = Plan([space(contrasts={}, rivals={})], options(4))
    specs = drive(plan)
    moved = [spec for spec in specs if spec.kind == "transfer"]
    assert [(spec.scenario, spec.level) for spec in moved] == [
        ("dirichlet alpha=0.1", "even"),
        ("even", "dirichlet alpha=0.1"),
    ]
    tuned = {spec.scenario: dict(spec.params) for spec in specs if spec.label == "fedrsclip (tuned)"}
    assert all(dict(spec.params) == tuned[str(spec.level)] and spec.test for spec in moved)
    seeds = {spec.kind: {experiment.seed for experiment in spec.experiments} for spec in specs}
    assert seeds["transfer"] == seeds["confirm"], "paired with the scenario's own winner"


def test_two_factors_are_moved_together_on_the_contrasts_seeds() -> None:
    plan = Plan(
        [space(scenarios=({"scenario": "even"},), interactions=(("method.lam", "method.w_dpa"),))],
        options(0, contrasts=True, seeds=2),
    )
    specs = drive(plan)
    [both] = [spec for spec in specs if spec.kind == "interaction"]
    assert (both.factor, both.level, both.factor2, both.level2) == (
        "method.lam",
        "0.1",
        "method.w_dpa",
        "0.0",
    )
    assert dict(both.params) == {"method.lam": 0.1, "method.w_dpa": 0.0} and not both.test
    assert [e.seed for e in both.experiments] == [e.seed for e in specs[0].experiments]


def test_spaces_of_one_sweep_keep_their_own_levels_of_a_factor() -> None:
    first = space(scenarios=ONE["scenarios"], rivals={}, contrasts={"method.lam": (0.1, 0.2)})
    second = replace(first, name="other", contrasts={"method.lam": (0.1, 0.3)})
    specs = drive(Plan([first, second], options(0, contrasts=True)))
    found = [(spec.study.partition(" ")[0], spec.level) for spec in specs if spec.factor]
    assert sorted(found) == [("other", "0.1"), ("other", "0.3"), ("toy", "0.1"), ("toy", "0.2")]


def test_a_design_is_a_mode_of_its_own() -> None:
    plan = Plan([space(**{**ONE, "sample": conditional})], options(None, design="morris", budget=14))
    specs = drive(plan)
    assert {spec.kind for spec in specs} == {"design"} and len(specs) == 12, (
        "four trajectories of three points"
    )
    assert plan.designed is not None and plan.designed["N"] == {"toy | even": 4}
    for spec in specs:
        assert spec.unit is not None and len(spec.unit) == 2
        values = to_dict(spec.experiments[0])["method"]
        assert values["fusion"] == spec.params["method.fusion"]
        assert ("method.theta" in spec.params) == (values["fusion"] == "mix")
    assert [spec.point for spec in specs] == list(range(12))
    with pytest.raises(UserError, match="budget"):
        Plan([space(**{**ONE, "sample": conditional})], options(None, design="sobol", budget=3))
    factors = plan.designed["factors"]["toy | even"]
    assert [factor["path"] for factor in factors] == ["method.fusion", "method.theta"]
