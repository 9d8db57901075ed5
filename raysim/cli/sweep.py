"""The commands that run many federations: `raysim sweep` and `raysim stress`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from raysim.cli.arguments import experiment_arguments, result_folder, split_words
from raysim.core.config import unknown
from raysim.core.console import duration
from raysim.core.errors import UserError
from raysim.search.spaces import Space, check_figures, load_space
from raysim.storage.report import write_report

if TYPE_CHECKING:
    from raysim.search.spec import Options


def sweep_arguments(parser: argparse.ArgumentParser) -> None:
    """Of `raysim sweep`."""
    experiment_arguments(parser)
    parser.add_argument(
        "--trials",
        type=int,
        help="search trials per method and scenario; by default as many as --minutes allow",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        help="time for all trials; the spaces' own where neither this nor --trials is given",
    )
    parser.add_argument(
        "--seeds", type=int, help="seeds per trial, common to all trials; by default the space's own number"
    )
    parser.add_argument(
        "--no-contrasts", action="store_true", help="search only: no one-factor contrasts around the anchor"
    )
    parser.add_argument(
        "--search",
        default="tpe",
        metavar="NAME",
        help="how the space is searched: tpe, qmc (Sobol sequence), random, grid",
    )
    objectives = (
        "comma-separated, the first decides; several make a Pareto front: worst_client_accuracy, "
        "bytes_up, flops and others"
    )
    parser.add_argument("--objectives", default="acc_personal_own", metavar="NAMES", help=objectives)
    parser.add_argument(
        "--race",
        type=int,
        default=4,
        metavar="SEEDS",
        help="most extra seeds for configurations in question; 0 = no race",
    )
    parser.add_argument(
        "--design",
        choices=["sobol", "morris"],
        help="a designed sensitivity study of --budget trials, no search",
    )
    parser.add_argument(
        "--budget",
        type=int,
        default=0,
        help="trials of --design in each study; too few are refused with the least number",
    )
    parser.add_argument("--out", type=Path, help="result folder; by default a new one in results/")
    parser.add_argument("--resume", action="store_true", help="go on where the sweep in --out stopped")
    parser.add_argument(
        "--extend",
        type=int,
        default=0,
        metavar="N",
        help="N more search trials per study for the finished sweep in --out",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="check everything, print what would run, run nothing"
    )
    parser.add_argument(
        "--track",
        action="append",
        choices=["mlflow", "tensorboard"],
        default=[],
        help="also log to DIR/track/ for this tracker; repeatable",
    )


def _options(arguments: argparse.Namespace, spaces: Sequence[Space]) -> Options:
    """How large the sweep is, from the command line and the spaces."""
    from raysim.search.racing import Race
    from raysim.search.samplers import SAMPLERS
    from raysim.search.spec import OBJECTIVES, Options

    if arguments.seeds is not None and arguments.seeds < 1:
        raise UserError(f"--seeds {arguments.seeds}: at least 1")
    if arguments.minutes is not None and not arguments.minutes > 0:
        raise UserError(f"--minutes {arguments.minutes:g}: more than 0")
    if arguments.trials is not None and arguments.trials < 0:
        raise UserError(f"--trials {arguments.trials}: at least 0")
    if arguments.search not in SAMPLERS:
        raise unknown("--search", arguments.search, list(SAMPLERS))
    objectives = tuple(arguments.objectives.split(","))
    for name in objectives:
        if name not in OBJECTIVES:
            raise unknown("--objectives", name, list(OBJECTIVES))
    if len(set(objectives)) < len(objectives):
        raise UserError(f"--objectives {arguments.objectives}: each once")
    for flag in ("race", "budget", "extend"):
        if getattr(arguments, flag) < 0:
            raise UserError(f"--{flag} {getattr(arguments, flag)}: at least 0")
    if arguments.race == 1:
        raise UserError("--race 1: one seed decides nothing; 0 or at least 2")
    if arguments.design is None and arguments.budget:
        raise UserError(
            "--budget: is the number of trials of a design; add --design morris or --design sobol"
        )
    each = spaces[0].base.resources
    workers = arguments.workers if arguments.workers is not None else max(each.workers, os.cpu_count() or 1)
    if workers < each.workers:
        raise UserError(f"--workers {workers}: a trial needs resources.workers = {each.workers}")
    limited = arguments.minutes is not None or arguments.trials is not None or arguments.design is not None
    limited |= all(space.sample is None for space in spaces)
    minutes = arguments.minutes if limited else sum(space.minutes for space in spaces)
    seeds = arguments.seeds or (1 if arguments.design else max(space.seeds for space in spaces))
    return Options(
        arguments.trials,
        seeds,
        minutes,
        not arguments.no_contrasts,
        workers // each.workers,
        arguments.search,
        objectives,
        Race(seeds=arguments.race),
        arguments.design,
        arguments.budget,
        arguments.extend,
    )


def sweep(arguments: argparse.Namespace) -> None:
    """Search, or run a recipe or a design, and say where the report is."""
    from raysim.search.overview import dry_run
    from raysim.search.sweep import as_started, prepare
    from raysim.search.sweep import sweep as run_sweep

    names, changes = split_words(arguments)
    spaces = [load_space(name, changes) for name in names]
    for space in spaces:
        check_figures(space)
    options = _options(arguments, spaces)
    if arguments.dry_run:
        prepare(spaces, arguments.quiet)
        print(dry_run(spaces, options))
        return
    folder = result_folder(arguments, "-".join(space.name for space in spaces))
    if arguments.trials is None and arguments.minutes is None and (arguments.resume or arguments.extend):
        options = as_started(folder, options)
    plan = run_sweep(
        spaces, options, folder, arguments.resume, arguments.quiet, arguments.command_line, arguments.track
    )
    page = write_report(folder)
    failed = [row for row in plan.finished if row["state"] == "FAIL"]
    if not arguments.quiet:
        print(
            f"{len(plan.finished)} trials in {duration(plan.elapsed)}"
            + (
                f", {len(failed)} failed (first: {failed[0]['label']}: {failed[0]['reason']})"
                if failed
                else ""
            )
        )
        print(f"report: {page}")
    if plan.finished and len(failed) == len(plan.finished):
        raise RuntimeError(f"every trial failed; the first: {failed[0]['label']}: {failed[0]['reason']}")
