"""One sweep in its folder, from its options to its report: what `raysim sweep` and `raysim.sweep` share."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raysim.core.config import parse
from raysim.core.errors import UserError
from raysim.experiment.records import Experiment
from raysim.search.constraints import constraints_of
from raysim.search.options import SweepOptions, trial_slots
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.running.plan_run import record_seconds
from raysim.search.spaces.checks import check_figures
from raysim.search.spaces.files import load_space
from raysim.search.spaces.record import Space
from raysim.search.sweep import original_limits, sweep
from raysim.simulation.datasets import refresh
from raysim.simulation.federation import Federation
from raysim.simulation.remarks import print_remarks
from raysim.storage.bucket import copying
from raysim.storage.files import read_record
from raysim.storage.report import write_report

DESIGN_SEEDS = 2  # of a design: one seed would not say how much of an effect is noise


@dataclass(frozen=True, kw_only=True)
class SweepWords:
    """Options of a sweep as a user gives them, on the command line or in Python.

    Attributes are named like the options of `raysim sweep`; None stands for an option that was not given.
    """

    trials: int | None = None
    minutes: float | None = None
    seeds: int | None = None
    no_contrasts: bool = False
    workers: int | None = None
    search: str = "tpe"
    objectives: Sequence[str]
    race: int = 4
    design: str | None = None
    budget: int = 0
    extend: int = 0
    constraint: Sequence[str] = ()
    resume: bool = False
    quiet: bool = False
    track: Sequence[str] = ()
    command: str = ""
    started: float


def spaces_of(names: Sequence[str], changes: Mapping[str, Any], quiet: bool = False) -> list[Space]:
    """Return the spaces of these names, with overrides applied and their figures checked.

    A search leaves out the scenarios that are impossible with its images (`domain` of a folder, 50:1 of few
    images) and says so. A recipe is refused later, because its question is about all of them. What was left
    out of a folder, and which images are there twice, is said too, unless `quiet`.

    Raises:
        UserError: There is no such space, or its file or an override is wrong.
    """
    refresh()
    spaces = [_for_these_images(load_space(name, changes)) for name in names]
    for space in spaces:
        check_figures(space)
    if not quiet:
        print_remarks(experiment for space in spaces for experiment in space.experiments().values())
    return spaces


def _for_these_images(space: Space) -> Space:
    """Leave out of a search the scenarios that its images cannot have, where they can have others."""
    if space.sample is None:
        return space
    problems = [_problem(experiment) for experiment in space.experiments().values()]
    if all(problems) or not any(problems):
        return space
    for label, problem in zip(space.experiments(), problems, strict=True):
        if problem:
            print(f"raysim: {space.name}: the scenario {label} is left out: {problem}", file=sys.stderr)
    kept = [scenario for scenario, problem in zip(space.scenarios, problems, strict=True) if not problem]
    return replace(space, scenarios=tuple(kept))


def _problem(experiment: Experiment) -> str:
    """Return why an experiment's clients cannot be drawn from its images; empty where they can."""
    try:
        Federation.of(experiment)
    except UserError as error:
        return str(error)
    return ""


def sweep_options(words: SweepWords, spaces: Sequence[Space]) -> SweepOptions:
    """Return the options of a sweep, from what the user gave and from the spaces.

    Raises:
        UserError: A value is not allowed.
    """
    has_limit = any(option is not None for option in (words.minutes, words.trials, words.design)) or all(
        space.sample is None for space in spaces
    )
    minutes = words.minutes if has_limit else sum(space.minutes for space in spaces)
    default_seeds = DESIGN_SEEDS if words.design else max(space.seeds for space in spaces)
    constraints = constraints_of(words.constraint)
    if constraints and (words.design or all(not (space.sample or space.tune) for space in spaces)):
        raise UserError(
            f"--constraint {constraints[0]}: nothing is chosen here, "
            + ("a design has no winner" if words.design else f"{spaces[0].name} runs what it declares")
            + "; leave it out"
        )
    return parse(
        SweepOptions,
        {
            "--trials": words.trials,
            "--seeds": default_seeds if words.seeds is None else words.seeds,
            "--minutes": minutes,
            "contrasts": not words.no_contrasts,
            "slots": trial_slots(words.workers, spaces[0].base.resources),
            "--search": words.search,
            "--objectives": words.objectives,
            "--race": words.race,
            "--design": words.design,
            "--budget": words.budget,
            "constraints": constraints,
            "--extend": words.extend,
        },
    )


def sweep_in_folder(
    spaces: Sequence[Space], options: SweepOptions, folder: Path, words: SweepWords
) -> tuple[SweepPlan, Path]:
    """Run a sweep, a recipe or a design, and write its report.

    Returns:
        The plan, with all its rows, and the page of the report.

    Raises:
        UserError: What a user can correct, before Ray starts.
        RuntimeError: Every trial failed.
        KeyboardInterrupt: The user interrupted; everything finished is on disk.
    """
    if words.trials is None and (words.resume or words.extend):
        options = original_limits(folder, options, words.minutes is not None)
    with copying(folder):
        plan = sweep(
            spaces,
            options,
            folder,
            resume=words.resume,
            quiet=words.quiet,
            command=words.command,
            started=words.started,
            track=words.track,
        )
        page = write_report(folder)
        record_seconds(folder, plan)
    return plan, page


def refuse_all_failed(plan: SweepPlan, words: SweepWords, folder: Path) -> None:
    """Raise RuntimeError where no trial of a sweep ended, or every one failed; it names the first.

    A time limit that the user gave may be as short as it likes.
    """
    if not plan.finished and words.minutes is None:
        left = read_record(folder).get("left_out") or {}
        raise RuntimeError(f"no trial has ended; to go on: {left.get('command', words.command)}")
    failed = failed_trials(plan)
    if plan.finished and len(failed) == len(plan.finished):
        raise RuntimeError(f"every trial failed; the first: {failed[0]['label']}: {failed[0]['reason']}")


def failed_trials(plan: SweepPlan) -> list[Any]:
    """Return the rows of the trials that failed."""
    return [row for row in plan.finished if row["state"] == "FAIL"]
