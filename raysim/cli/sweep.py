"""`raysim sweep`: search a space, run a recipe or a designed study, and write its report."""

from __future__ import annotations

import argparse

from raysim.api.experiments import result_folder
from raysim.api.sweeping import (
    SweepWords,
    failed_trials,
    refuse_all_failed,
    spaces_of,
    sweep_in_folder,
    sweep_options,
)
from raysim.cli.arguments import split_words
from raysim.core.console import duration
from raysim.core.plugins import check_loadable
from raysim.search.overview import dry_run
from raysim.search.sweep import prepare


def sweep(arguments: argparse.Namespace) -> None:
    """Search, or run a recipe or a design, and print where the report is."""
    names, changes = split_words(arguments)
    spaces = spaces_of(names, changes, arguments.quiet)
    words = _words(arguments)
    options = sweep_options(words, spaces)
    if arguments.dry_run:
        check_loadable()
        prepare(spaces, arguments.quiet)
        print(dry_run(spaces, options))
        return
    goes_on = arguments.resume or arguments.extend > 0
    arguments.out = result_folder(
        arguments.out, "-".join(space.name for space in spaces), goes_on, arguments.quiet
    )
    plan, page = sweep_in_folder(spaces, options, arguments.out, words)
    failed = failed_trials(plan)
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
    refuse_all_failed(plan, words, arguments.out)


def _words(arguments: argparse.Namespace) -> SweepWords:
    """The options of the command line."""
    return SweepWords(
        trials=arguments.trials,
        minutes=arguments.minutes,
        seeds=arguments.seeds,
        no_contrasts=arguments.no_contrasts,
        workers=arguments.workers,
        search=arguments.search,
        objectives=arguments.objectives.split(","),
        race=arguments.race,
        design=arguments.design,
        budget=arguments.budget,
        constraint=arguments.constraint,
        extend=arguments.extend,
        resume=arguments.resume,
        quiet=arguments.quiet,
        track=arguments.track,
        command=arguments.command_line,
        started=arguments.started,
    )
