"""The first study on simulated machines: it answers on any of them, in time and in its order."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from raysim.search.options import SweepOptions
from raysim.search.overview import status_line
from raysim.search.plans.left_out import command_of_rest, stage_counts
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.spaces.files import load_space
from raysim.search.studies.study import ANCHOR
from raysim.search.trial_spec import TrialSpec
from raysim.storage.trials import TrialRow
from tests.fakes.machines import REPORT_SECONDS, Machine
from tests.fakes.sweeps import ONE_STUDY, run_to_end, toy_options, toy_row, toy_space

SPACE = load_space("fedrsclip")
MINUTES = 8.0
SCENARIOS = {"even", "dirichlet alpha=0.1", "domain per client"}
MACHINES: dict[str, dict[str, Any]] = {
    "three times faster": {"slowness": 0.3},
    "quiet": {},
    "slow first trials": {"startup": 60.0},
    "slow first trials that do not say so": {"startup": 60.0, "measured": False},
    "one slot, slow first trial": {"slots": 1, "startup": 60.0},
    "six slots": {"slots": 6, "startup": 20.0, "slowness": 1.5},
    "busy half-way": {"busy_from": 200.0},
    "three times slower": {"slowness": 3.0},
    "ten times slower": {"slowness": 10.0},
}


def study_on(machine: Machine, minutes: float = MINUTES, earlier: SweepPlan | None = None) -> SweepPlan:
    """Run the default study on a machine, or go on with an earlier start of it."""
    options = SweepOptions(seeds=3, minutes=minutes, slots=machine.slots, race_seeds=4)
    stored: dict[str, TrialRow] = {row["key"]: row for row in earlier.finished} if earlier else {}
    learned = earlier.progress()["learned"] if earlier else None
    elapsed = earlier.budget.elapsed if earlier else 0.0
    return machine.run(lambda clock: SweepPlan([SPACE], options, stored, learned, clock=clock), elapsed)


@pytest.fixture(scope="module")
def studies() -> dict[str, tuple[Machine, SweepPlan]]:
    """The default study on every machine."""
    found = {}
    for name, settings in MACHINES.items():
        machine = Machine(**settings)
        found[name] = machine, study_on(machine)
    return found


@pytest.fixture(params=list(MACHINES))
def study(
    request: pytest.FixtureRequest, studies: dict[str, tuple[Machine, SweepPlan]]
) -> tuple[Machine, SweepPlan]:
    return studies[request.param]


def complete_blocks(plan: SweepPlan) -> set[str]:
    """Contrasts that have ended in every scenario."""
    counts = Counter(row["label"] for row in plan.finished if row["kind"] == "contrast")
    return {label for label, count in counts.items() if count == len(SCENARIOS) and label != ANCHOR}


def test_the_command_ends_in_time(study: tuple[Machine, SweepPlan]) -> None:
    machine, _ = study
    assert machine.now <= 60 * MINUTES + 0.2 * REPORT_SECONDS * machine.slowness


def test_the_anchors_are_first_and_every_choice_is_tried_or_named(study: tuple[Machine, SweepPlan]) -> None:
    machine, plan = study
    others = min(trial.spec.number for trial in machine.ended if trial.spec.label != ANCHOR)
    first = [trial.spec for trial in machine.ended if trial.spec.number < others]
    assert {spec.scenario for spec in first} == SCENARIOS
    tried = {row["factor"] for row in plan.finished if row["kind"] == "contrast"} - {None}
    left = plan.left_out()
    untried = {entry["factor"] for entry in left["untried"]} if left else set()
    assert tried | untried == set(SPACE.contrasts) and not tried & untried


def test_a_level_is_run_in_every_scenario_before_the_next_one(study: tuple[Machine, SweepPlan]) -> None:
    """At most the last level is half done; a paper's own choices come before those of the training."""
    machine, plan = study
    assert complete_blocks(plan), "at least one choice has its answer in every scenario"
    counts = Counter(
        trial.spec.label for trial in machine.ended if trial.spec.kind == "contrast" and trial.spec.factor
    )
    halves = [label for label, count in counts.items() if count % len(SCENARIOS)]
    assert len(halves) <= 1 + machine.slots // len(SCENARIOS)
    order = [trial.spec.factor for trial in sorted(machine.ended, key=lambda trial: trial.spec.number)]
    first = {factor: order.index(factor) for factor in SPACE.contrasts if factor in order}
    own = [place for factor, place in first.items() if factor.startswith("method.")]
    assert all(max(own) < place for factor, place in first.items() if factor.startswith("training."))


