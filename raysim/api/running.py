"""One run in its folder, from the check before it to its report: what `raysim run` and `raysim.run` share."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from raysim.core.console import bar
from raysim.core.errors import DamagedFile, UserError, first_cause
from raysim.core.types import RoundRecord
from raysim.engines.serial import Serial
from raysim.experiment.overrides import paths, value_at
from raysim.experiment.records import Experiment, to_dict
from raysim.search.running.trackers import RunTracking, check_trackers
from raysim.simulation.datasets import refresh
from raysim.simulation.federation import Federation
from raysim.simulation.images import Progress, contents_of, prepare
from raysim.simulation.remarks import print_remarks
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import try_method
from raysim.storage.bucket import copying
from raysim.storage.files import lock_folder, write_record
from raysim.storage.plugin_files import check_plugins, keep_plugins
from raysim.storage.provenance import provenance
from raysim.storage.report import write_report
from raysim.storage.store import Store

OnRound = Callable[[RoundRecord], object]


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """How a run is carried out; none of it changes a number.

    Attributes:
        engine: Where clients are trained.
        resume: Whether to go on with the run that the folder holds.
        reuse: Whether a finished run of this experiment in the folder is read in place of a new one.
        open_test: Whether the final model is measured on the test split, too.
        quiet: Whether to show no progress.
        command: The command line that does the same, for run.json.
        track: Trackers that rounds and the result are logged to as well.
        on_round: Called with the record of every round; None: nothing.
    """

    engine: Literal["serial", "ray"]
    resume: bool = False
    reuse: bool = False
    open_test: bool = False
    quiet: bool = False
    command: str = ""
    track: tuple[str, ...] = ()
    on_round: OnRound | None = None


def run_in_folder(experiment: Experiment, folder: Path, options: RunOptions) -> tuple[dict[str, Any], Path]:
    """Simulate a federation in its folder and write the report.

    Returns:
        The result (see `plain_summary`), and the page of the report.

    Raises:
        UserError: What a user can correct, before any work starts.
        KeyboardInterrupt: The user interrupted; every finished round is on disk.
    """
    if options.track:
        check_trackers(options.track)
    if options.engine == "ray":
        from raysim.engines import ray_session  # the serial engine needs no Ray

        ray_session.check_cluster()
    with copying(folder):
        return _run_in_folder(experiment, folder, options)


def _run_in_folder(experiment: Experiment, folder: Path, options: RunOptions) -> tuple[dict[str, Any], Path]:
    refresh()
    contents = contents_of([experiment.task])
    if options.resume:  # before features of other images are computed
        Store(folder, experiment).refuse_other_images(contents)
    if not options.quiet:
        print_remarks([experiment])
    with bar("images and features", options.quiet) as progress:
        check_experiment(experiment, progress)
    lock = lock_folder(folder)
    try:
        store = Store(folder, experiment)
        check_plugins(folder, store.described())
        store.open()
        keep_plugins(folder)
        described = store.described()
        if options.reuse and store.finished:
            result = _last(_serial_items(experiment, folder, options), options, experiment)
        elif described and not options.resume:
            raise UserError(
                f"--out {folder}: holds this run already ({described['status']}); use --resume or choose "
                "another folder"
            )
        else:
            result = _new_result(experiment, store, options)
    finally:
        lock.release()
    return result, write_report(folder)


def check_experiment(experiment: Experiment, progress: Progress) -> None:
    """Check before any work what a user may have got wrong: data, weights, the scenario, the method.

    Raises:
        UserError: What is wrong, and how to correct it.
    """
    Federation.of(experiment)
    prepare([experiment], progress)
    try_method(experiment)


def plain_summary(result: dict[str, Any]) -> dict[str, Any]:
    """Return the result that `raysim run --json` prints; NaN, which JSON does not have, becomes None."""
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in result.items()
    }


def _new_result(experiment: Experiment, store: Store, options: RunOptions) -> dict[str, Any]:
    """Run the rounds that are left; `run.json` says how it ended; it stays where a file is refused."""
    before = store.described()
    store.describe(
        {
            **provenance(options.command),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "status": "running",
        }
    )
    items = {"serial": _serial_items, "ray": _ray_items}[options.engine]
    tracking, result = _tracking(experiment, store.folder, options.track), None
    try:
        # closed here, so that what comes while Ray ends is raised, and not printed by the garbage collector
        with contextlib.closing(items(experiment, store.folder, options)) as coming:
            result = _last(_tracked(coming, tracking), options, experiment)
        return result
    except BaseException as error:
        if before and isinstance(first_cause(error), DamagedFile):
            write_record(store.folder, before)
        else:
            store.describe({"status": "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"})
        raise
    finally:
        if tracking is not None:
            tracking.end(result)


def _tracking(experiment: Experiment, folder: Path, names: Sequence[str]) -> RunTracking | None:
    """Return the trackers of a run, started; None without any, so that Ray is not imported for nothing."""
    if not names:
        return None
    values = to_dict(experiment)
    return RunTracking(names, folder, folder.name, {path: value_at(values, path) for path in paths(values)})


def _tracked(items: Iterator[RoundRecord | dict[str, Any]], tracking: RunTracking | None) -> Iterator[Any]:
    """Pass on what comes, and log the rounds."""
    for item in items:
        if tracking is not None and isinstance(item, RoundRecord):
            tracking.log(item)
        yield item


def _last(
    items: Iterator[RoundRecord | dict[str, Any]], options: RunOptions, experiment: Experiment
) -> dict[str, Any]:
    """Show and pass on every round; returns the result that comes after them."""
    with bar("rounds", options.quiet) as progress:
        for item in items:
            if not isinstance(item, RoundRecord):
                return item
            progress(item.round, experiment.total_rounds)
            if options.on_round is not None:
                options.on_round(item)
    raise RuntimeError("the run ended without a result")


def _serial_items(
    experiment: Experiment, folder: Path, options: RunOptions
) -> Generator[RoundRecord | dict[str, Any]]:
    """Yield each round as it comes, then the result, in this process."""
    store = Store(folder, experiment)
    simulation = Simulation(experiment, Serial(experiment.resources), store).open(options.resume)
    yield from simulation.rounds()
    yield {**simulation.result(), "test": simulation.open_test() if options.open_test else None}


def _ray_items(
    experiment: Experiment, folder: Path, options: RunOptions
) -> Generator[RoundRecord | dict[str, Any]]:
    """Yield each round as it comes, then the result, on Ray's client actors."""
    from raysim.engines import driver, library, ray_pool  # the serial engine needs no Ray

    with ray_pool.session(experiment.resources), library.spoken(options.quiet):
        yield from driver.run_on_ray(experiment, folder, options.resume, options.open_test)
