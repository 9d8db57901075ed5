"""`raysim stress`: run the stress suite and write its report."""

from __future__ import annotations

import argparse

from raysim.api.experiments import result_folder
from raysim.cli.arguments import split_words
from raysim.core.config import parse
from raysim.core.console import duration
from raysim.core.plugins import check_loadable
from raysim.search.options import trial_slots
from raysim.search.running.plan_run import record_seconds
from raysim.search.spaces.files import load_space
from raysim.storage.bucket import copying
from raysim.storage.report import write_report
from raysim.stress.overview import dry_run
from raysim.stress.plan import StressOptions, StressPlan
from raysim.stress.run import stress as run_stress

DEFAULT_SPACES = ("fedrsclip", "safe")
# seeds and minutes; with two seeds a t interval is six times as wide as its error and decides nothing
DEFAULTS: tuple[int, float | None] = (5, None)
QUICK_DEFAULTS = (3, 8.0)


def stress(arguments: argparse.Namespace) -> None:
    """Run the stress suite, and print where its report is."""
    names, changes = split_words(arguments, DEFAULT_SPACES)
    spaces = [load_space(name, changes) for name in names]
    default_seeds, default_minutes = QUICK_DEFAULTS if arguments.quick else DEFAULTS
    options = parse(
        StressOptions,
        {
            "--seeds": default_seeds if arguments.seeds is None else arguments.seeds,
            "--minutes": default_minutes if arguments.minutes is None else arguments.minutes,
            "slots": trial_slots(arguments.workers, spaces[0].base.resources),
            "quick": arguments.quick,
            "cases": tuple(arguments.cases.split(",")) if arguments.cases else (),
        },
    )
    if arguments.dry_run:
        check_loadable()
        print(dry_run(StressPlan(spaces, options)))
        return
    arguments.out = folder = result_folder(arguments.out, "stress", arguments.resume, arguments.quiet)
    with copying(folder):
        plan = run_stress(
            spaces,
            options,
            folder,
            resume=arguments.resume,
            quiet=arguments.quiet,
            command=arguments.command_line,
            started=arguments.started,
        )
        page = write_report(folder)
        record_seconds(folder, plan)
    # a stress may make training diverge: that is a result
    failed = [r for r in plan.finished if r["state"] == "FAIL" and not r["reason"].startswith("diverged")]
    if failed and len(failed) == len(plan.finished):
        raise RuntimeError(f"every trial failed; the first: {failed[0]['label']}: {failed[0]['reason']}")
    if not arguments.quiet:
        left = sum(len(case["not_run"]) for case in plan.cases)
        print(
            f"{len(plan.finished)} trials in {duration(plan.budget.elapsed)}"
            + (f", {left} not run (see the report)" if left else "")
        )
        if failed:
            print(f"{len(failed)} trials failed; the first: {failed[0]['label']}: {failed[0]['reason']}")
        print(f"report: {page}")
