"""`raysim sweep`: search a space, run a recipe or a designed study, and write its report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from raysim.cli.arguments import result_folder, split_words
from raysim.core.config import parse
from raysim.core.console import duration
from raysim.core.errors import UserError
from raysim.core.plugins import check_loadable
from raysim.search.constraints import constraints_of
from raysim.search.options import SweepOptions, trial_slots
from raysim.search.overview import dry_run
from raysim.search.running.plan_run import record_seconds
from raysim.search.spaces.checks import check_figures
from raysim.search.spaces.files import load_space
from raysim.search.spaces.record import Space
from raysim.search.sweep import original_limits, prepare
from raysim.search.sweep import sweep as run_sweep
from raysim.storage.files import read_record
from raysim.storage.report import write_report

DESIGN_SEEDS = 2  # of a design: one seed would not say how much of an effect is noise


def _options(arguments: argparse.Namespace, spaces: Sequence[Space]) -> SweepOptions:
    """Return the options of the sweep, from the command line and the spaces.

    Raises:
        UserError: A value is not allowed.
    """
    has_limit = any(
        option is not None for option in (arguments.minutes, arguments.trials, arguments.design)
    ) or all(space.sample is None for space in spaces)
    minutes = arguments.minutes if has_limit else sum(space.minutes for space in spaces)
    default_seeds = DESIGN_SEEDS if arguments.design else max(space.seeds for space in spaces)
    return parse(
        SweepOptions,
        {
            "--trials": arguments.trials,
            "--seeds": default_seeds if arguments.seeds is None else arguments.seeds,
            "--minutes": minutes,
            "contrasts": not arguments.no_contrasts,
            "slots": trial_slots(arguments.workers, spaces[0].base.resources),
            "--search": arguments.search,
            "--objectives": arguments.objectives.split(","),
            "--race": arguments.race,
            "--design": arguments.design,
            "--budget": arguments.budget,
            "constraints": constraints_of(arguments.constraint),
            "--extend": arguments.extend,
        },
    )


def sweep(arguments: argparse.Namespace) -> None:
    """Search, or run a recipe or a design, and print where the report is."""
    names, changes = split_words(arguments)
    spaces = [load_space(name, changes) for name in names]
    for space in spaces:
        check_figures(space)
    options = _options(arguments, spaces)
    if options.constraints and (options.design or all(not (space.sample or space.tune) for space in spaces)):
        raise UserError(
            f"--constraint {options.constraints[0]}: nothing is chosen here, "
            + ("a design has no winner" if options.design else f"{names[0]} runs what it declares")
            + "; leave it out"
        )
    if arguments.dry_run:
        check_loadable()
        prepare(spaces, arguments.quiet)
        print(dry_run(spaces, options))
        return
    folder = result_folder(arguments, "-".join(space.name for space in spaces))
    if arguments.trials is None and (arguments.resume or arguments.extend):
        options = original_limits(folder, options, arguments.minutes is not None)
    plan = run_sweep(
        spaces,
        options,
        folder,
        resume=arguments.resume,
        quiet=arguments.quiet,
        command=arguments.command_line,
        started=arguments.started,
        track=arguments.track,
    )
    page = write_report(folder)
    record_seconds(folder, plan)
    failed = [row for row in plan.finished if row["state"] == "FAIL"]
    if not arguments.quiet:
        print(
            f"{len(plan.finished)} trials in {duration(plan.budget.elapsed)}"
            + (
                f", {len(failed)} failed (first: {failed[0]['label']}: {failed[0]['reason']})"
                if failed
                else ""
            )
        )
        print(f"report: {page}")
    if not plan.finished and arguments.minutes is None:  # the user's own limit may be as short as it likes
        left = read_record(folder).get("left_out") or {}
        raise RuntimeError(f"no trial has ended; to go on: {left.get('command', arguments.command_line)}")
    if plan.finished and len(failed) == len(plan.finished):
        raise RuntimeError(f"every trial failed; the first: {failed[0]['label']}: {failed[0]['reason']}")
