"""The stress suite and its plan: what is declared can be run, in an order and a time that are kept; two cases to their end."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.core.types import Row
from raysim.engines.serial import Serial
from raysim.experiment import at, to_dict
from raysim.search.spaces import Space, load_space
from raysim.search.spec import Spec
from raysim.simulation.federation import Federation
from raysim.stress.plan import StressOptions, StressPlan, _order
from raysim.stress.run import dry_run
from raysim.stress.suite import CASES, mixed
from tests.experiments import small

QUICK = StressOptions(seeds=2, minutes=None, slots=2, quick=True)
STALE = "faults.stale = 'keep' is not allowed"
HEAD = "task.novel ="


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def options(**changes: Any) -> StressOptions:
    return StressOptions(
        **{"seeds": 2, "minutes": None, "slots": 1, "quick": True, "cases": ("dirichlet",), **changes}
    )


def row(spec: Spec, seconds: float = 10.0, state: str = "COMPLETE") -> Row:
    return {
        "key": spec.key,
        "study": spec.study,
        "factor": spec.factor,
        "level": spec.level,
        "label": spec.label,
        "state": state,
        "wall_seconds": seconds,
        "reason": "",
    }


def play(
    plan: StressPlan, clock: Clock | None = None, seconds: float = 10.0, most: int = 10_000
) -> list[Spec]:
    """One trial after the other; what was run."""
    done: list[Spec] = []
    while len(done) < most and isinstance(spec := plan.next(), Spec):
        if spec.key in plan.stored:
            plan.tell(spec, plan.stored[spec.key])
            continue
        if clock is not None:
            clock.now += seconds
        plan.tell(spec, row(spec, seconds))
        done.append(spec)
    return done


@pytest.mark.parametrize("quick", [True, False])
def test_every_declared_level_applies_to_every_space(quick: bool) -> None:
    plan = StressPlan([load_space("fedrsclip"), load_space("safe")], StressOptions(1, None, 1, quick))
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


def test_quick_federations_can_be_dealt() -> None:
    plan = StressPlan([load_space("fedrsclip"), load_space("safe")], QUICK)
    dealt = {
        spec.study: Federation.of(spec.experiments[0])
        for spec in plan.specs()
        if "+" not in spec.experiments[0].task.dataset
    }
    sizes = [len(shard) for shard in dealt["fedrsclip | one_image | 1"].shards]
    assert sizes == [1] * 64
    alone = dealt["safe | one_class | 1"]
    assert all(len(set(alone.images.labels[shard].tolist())) == 1 for shard in alone.shards)
    assert "not possible" not in "".join(
        text for text in dry_run(StressPlan([load_space("fedrsclip")], QUICK)).splitlines()
    )


def test_what_does_not_concern_a_reference_is_one_experiment_at_all_levels() -> None:
    plan = StressPlan(
        [load_space("safe")], options(cases=("corrupt_nan", "dropout", "participation", "noise_pairs"))
    )
    ids: dict[tuple[str | None, str], set[str]] = {}
    for spec in plan.specs():
        ids.setdefault((spec.factor, spec.label), set()).add(spec.experiments[0].id)
    several = {key for key, found in ids.items() if len(found) > 1}
    assert several == {
        ("corrupt_nan", "safe"),
        ("corrupt_nan", "safe, median"),
        ("dropout", "safe"),
        ("participation", "safe"),
        ("noise_pairs", "safe"),
        ("noise_pairs", "local_network"),
    }
    mildest = {
        next(s for s in plan.specs() if s.factor == case and s.label == "safe").experiments[0].id
        for case in ("corrupt_nan", "dropout")
    }
    assert len(mildest) == 1  # one ground


def test_a_newcomer_is_measured_beside_clients_that_trained_alone() -> None:
    plan = StressPlan([load_space("fedrsclip")], options(cases=("newcomers",)))
    shares = {
        spec.label: at(to_dict(spec.experiments[0]), "evaluation.newcomers")
        for spec in plan.specs()
        if spec.level == "90 %"
    }
    assert shares == {"fedrsclip": 0.9, "zeroshot": 0.9, "local": 0.0}  # who trains alone is no newcomer
    newcomers = "acc_shared_newcomers"
    assert plan.cases[0]["metrics"]["fedrsclip"] == {
        "fedrsclip": newcomers,
        "zeroshot": newcomers,
        "local": "acc_personal_own",
    }


def test_deadlines_are_in_units_of_the_median_clients_work() -> None:
    plan = StressPlan([load_space("safe")], options(cases=("stragglers",)))
    spec = next(s for s in plan.specs() if s.label == "safe" and s.level == "76 %")
    experiment = spec.experiments[0]
    steps = sorted(-(-len(shard) // 16) for shard in Federation.of(experiment).shards)
    assert experiment.faults.deadline == 0.5 and experiment.faults.step_seconds == pytest.approx(
        2 / (steps[7] + steps[8])
    )


def test_the_ends_come_first() -> None:
    assert [_order(n) for n in (1, 2, 3, 5)] == [[0], [0, 1], [0, 2, 1], [0, 4, 2, 1, 3]]
    plan = StressPlan([load_space("fedrsclip")], options(cases=("dirichlet", "quantity")))
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
    plan = StressPlan([load_space("fedrsclip")], options(cases=("dirichlet", "dropout")))
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
    spaces, chosen = [load_space("fedrsclip")], options(cases=("dirichlet", "dropout"), minutes=1.5)
    first = StressPlan(spaces, chosen, clock=clock)
    done = play(first, clock)
    assert len(done) == 6 and clock.now <= 90
    assert "1.5 minutes" in first.cases[0]["not_run"][0]["reason"]
    stored = {spec.key: row(spec) for spec in done[:4]}
    again = StressPlan(spaces, options(cases=("dirichlet", "dropout"), minutes=10.0), stored, Clock())
    again.continue_from(40.0)
    rest = play(again)
    assert (
        again.elapsed == 40
        and {spec.key for spec in rest}.isdisjoint(stored)
        and len(rest) + 4 == again.planned()["stress"]
    )
    assert not any(case["not_run"] for case in again.cases)
    late = StressPlan(spaces, chosen, stored, Clock())
    late.continue_from(1000.0)  # its time is over: what was begun is finished, no more
    assert {spec.key for spec in play(late)} == {done[4].key, done[5].key}


def test_mistakes_are_said_before_any_work() -> None:
    with pytest.raises(UserError, match="unknown case 'dirichlt'; did you mean 'dirichlet'"):
        StressPlan([load_space("fedrsclip")], options(cases=("dirichlt",)))
    with pytest.raises(UserError, match="the stress suite sets it"):
        StressPlan([load_space("fedrsclip", {"scenario": "even"})], options())
    with pytest.raises(UserError, match="classifies pixels"):
        StressPlan([load_space("safe_segmentation")], options())
    with pytest.raises(UserError, match="twice"):
        StressPlan([load_space("safe"), load_space("safe")], options())


def test_a_mixture_without_a_second_dataset_is_skipped_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    plan = StressPlan([load_space("fedrsclip")], options(cases=("mixed",)))
    assert "rsscn7" in plan.cases[0]["skipped"] and plan.next() is None and plan.planned() == {"stress": 0}
    assert mixed("ucmerced", "scenes").levels[2].changes["task.dataset"] == "ucmerced+scenes"


def test_the_command_line_has_the_last_word_on_sizes() -> None:
    plan = StressPlan([load_space("fedrsclip", {"rounds": 2, "scenario.clients": 5})], options())
    assert {(s.experiments[0].rounds, s.experiments[0].scenario.clients) for s in plan.specs()} == {(2, 5)}


def test_two_cases_to_their_end(tmp_path: Path) -> None:
    """The plan's own trials, through the sweep's rows, to a page; only Ray is left out."""
    from raysim.search.trial import SeedGroup
    from raysim.search.tune import PlanSearcher
    from raysim.storage.files import write_json
    from raysim.storage.report import write_report

    base = small(rounds=2, evaluation__every=1, task__classes=4, scenario="even", scenario__clients=4)
    fixed = {"rounds": 2, "evaluation.every": 1, "task.classes": 4, "task.shots": 8, "scenario.clients": 4}
    space = Space("tiny", "Tiny.", base, ({},), fixed=fixed)
    plan = StressPlan([space], options(cases=("disjoint", "corrupt_nan")))
    described = {
        "kind": "stress",
        "status": "running",
        "spaces": ["tiny"],
        "cases": plan.cases,
        "confidence": 0.9,
        "margin": 0.05,
        "seeds": [0, 1],
        "quick": True,
        "planned": plan.planned(),
    }
    searcher = PlanSearcher(plan, tmp_path, lambda: None, lambda: None)
    for number in range(100):
        config = searcher.suggest(str(number))
        if not isinstance(config, dict):
            break
        spec = searcher.trials[str(number)]
        found: Row = {}
        try:
            group = SeedGroup(spec.experiments, tmp_path, Serial(), {}, False, 60.0)  # type: ignore[arg-type]
            while (state := group.advance()[0]) == "RUNNING":
                pass
            found = {"state": state, "reason": "", "objective": 0.5, "rounds": 2, **group.numbers(state)}
        except Exception as error:
            found = {"state": "FAIL", "reason": f"diverged: {error}", "objective": float("nan")}
        group.close()
        searcher.on_trial_complete(str(number), {"row": json.dumps({**found, "wall_seconds": 1.0})})
    assert plan.next() is None and len(plan.finished) == 14
    failed = {(r["label"], r["level"]) for r in plan.finished if r["state"] == "FAIL"}
    assert failed == {("fedrsclip", "25 %")}, "NaN breaks the mean, and the median does without it"
    write_json(tmp_path / "run.json", {**described, "status": "done"})
    page = write_report(tmp_path).read_text()
    assert "Updates that are not numbers" in page and "diverged" in page and page.count("<svg") == 2
