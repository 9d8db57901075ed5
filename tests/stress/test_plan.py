"""The plan of a stress run: order, time budgets, resuming, mistakes."""

from __future__ import annotations

from collections import Counter

import pytest

from raysim.core.errors import UserError
from raysim.search.spaces.files import load_space
from raysim.stress.plan import StressPlan, _ends_first_order
from tests.fakes.stress import Clock, play, stress_options, stress_row


def test_the_ends_come_first() -> None:
    assert [_ends_first_order(n) for n in (1, 2, 3, 5)] == [[0], [0, 1], [0, 2, 1], [0, 4, 2, 1, 3]]
    plan = StressPlan([load_space("fedrsclip")], stress_options(cases=("dirichlet", "quantity")))
    levels = list(dict.fromkeys((spec.factor, spec.level) for spec in play(plan)))
    assert levels == [
        ("dirichlet", "10"),
        ("quantity", "0"),
        ("dirichlet", "0.01"),
        ("quantity", "2"),
        ("dirichlet", "0.1"),
    ]
    assert plan.next() is None and len(plan.finished) == plan.planned()["stress"] == 15


def test_a_case_that_uses_up_its_time_says_what_it_left_out() -> None:
    plan = StressPlan([load_space("fedrsclip")], stress_options(cases=("dirichlet", "dropout")))
    done = play(plan, seconds=20.0)  # three entries: 60 s a level, and 100 s for a case
    assert Counter((spec.factor, spec.level) for spec in done) == {
        ("dirichlet", "10"): 3,
        ("dropout", "0 %"): 3,
    }
    [dirichlet, dropout] = plan.cases
    assert [left["level"] for left in dirichlet["not_run"]] == ["0.01", "0.1"] and len(
        dropout["not_run"]
    ) == 1
    assert all(
        left["reason"].startswith("time: ") and "100 s" in left["reason"] and left["label"] == ""
        for left in dirichlet["not_run"]
    )
    assert all(spec.limit_s == 100 for spec in done)


def test_the_runs_time_is_kept_and_resuming_repeats_nothing() -> None:
    clock = Clock()
    spaces, chosen = [load_space("fedrsclip")], stress_options(cases=("dirichlet", "dropout"), minutes=1.5)
    first = StressPlan(spaces, chosen, clock=clock)
    done = play(first, clock)
    assert len(done) == 6 and clock.now <= 90
    assert "1.5 minutes" in first.cases[0]["not_run"][0]["reason"]
    stored = {spec.key: stress_row(spec) for spec in done[:4]}
    again = StressPlan(spaces, stress_options(cases=("dirichlet", "dropout"), minutes=10.0), stored, Clock())
    again.budget.count_from(0.0, 40.0)
    rest = play(again)
    assert (
        again.budget.elapsed == 40
        and {spec.key for spec in rest}.isdisjoint(stored)
        and len(rest) + 4 == again.planned()["stress"]
    )
    assert not any(case["not_run"] for case in again.cases)
    late = StressPlan(spaces, chosen, stored, Clock())
    late.budget.count_from(0.0, 1000.0)  # its time is over: nothing more is started, and this is said
    assert play(late) == []
    assert {left["label"] for case in late.cases for left in case["not_run"] if left["label"]} == {
        done[4].label,
        done[5].label,
    }


def test_mistakes_are_said_before_any_work() -> None:
    with pytest.raises(UserError, match="unknown case 'dirichlt'; did you mean 'dirichlet'"):
        StressPlan([load_space("fedrsclip")], stress_options(cases=("dirichlt",)))
    with pytest.raises(UserError, match="the stress suite sets it"):
        StressPlan([load_space("fedrsclip", {"scenario": "even"})], stress_options())
    with pytest.raises(UserError, match="classifies pixels"):
        StressPlan([load_space("safe_segmentation")], stress_options())
    with pytest.raises(UserError, match="twice"):
        StressPlan([load_space("safe"), load_space("safe")], stress_options())


def test_spaces_with_other_resources_are_refused() -> None:
    """All trials share the workers that were asked for."""
    spaces = [load_space("fedrsclip"), load_space("safe", {"resources.workers": 2})]
    with pytest.raises(UserError, match="resources differ between the spaces"):
        StressPlan(spaces, stress_options())
