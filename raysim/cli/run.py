"""`raysim run`: simulate one federation, and write and print its result."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from raysim.api.experiments import result_folder
from raysim.api.running import RunOptions, plain_summary, run_in_folder
from raysim.cli.arguments import one_experiment
from raysim.core.columns import OPTIONAL_COLUMNS, RESULT_COLUMNS
from raysim.core.console import duration
from raysim.core.words import (
    below_floors,
    floor_words,
    image_words,
    measured_clients,
    owner_words,
    percent,
    predict_words,
)
from raysim.experiment.records import Experiment
from raysim.simulation.datasets import dataset_of
from raysim.storage.files import read_record


def run(arguments: argparse.Namespace) -> None:
    """Simulate the federation in its folder, write the report, and print the result."""
    name, experiment = one_experiment(arguments)
    arguments.out = result_folder(arguments.out, f"{name}-{experiment.id}", arguments.resume, arguments.quiet)
    options = RunOptions(
        engine=arguments.engine,
        resume=arguments.resume,
        open_test=arguments.open_test,
        quiet=arguments.quiet,
        command=arguments.command_line,
        track=tuple(arguments.track),
    )
    result, page = run_in_folder(experiment, arguments.out, options)
    if arguments.json:
        print(json.dumps(plain_summary(result)))
    elif not arguments.quiet:
        _print_result(experiment, result, read_record(arguments.out), page)


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
        f"{duration(result['seconds'])} in rounds"
    )
    print(f"  state_sha256 {result['state_sha256']}")
    print(f"report: {page}\npredict: {predict_words(page.parents[1])}")