def test_nothing_is_searched_while_contrasts_that_fit_are_missing(study: tuple[Machine, SweepPlan]) -> None:
    machine, _ = study
    assert not any(trial.missing for trial in machine.ended if trial.spec.kind in ("search", "race"))


def test_what_was_kept_for_the_last_stages_is_used(study: tuple[Machine, SweepPlan]) -> None:
    """Every anchor is confirmed and the first rival run, unless that had been most of the study."""
    machine, plan = study
    confirmed = {row["scenario"] for row in plan.finished if row["kind"] == "confirm"}
    rivals = {row["scenario"] for row in plan.finished if row["label"] == "promptfl"}
    if machine.slowness < 10:
        assert confirmed == rivals == SCENARIOS


def test_a_slow_first_trial_leaves_nothing_out_for_long(
    studies: dict[str, tuple[Machine, SweepPlan]],
) -> None:
    """What did not fit by the first trials comes back; no choice is left untried."""
    for name in ("slow first trials", "slow first trials that do not say so"):
        machine, plan = studies[name]
        left = plan.left_out()
        assert left is not None and not left["untried"] and left["counts"]["contrast"]["finished"] == 63
        assert sum(trial.is_stopped for trial in machine.ended) <= machine.slots


def test_a_fast_machine_searches_and_leaves_no_comparison_out(
    studies: dict[str, tuple[Machine, SweepPlan]],
) -> None:
    _, plan = studies["three times faster"]
    left = plan.left_out()
    assert left is None or left["comparisons"] == {"planned": 87, "finished": 87}
    labels = {row["label"] for row in plan.finished if row["kind"] == "confirm"}
    assert "fedrsclip (tuned)" in labels and "promptfl (untuned)" in labels


def test_a_study_without_a_search_does_not_say_tuned(studies: dict[str, tuple[Machine, SweepPlan]]) -> None:
    _, plan = studies["quiet"]
    assert not any(row["kind"] == "search" for row in plan.finished)
    confirmed = [row for row in plan.finished if row["kind"] in ("confirm", "transfer")]
    assert confirmed and all(row["label"].endswith(f"({row['tuning']})") for row in confirmed)
    assert {row["tuning"] for row in confirmed} == {"best of 22 trials", "untuned"}, (
        "21 levels and the anchor"
    )


def test_what_was_left_out_is_counted_and_named(studies: dict[str, tuple[Machine, SweepPlan]]) -> None:
    _, plan = studies["three times slower"]
    left = plan.left_out()
    assert left is not None
    rows = Counter(row["kind"] for row in plan.finished if row["label"] != ANCHOR)
    together = rows["contrast"] + rows["rival"] + rows["interaction"]
    assert left["comparisons"] == {"planned": 63 + 15 + 9, "finished": together} and 20 < together < 40
    named = [trial for trial in left["trials"] if trial["stage"] in ("contrast", "rival", "interaction")]
    assert len(named) == 87 - together
    ran = {(row["study"], row["kind"], row["label"]) for row in plan.finished}
    assert not ran & {(trial["study"], trial["kind"], trial["label"]) for trial in named}
    assert left["counts"]["search"] == {"planned": 60, "finished": 0}


