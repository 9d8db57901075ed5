"""What a sweep has planned and not run, for run.json: pages say `34 of 75 comparisons ran; the rest: ...`."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from raysim.search.options import SweepOptions
from raysim.search.plans.agenda import Agenda
from raysim.search.plans.stages import STAGES, Stage
from raysim.search.plans.time_budget import TIME_MARGIN
from raysim.search.studies.study import Study
from raysim.storage.trials import TrialRow

COMPARISONS: tuple[Stage, ...] = ("contrast", "rival", "interaction")  # each compares with the anchor
VALUED, BARE = ("--minutes", "--out", "--extend"), ("--resume", "--dry-run")


class Started(Protocol):
    """A trial that was handed out."""

    @property
    def stage(self) -> Stage:
        """Its stage."""


class Course(Protocol):
    """What is read of a plan of a sweep; `raysim.search.plans.sweep_plan.SweepPlan` describes it."""

    options: SweepOptions
    studies: list[Study]
    agenda: Agenda
    finished: list[TrialRow]

    @property
    def running(self) -> Mapping[str, Started]:
        """Trials that were handed out and have not ended, by key."""

    def missing_searches(self, study: Study) -> int:
        """Return how many search trials a study lacks until it is tuned."""

    def seconds_of_the_rest(self) -> float:
        """Return the predicted seconds, one after the other, of all that is not finished."""


def left_out(plan: Course) -> dict[str, Any] | None:
    """Return what has not run, None where everything has.

    Returns:
        counts: Stage -> planned and finished trials. Of the search, planned is what makes the studies tuned.
        comparisons: Planned and finished contrasts, rivals and interactions together.
        trials: Each trial that has not run: study, kind, label, stage, and for the search how many.
        untried: Choices of which no level has run in any scenario: space and factor.
        minutes: Predicted time limit with which everything would run, the time so far included. While no
            trial has ended, nothing is predicted: then it is the time that the spaces ask for.
    """
    counts = stage_counts(plan)
    if all(count["planned"] == count["finished"] for count in counts.values()):
        return None
    trials = [
        {
            "study": trial.study.name,
            "kind": trial.kind,
            "label": trial.label,
            "stage": block.stage,
            "count": 1,
        }
        for block in plan.agenda.blocks
        for trial in block.trials
    ]
    trials += [
        {"study": study.name, "kind": "search", "label": "", "stage": "search", "count": missing}
        for study in plan.studies
        if (missing := plan.missing_searches(study))
    ]
    together = {
        name: sum(counts[stage][name] for stage in COMPARISONS if stage in counts)
        for name in ("planned", "finished")
    }
    if plan.agenda.times.count:
        rest = TIME_MARGIN * plan.seconds_of_the_rest() / plan.options.slots
    else:
        rest = 60 * sum({study.space.name: study.space.minutes for study in plan.studies}.values())
    seconds = plan.agenda.budget.elapsed + rest
    return {
        "counts": counts,
        "comparisons": together,
        "trials": trials,
        "untried": _untried(plan),
        "minutes": math.ceil(seconds / 60) + 1,
    }


def stage_counts(plan: Course) -> dict[Stage, dict[str, int]]:
    """Return stage -> planned and finished trials."""
    waiting = Counter(block.stage for block in plan.agenda.blocks for _ in block.trials)
    running = Counter(trial.stage for trial in plan.running.values())
    counts = {
        stage: {"planned": planned, "finished": planned - waiting[stage] - running[stage]}
        for stage, planned in plan.agenda.counts.items()
    }
    if any(study.search is not None and not plan.options.design for study in plan.studies):
        finished = sum(row["kind"] == "search" for study in plan.studies for row in study.rows)
        missing = sum(plan.missing_searches(study) for study in plan.studies)
        counts["search"] = {"planned": finished + missing, "finished": finished}
    return {stage: counts[stage] for stage in STAGES if stage in counts}


def _untried(plan: Course) -> list[dict[str, str]]:
    """Return the choices of which no level has run in any scenario."""
    tried = {(row["study"].partition(" | ")[0], row["factor"]) for row in plan.finished}
    planned = [
        (trial.study.space.name, str(trial.factor))
        for block in plan.agenda.blocks
        for trial in block.trials
        if block.stage == "contrast"
    ]
    return [
        {"space": space, "factor": factor}
        for space, factor in dict.fromkeys(planned)
        if (space, factor) not in tried
    ]


def command_of_rest(command: str, folder: Path, minutes: int) -> str:
    """Return the command that runs what was left out.

    Args:
        command: The command line of the sweep.
        folder: Its result folder.
        minutes: The new time limit.
    """
    words, kept = shlex.split(command), []
    while words:
        word = words.pop(0)
        if word in VALUED:
            words = words[1:]
        elif word not in BARE and word.partition("=")[0] not in VALUED:
            kept.append(word)
    return shlex.join([*kept, "--out", str(folder), "--resume", "--minutes", str(minutes)])
