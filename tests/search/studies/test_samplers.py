"""Samplers: a Sobol sequence fills a space evenly, a grid ends."""

from __future__ import annotations

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.studies.samplers import grid
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