@pytest.mark.parametrize("name", ["quiet", "three times slower", "busy half-way"])
def test_more_minutes_run_the_rest(name: str) -> None:
    """With the minutes that a study names, a resumed one runs all that was left out, and repeats nothing."""
    machine = Machine(**MACHINES[name])
    first = study_on(machine)
    left = first.left_out()
    assert left is not None
    again = Machine(slots=machine.slots, slowness=machine.slowness, now=machine.now)
    again.finished_runs = machine.finished_runs
    plan = study_on(again, minutes=left["minutes"] * 1.2, earlier=first)
    rest = plan.left_out()
    assert rest is None or rest["comparisons"] == {"planned": 87, "finished": 87}
    assert rest is None or rest["counts"]["search"]["finished"] > 0
    repeated = {trial.spec.key for trial in again.ended} & {row["key"] for row in first.finished}
    assert not repeated
    anchors = [row for row in plan.finished if row["label"] == ANCHOR]
    assert all(len(row["seeds"]) == 3 for row in anchors), "the missing seeds came too"
    assert len({(row["study"], row["kind"], row["label"]) for row in plan.finished}) == len(plan.finished)


def test_a_study_that_was_killed_goes_on_to_the_same_end() -> None:
    """Without late contrasts, a resumed search suggests what it would have suggested."""
    whole = study_on(Machine(slowness=0.3))
    killed = SweepPlan([SPACE], whole.options, clock=lambda: 0.0)
    killed.finished = whole.finished[:150]
    killed.progress = whole.progress  # type: ignore[method-assign]
    machine = Machine(slowness=0.3)
    machine.finished_runs = {run for row in killed.finished for run in row["runs"]}
    plan = study_on(machine, earlier=killed)
    searched, before, expected = (
        {row["key"] for row in rows if row["kind"] == "search"}
        for rows in (plan.finished, killed.finished, whole.finished)
    )
    assert before and before <= searched and (searched <= expected or expected <= searched)


def test_contrasts_that_come_after_the_search_do_not_change_it() -> None:
    """A resumed sweep runs the contrasts that were left out, and asks for the same search trials."""
    space = toy_space(**{**ONE_STUDY, "contrasts": {"method.lam": (0.1,)}})
    first = SweepPlan([space], toy_options(8, contrasts=False))
    Machine().run(lambda clock: first)
    rows = {row["key"]: row for row in first.finished}
    again = SweepPlan([space], toy_options(8, contrasts=True), rows, first.progress()["learned"])
    machine = Machine()
    machine.run(lambda clock: again)
    assert [trial.spec.kind for trial in machine.ended if trial.spec.kind == "search"] == []
    assert [trial.spec.label for trial in machine.ended][:1] == ["method.lam=0.1"]


def test_the_command_of_the_rest_keeps_what_the_sweep_is() -> None:
    words = "raysim sweep fedrsclip training.lr=0.1 --seeds 5 --minutes 8 --out /tmp/a --resume --race=2"
    assert command_of_rest(words, Path("results/a b"), 23) == (
        "raysim sweep fedrsclip training.lr=0.1 --seeds 5 --race=2 --out 'results/a b' --resume --minutes 23"
    )


def test_the_status_line_says_the_stage_and_what_is_missing() -> None:
    plan = SweepPlan([toy_space()], toy_options(4, contrasts=True))
    assert "anchors 0 of 2, 0 trials done (none), 0 running, 16 of the plan missing" in status_line(plan)
    for _ in range(3):
        spec = plan.next()
        assert isinstance(spec, TrialSpec)
        plan.tell(spec, toy_row(spec))
    assert "contrasts 1 of 4, 3 trials done (3 complete)" in status_line(plan)


def test_the_last_line_of_a_plan_predicts_nothing() -> None:
    plan = study_on(Machine(slowness=3.0))
    missing = sum(c["planned"] - c["finished"] for c in stage_counts(plan).values())
    assert missing > 50 and f"{missing} of the plan did not run" in status_line(plan)
    assert "left" not in status_line(plan) and "running" not in status_line(plan)
    whole = SweepPlan([toy_space()], toy_options(4, contrasts=True))
    run_to_end(whole)
    assert status_line(whole).endswith("the plan is done")


def test_without_a_finished_trial_the_rest_takes_what_the_space_asks_for() -> None:
    """Nothing is known about the times: two minutes would be no prediction, but a wrong one."""
    plan = study_on(Machine(slowness=100.0), minutes=1)
    left = plan.left_out()
    assert not plan.finished and left is not None and left["minutes"] >= SPACE.minutes
