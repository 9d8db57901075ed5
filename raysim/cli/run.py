"""Run."""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

from raysim.cli import inspection
from raysim.cli.arguments import experiment_arguments, one_experiment, result_folder
from raysim.core.console import bar, duration
from raysim.core.errors import UserError
from raysim.core.types import EXTRAS, RESULTS, RoundRecord
from raysim.engines.serial import Serial
from raysim.experiment.records import Experiment
from raysim.simulation.rounds import Simulation
from raysim.storage.files import hold
from raysim.storage.provenance import provenance
from raysim.storage.report import write_report
from raysim.storage.store import Store


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    experiment_arguments(parser)
    parser.add_argument(
        "--engine",
        choices=["serial", "ray"],
        default="ray",
        help="where clients are trained; the result is the same",
    )
    parser.add_argument("--out", type=Path, help="result folder; by default a new one in results/")
    parser.add_argument("--resume", action="store_true", help="go on where the run in --out stopped")
    parser.add_argument(
        "--open-test", action="store_true", help="measure the final model on the test split; this is logged"
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON line")


def _run(arguments: argparse.Namespace) -> None:
    space, experiment = one_experiment(arguments)
    with bar("images and features", arguments.quiet) as progress:
        inspection.check(experiment, progress)
    folder = result_folder(arguments, f"{space.name}-{experiment.id}")
    lock = hold(folder)
    try:
        store = Store(folder, experiment)
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
        print(
            json.dumps(
                {
                    name: None if isinstance(value, float) and math.isnan(value) else value
                    for name, value in result.items()
                }
            )
        )
    elif not arguments.quiet:
        _say_result(experiment, result, page)


def _simulate(experiment: Experiment, folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Run on the chosen engine, with a progress bar; the result."""
    with bar("rounds", arguments.quiet) as progress:
        if arguments.engine == "serial":
            simulation = Simulation(experiment, Serial(), Store(folder, experiment), arguments.resume)
            for record in simulation.rounds():
                progress(record.round, experiment.total_rounds)
            return {**simulation.result(), "test": simulation.open_test() if arguments.open_test else None}
        from raysim.engines import driver, ray_pool

        ray_pool.start(experiment.resources)
        try:
            for item in driver.run_on_ray(experiment, folder, arguments.resume, arguments.open_test):
                if not isinstance(item, RoundRecord):
                    return item
                progress(item.round, experiment.total_rounds)
        finally:
            ray_pool.stop()
    raise RuntimeError("the driver actor ended without a result")


def _say_result(experiment: Experiment, result: dict[str, Any], page: Path) -> None:
    print(
        f"{experiment.method.name}, {experiment.scenario.label}, {experiment.scenario.clients} clients, "
        f"{experiment.total_rounds} rounds, seed {experiment.seed}"
    )
    for name in (*RESULTS, *(name for name in EXTRAS if result[name] is not None)):
        value, test = result[name], (result["test"] or {}).get(name)
        shown = "none" if value is None else f"{100 * value:.1f} %"
        print(f"  {name:24}{shown:>8}" + (f"   test {100 * test:.1f} %" if test is not None else ""))
    print(
        f"  bytes up {result['bytes_up']:,}, down {result['bytes_down']:,}; {result['flops']:.3g} FLOPs; "
        f"{duration(result['seconds'])}"
    )
    print(f"  state_sha256 {result['state_sha256']}")
    print(f"report: {page}")
