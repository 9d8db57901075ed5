"""`raysim run`: simulate one federation, and write and print its result."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raysim.cli.arguments import one_experiment, result_folder
from raysim.cli.inspection import check_experiment, print_left_out
from raysim.core.columns import OPTIONAL_COLUMNS, RESULT_COLUMNS
from raysim.core.console import bar, duration
from raysim.core.errors import UserError
from raysim.core.types import RoundRecord
from raysim.core.words import below_floors, floor_words, image_words, measured_clients, owner_words, percent
from raysim.engines.serial import Serial
from raysim.experiment.overrides import paths, value_at
from raysim.experiment.records import Experiment, to_dict
from raysim.search.running.trackers import RunTracking, check_trackers
from raysim.simulation.images import contents_of, dataset_of
from raysim.simulation.rounds import Simulation
from raysim.storage.files import lock_folder
from raysim.storage.plugin_files import check_plugins, keep_plugins
from raysim.storage.provenance import provenance
from raysim.storage.report import write_report
from raysim.storage.store import Store

OnRound = Callable[[RoundRecord], None]


def run(arguments: argparse.Namespace) -> None:
    """Simulate the federation in its folder, write the report, and print the result."""
    space, experiment = one_experiment(arguments)
    if arguments.track:
        check_trackers(arguments.track)
    contents = contents_of([experiment.task])
    if arguments.resume:  # before features of other images are computed
        folder = result_folder(arguments, f"{space.name}-{experiment.id}")
        Store(folder, experiment).refuse_other_images(contents)
    if not arguments.quiet:
        print_left_out(dataset_of(experiment.task))
    with bar("images and features", arguments.quiet) as progress:
        check_experiment(experiment, progress)
    folder = result_folder(arguments, f"{space.name}-{experiment.id}")
    lock = lock_folder(folder)
    try:
        store = Store(folder, experiment)
        check_plugins(folder, store.described())
        store.open()
        keep_plugins(folder)
        described = store.described()
        if described and not arguments.resume:
            raise UserError(
                f"--out {folder}: holds this run already ({described['status']}); use --resume or choose "
                "another folder"
            )
        store.describe(
            {
                **provenance(arguments.command_line),
                "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "status": "running",
            }
        )
        try:
            result = _simulate(experiment, folder, arguments)
        except BaseException as error:
            store.describe({"status": "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"})
            raise
    finally:
        lock.release()
    page = write_report(folder)
    if arguments.json:
        print(_json_line(result))
    elif not arguments.quiet:
        _print_result(experiment, result, store.described(), page)


def _simulate(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Simulate on the chosen engine, with a progress bar and trackers; returns the result."""
    result: dict[str, Any] | None = None
    tracking = _tracking(experiment, folder, arguments.track)
    with bar("rounds", arguments.quiet) as progress:

        def on_round(record: RoundRecord) -> None:
            progress(record.round, experiment.total_rounds)
            if tracking:
                tracking.log(record)

        try:
            simulate = _simulate_on_ray if arguments.engine == "ray" else _simulate_here
            result = simulate(experiment, folder, arguments, on_round)
            return result
        finally:
            if tracking:
                tracking.end(result)


def _tracking(experiment: Experiment, folder: Path, names: Sequence[str]) -> RunTracking | None:
    """Return the trackers of a run, started; None without any, so that Ray is not imported for nothing."""
    if not names:
        return None
    values = to_dict(experiment)
    return RunTracking(names, folder, folder.name, {path: value_at(values, path) for path in paths(values)})


def _simulate_here(
    experiment: Experiment, folder: Path, arguments: argparse.Namespace, on_round: OnRound
) -> dict[str, Any]:
    """Simulate in this process; returns the result."""
    store = Store(folder, experiment)
    simulation = Simulation(experiment, Serial(experiment.resources), store).open(arguments.resume)
    for record in simulation.rounds():
        on_round(record)
    return {**simulation.result(), "test": simulation.open_test() if arguments.open_test else None}


def _simulate_on_ray(
    experiment: Experiment, folder: Path, arguments: argparse.Namespace, on_round: OnRound
) -> dict[str, Any]:
    """Simulate on Ray's client actors; returns the result."""
    from raysim.engines import driver, ray_pool  # the serial engine needs no Ray

    ray_pool.start(experiment.resources)
    try:
        for item in driver.run_on_ray(experiment, folder, arguments.resume, arguments.open_test):
            if not isinstance(item, RoundRecord):
                return item
            on_round(item)
    finally:
        ray_pool.stop()
    raise RuntimeError("the driver actor ended without a result")


def _json_line(result: dict[str, Any]) -> str:
    """The result as one JSON object; NaN, which JSON does not have, becomes null."""
    return json.dumps(
        {
            name: None if isinstance(value, float) and math.isnan(value) else value
            for name, value in result.items()
        }
    )


def _print_result(
    experiment: Experiment, result: dict[str, Any], described: dict[str, Any], page: Path
) -> None:
    """Print accuracies and the floors under them, costs and the digest of the final state."""
    clients = described["heterogeneity"]["achieved"]["clients"]
    print(
        f"{experiment.method.name}, {experiment.scenario.label}, {clients} clients, "
        f"{experiment.total_rounds} rounds, seed {experiment.seed}"
    )
    print(*(f"  {line}" for line in (image_words(described), *owner_words(described))), sep="\n")
    if left_out := dataset_of(experiment.task).left_out.sentence:
        print(f"  left out: {left_out}")
    for name in (*RESULT_COLUMNS, *(name for name in OPTIONAL_COLUMNS if result[name] is not None)):
        value, test = result[name], (result["test"] or {}).get(name)
        print(f"  {name:24}{percent(value):>8}" + (f"   test {percent(test)}" if test is not None else ""))
    for split, measures in (("", result), ("on test, ", result["test"])):
        if measures:
            said = (
                measured_clients(measures),
                floor_words(measures),
                below_floors(experiment.method.name, measures),
            )
            print(*(f"  {split}{line}" for line in said if line), sep="\n")
    print(
        f"  bytes up {result['bytes_up']:,}, down {result['bytes_down']:,}; {result['flops']:.3g} FLOPs; "
        f"{duration(result['seconds'])}"
    )
    print(f"  state_sha256 {result['state_sha256']}")
    print(f"report: {page}")
