"""Samplers: a Sobol sequence fills a space evenly, a grid ends, a model comes nearer to the best."""

from __future__ import annotations

import inspect

import numpy as np
import optuna
import pytest

from raysim.core.errors import UserError
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.studies.samplers import grid, make_sampler
from tests.fakes.sweeps import (
    ONE_STUDY,
    conditional_sample,
    run_to_end,
    toy_options,
    toy_space,
)


def test_a_sobol_sequence_fills_the_space_more_evenly_than_chance() -> None:
    """32 points: each of 16 equal parts of the log range holds 2, as no random draw of 32 does."""
    specs = [
        spec
        for spec in run_to_end(SweepPlan([toy_space(**ONE_STUDY)], toy_options(32, sampler="qmc")))
        if spec.kind == "search"
    ]
    unit = np.array([np.log(spec.params["method.lam"] / 0.005) / np.log(100) for spec in specs])
    assert set(np.histogram(unit, 16, (0, 1))[0]) == {2}


def test_a_grid_ends_and_knows_conditions() -> None:
    found = grid(conditional_sample, np.random.default_rng(0))
    assert len(found) == 4 and {"method.fusion": "concat"} in found
    assert sorted(point["method.theta"] for point in found if "method.theta" in point) == [0.0, 0.5, 1.0]
    specs = run_to_end(
        SweepPlan([toy_space(**{**ONE_STUDY, "sample": conditional_sample})], toy_options(99, sampler="grid"))
    )
    assert [spec.kind for spec in specs].count("search") == 4
    with pytest.raises(UserError, match="more than 5000 points"):
        grid(
            lambda trial: {str(i): trial.suggest_float(str(i), 0.0, 1.0) for i in range(10)},
            np.random.default_rng(0),
        )


def searched(sampler: str, sample: object = None) -> list[dict[str, object]]:
    """The parameters of 16 search trials."""
    changes = {} if sample is None else {"sample": sample}
    plan = SweepPlan([toy_space(**{**ONE_STUDY, **changes})], toy_options(16, sampler=sampler))
    return [dict(spec.params) for spec in run_to_end(plan) if spec.kind == "search"]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_model_comes_nearer_to_the_best_and_is_seeded(sampler: str) -> None:
    """The toy's best is at lam = 0.05; the last trials of a model lie nearer to it than random ones."""

    def distance(params: list[dict[str, object]]) -> float:
        return float(
            np.median([abs(np.log(float(str(point["method.lam"])) / 0.05)) for point in params[-6:]])
        )

    found = searched(sampler)
    assert distance(found) < 0.5 * distance(searched("random")), found
    assert searched(sampler) == found


def test_a_gaussian_process_knows_conditions() -> None:
    found = searched("gp", conditional_sample)
    assert {point["method.fusion"] for point in found} == {"concat", "mix"}
    assert all(("method.theta" in point) == (point["method.fusion"] == "mix") for point in found)


def test_what_decides_a_suggestion_is_set_here(monkeypatch: pytest.MonkeyPatch) -> None:
    options = set(inspect.signature(optuna.samplers.TPESampler).parameters)
    taken: dict[str, object] = {}
    monkeypatch.setattr(optuna.samplers, "TPESampler", lambda **options: taken.update(options))
    make_sampler("tpe", 3)
    deprecated = {"consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints", "gamma"}
    deprecated |= {"weights", "warn_independent_sampling", "constraints_func"}
    assert options - set(taken) <= deprecated
