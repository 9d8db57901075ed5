"""Options of a sweep: each mistake names the option as users type it, its value and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest

from raysim.core.config import parse
from raysim.core.errors import UserError
from raysim.experiment import Resources
from raysim.search.options import SweepOptions, trial_slots


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"--seeds": 0}, "--seeds = 0 is not allowed: it should be greater than or equal to 1"),
        ({"--seeds": 1000}, "--seeds = 1000 is not allowed: it should be less than or equal to 256"),
        ({"--minutes": -5.0}, "--minutes = -5.0 is not allowed: it should be greater than 0"),
        ({"--trials": -1}, "--trials = -1 is not allowed: it should be greater than or equal to 0"),
        (
            {"--search": "tpee"},
            "--search = 'tpee' is not allowed: it should be 'tpe', 'gp', 'qmc', 'random' or 'grid'",
        ),
        (
            {"--objectives": ("flop",)},
            "--objectives = ('flop',): unknown objective 'flop'; did you mean 'flops'?",
        ),
        ({"--objectives": ("flops", "flops")}, "each objective may be given once"),
        ({"--race": 1}, "--race = 1: one seed decides nothing; it should be 0, or 2 and more"),
        ({"--race": -1}, "--race = -1 is not allowed"),
        ({"--budget": 5}, "--budget = 5: it is the number of trials of a design; add --design morris"),
        ({"--extend": -1}, "--extend = -1 is not allowed"),
        ({"trils": 3}, "unknown key 'trils'"),
    ],
)
def test_a_mistake_is_one_message(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as error:
        parse(SweepOptions, {"--seeds": 1, **values})
    assert message in str(error.value)


def test_a_budget_belongs_to_a_design() -> None:
    options = parse(SweepOptions, {"--seeds": 1, "--design": "sobol", "--budget": 40})
    assert (options.design, options.budget) == ("sobol", 40)
    assert options.replace(budget=50).budget == 50


def test_slots_are_what_the_workers_allow() -> None:
    assert trial_slots(5, Resources(workers=2)) == 2
    assert trial_slots(None, Resources(workers=4096)) == 1
    with pytest.raises(UserError, match=r"--workers 1: a trial needs resources\.workers = 2"):
        trial_slots(1, Resources(workers=2))
