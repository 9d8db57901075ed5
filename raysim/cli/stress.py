"""Stress."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from raysim.cli.arguments import experiment_arguments, result_folder, split_words
from raysim.core.console import duration
from raysim.core.errors import UserError
from raysim.search.spaces import load_space
from raysim.storage.report import write_report

STRESSED = ("fedrsclip", "safe")


def stress_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `raysim stress`."""
    experiment_arguments(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two or three levels of each case, small federations: under 10 minutes on 2 cores",
    )
    parser.add_argument(
        "--cases",
        metavar="NAMES",
        help="comma-separated, such as dirichlet,corrupt_nan; by default the whole suite",
    )
    parser.add_argument("--seeds", type=int, help="seeds per trial; by default 5, with --quick 3")
    parser.add_argument(
        "--minutes",
        type=float,
        help="time for everything; by default the cases' own budgets, with --quick also 8 minutes",
    )
    parser.add_argument("--out", type=Path, help="result folder; by default a new one in results/")
    parser.add_argument("--resume", action="store_true", help="go on where the run in --out stopped")
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, print what would run, run nothing"
    )


def stress(arguments: argparse.Namespace) -> None:
    """Run the suite, and say where the report is."""
    from raysim.stress.plan import StressOptions, StressPlan
    from raysim.stress.run import QUICK_MINUTES, QUICK_SEEDS, SEEDS, dry_run
    from raysim.stress.run import stress as run_stress

    names, changes = split_words(arguments)
    spaces = [
        load_space(name, changes)
        for name in (names if any("=" not in word for word in arguments.words) else STRESSED)
    ]
    seeds = arguments.seeds if arguments.seeds is not None else QUICK_SEEDS if arguments.quick else SEEDS
    minutes = (
        arguments.minutes if arguments.minutes is not None else QUICK_MINUTES if arguments.quick else None
    )
    if seeds < 1:
        raise UserError(f"--seeds {seeds}: at least 1")
    if minutes is not None and not minutes > 0:
        raise UserError(f"--minutes {minutes:g}: more than 0")
    each = spaces[0].base.resources.workers
    workers = arguments.workers if arguments.workers is not None else max(each, os.cpu_count() or 1)
    if workers < each:
        raise UserError(f"--workers {workers}: a trial needs resources.workers = {each}")
    cases = tuple(arguments.cases.split(",")) if arguments.cases else ()
    options = StressOptions(seeds, minutes, workers // each, arguments.quick, cases)
    if arguments.dry_run:
        print(dry_run(StressPlan(spaces, options)))
        return
    folder = result_folder(arguments, "stress")
    plan = run_stress(spaces, options, folder, arguments.resume, arguments.quiet, arguments.command_line)
    page = write_report(folder)
    if not arguments.quiet:
        left = sum(len(case["not_run"]) for case in plan.cases)
        print(
            f"{len(plan.finished)} trials in {duration(plan.elapsed)}"
            + (f", {left} not run (see the report)" if left else "")
        )
        print(f"report: {page}")
