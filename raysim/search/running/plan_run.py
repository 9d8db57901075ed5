"""Run of a plan in a result folder: the steps that a sweep and a stress run have in common."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich.table import Table

from raysim.core.console import Panel
from raysim.engines import ray_session
from raysim.search.plans.protocol import Plan
from raysim.search.running.trackers import trackers
from raysim.search.running.tune import execute
from raysim.storage.files import lock_folder, open_or_resume, read_record, write_record
from raysim.storage.plugin_files import check_plugins, keep_plugins
from raysim.storage.provenance import provenance
from raysim.storage.trials import TrialRow, read_trials

CONFIDENCE = 0.9  # coverage of the report's intervals

P = TypeVar("P", bound=Plan)


@dataclass(frozen=True, kw_only=True)
class PlanSetup(Generic[P]):
    """Differences between a sweep and a stress run.

    Attributes:
        new_record: What `run.json` of a new folder holds: id, kind, spaces, title.
        identity: In words, what gives another id.
        make_plan: Takes `run.json` and the rows on disk, returns the plan.
        prepare: Checks what would fail in every trial, computes the features, and returns what `run.json`
            says about the plan.
        panel: Returns what a terminal shows.
        status_line: Returns one line for a log.
        refreshes_report: Whether the report is written while trials run.
    """

    new_record: Mapping[str, Any]
    identity: str
    make_plan: Callable[[Mapping[str, Any], list[TrialRow]], P]
    prepare: Callable[[P], Mapping[str, Any]]
    panel: Callable[[P], Table]
    status_line: Callable[[P], str]
    refreshes_report: bool = True


def run_plan(
    setup: PlanSetup[P],
    folder: Path,
    *,
    resume: bool,
    quiet: bool,
    command: str,
    started: float,
    track: Sequence[str] = (),
) -> P:
    """Run a plan to its end and leave its folder complete, but for the last report.

    Args:
        setup: The sweep or stress run.
        folder: The result folder.
        resume: Whether to go on with what the folder holds.
        quiet: Whether to show no progress.
        command: The command line.
        started: `time.monotonic()` at the start of the command; the time limit counts from there.
        track: Names of Ray's trackers that write too.

    Returns:
        The plan, with all its rows.

    Raises:
        UserError: Before Ray starts, for anything that a user can correct; a damaged part of the results too.
        KeyboardInterrupt: The user interrupted; everything finished is on disk.
    """
    ray_session.check_cluster()
    callbacks = trackers(track, folder)
    lock = lock_folder(folder)
    try:
        check_plugins(folder, read_record(folder))
        record = open_or_resume(folder, setup.new_record, identity=setup.identity, resume=resume)
        plan = setup.make_plan(record, read_trials(folder, damaged="refuse").rows)
        plan.budget.count_from(started, float(record.get("seconds", 0.0)))
        facts = setup.prepare(plan)
        record = {
            **record,
            **provenance(command),
            "status": "running",
            "slots": plan.options.slots,
            "minutes": plan.options.minutes,
            "confidence": CONFIDENCE,
            "started": record.get("started") or time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            **facts,
        }
        keep_plugins(folder)
        panel = Panel(lambda: setup.panel(plan), lambda: setup.status_line(plan), quiet)
        execute(plan, folder, record, panel, refresh=setup.refreshes_report, callbacks=callbacks)
        return plan
    finally:
        lock.release()


def record_seconds(folder: Path, plan: Plan) -> None:
    """Write the seconds that a run has taken to `run.json`, once its last report is written."""
    write_record(folder, {**read_record(folder), "seconds": plan.budget.elapsed})
