"""The stress suite: every declared level can be run."""

from __future__ import annotations

from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.search.spaces.files import load_space
from raysim.stress.data_cases import mixed
from raysim.stress.plan import StressOptions, StressPlan
from raysim.stress.suite import CASES
from tests.fakes.stress import stress_options

STALE = "faults.stale = 'keep' is not allowed"
HEAD = "task.novel ="


@pytest.mark.parametrize("quick", [True, False])
def test_every_declared_level_applies_to_every_space(quick: bool) -> None:
    plan = StressPlan([load_space("fedrsclip"), load_space("safe")], StressOptions(seeds=1, quick=quick))
    refused = [left for case in plan.cases for left in case["not_run"]]
    assert all(
        left["space"] == "safe"
        and (STALE in left["reason"] or HEAD in left["reason"] or "novel" in left["reason"])
        for left in refused
    )
    specs = list(plan.specs())
    assert plan.planned() == {"stress": len(specs)} and len({spec.key for spec in specs}) == len(specs)
    assert {case["name"] for case in plan.cases} == {case.name for case in CASES} | {"mixed"}
    for case in plan.cases:
        xs = [level["x"] for level in case["levels"]]
        assert (
            xs in (sorted(xs), sorted(xs, reverse=True))
            and len(xs) >= 2
            and len({level["label"] for level in case["levels"]}) == len(xs)
        )
        assert not case["log"] or min(xs) > 0
        assert case["skipped"] or "zeroshot" in case["entries"]["safe"]


def test_a_mixture_without_a_second_dataset_is_skipped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    plan = StressPlan([load_space("fedrsclip")], stress_options(cases=("mixed",)))
    assert "rsscn7" in plan.cases[0]["skipped"] and plan.next() is None and plan.planned() == {"stress": 0}
    assert mixed("ucmerced", "scenes").levels[2].changes["task.dataset"] == "ucmerced+scenes"


def test_clients_that_exist_are_stressed_by_what_does_not_deal_their_images() -> None:
    space = load_space("fedrsclip", {"scenario": "given", "scenario.attribute": "domain"})
    plan = StressPlan([space], stress_options(cases=()))
    skipped = {case["name"] for case in plan.cases if case["skipped"]}
    assert skipped == {
        *("one_class", "dirichlet", "disjoint", "imbalance", "one_image", "quantity", "domains", "clients"),
        "mixed",
    }
    specs = list(plan.specs())
    assert {spec.experiments[0].scenario.name for spec in specs} == {"given"}
    assert {spec.factor for spec in specs} == {case["name"] for case in plan.cases} - skipped
    assert any(spec.experiments[0].scenario.label_noise for spec in specs)
    assert not [left for case in plan.cases for left in case["not_run"]]
    with pytest.raises(UserError, match="scenario: the stress suite sets it, case by case; leave it out"):
        StressPlan([load_space("fedrsclip", {"scenario": "even"})], stress_options())
