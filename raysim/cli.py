"""The command line. Results go to standard output, everything said to people to standard error.

Exit status: 0 done, 2 a user's mistake (one clear message), 1 a failure, 130 interrupted (everything finished is on disk).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table

from raysim import inspection
from raysim.arguments import experiment_arguments, one_experiment, result_folder
from raysim.cli_sweep import stress, stress_arguments, sweep, sweep_arguments
from raysim.config import UserError, first_cause, suggest
from raysim.console import bar, duration, output
from raysim.experiment import Experiment
from raysim.provenance import provenance
from raysim.reports import compare, write_report
from raysim.simulate import EXTRAS, RESULTS, Serial, Simulation
from raysim.store import Store, hold
from raysim.types import RoundRecord

PAPER = 160  # columns that a table may take where it is not printed to a terminal

Command = Callable[[argparse.Namespace], None]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Any:
        raise UserError(f"{message}\n{self.format_usage().strip()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    arguments = argparse.Namespace()
    try:
        call, parser = _command(words)
        arguments = parser.parse_intermixed_args(words[1:])
        arguments.command_line = shlex.join(["raysim", *words])
        call(arguments)
    except UserError as error:
        print(f"raysim: {first_cause(error)}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        out = getattr(arguments, "out", None)
        again = f"{arguments.command_line.removesuffix(f' --out {out}')} --out {out} --resume" if out else "the same command"
        print(f"\nraysim: interrupted; everything finished is on disk. To go on: {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("RAYSIM_DEBUG"):
            raise
        cause = first_cause(error)
        print(f"raysim: failed: {type(cause).__name__}: {cause}\n(RAYSIM_DEBUG=1 shows the traceback)", file=sys.stderr)
        return 1
    return 0


def _command(words: Sequence[str]) -> tuple[Command, argparse.ArgumentParser]:
    parsers: dict[str, tuple[Command, Callable[[argparse.ArgumentParser], None], str]] = {
        "run": (_run, _run_arguments, "simulate one federation"),
        "sweep": (sweep, sweep_arguments, "search a space over its scenarios, or run a recipe"),
        "stress": (stress, stress_arguments, "raise the stress case by case until methods break"),
        "report": (_report, _report_arguments, "write DIR/report/index.html from the files in DIR"),
        "compare": (_compare, _compare_arguments, "the paired verdict between two runs or sweeps, from their files"),
        "export": (_export, _export_arguments, "a sweep as an Optuna journal or a CSV file"),
        "data": (_data, _data_arguments, "list the datasets, or check one"),
        "plan": (_plan, experiment_arguments, "what an experiment would cost: parameters, bytes, FLOPs, seconds"),
        "doctor": (_doctor, lambda parser: None, "what this machine has"),
    }
    name = words[0] if words else "--help"
    if name in ("-h", "--help"):
        print("raysim: federated learning for remote sensing, simulated on Ray\n")
        for command, (_, _, text) in parsers.items():
            print(f"  raysim {command:8}{text}")
        print("\nraysim COMMAND --help says more. No arguments at all to `raysim sweep` is a good first run.")
        raise SystemExit(0)
    if name not in parsers:
        raise UserError(f"unknown command '{name}'{suggest(name, list(parsers))} Known: {', '.join(parsers)}")
    call, add, text = parsers[name]
    parser = _Parser(prog=f"raysim {name}", description=text, allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add(parser)
    return call, parser


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    experiment_arguments(parser)
    parser.add_argument("--engine", choices=["serial", "ray"], default="ray", help="where clients are trained; the result is the same")
    parser.add_argument("--out", type=Path, help="result folder; by default a new one in results/")
    parser.add_argument("--resume", action="store_true", help="go on where the run in --out stopped")
    parser.add_argument("--open-test", action="store_true", help="measure the final model on the test split; this is logged")
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
            raise UserError(f"--out {folder}: holds this run already ({described['status']}); use --resume or choose another folder")
        store.describe({**provenance(arguments.command_line), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "status": "running"})
        try:
            result = _simulate(experiment, folder, arguments)
        except BaseException as error:
            store.describe({"status": "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"})
            raise
    finally:
        lock.release()
    page = write_report(folder)
    if arguments.json:
        print(json.dumps({name: None if isinstance(value, float) and math.isnan(value) else value for name, value in result.items()}))
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
        from raysim import ray_pool

        ray_pool.start(experiment.resources)
        try:
            for item in ray_pool.run_on_ray(experiment, folder, arguments.resume, arguments.open_test):
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
    print(f"  bytes up {result['bytes_up']:,}, down {result['bytes_down']:,}; {result['flops']:.3g} FLOPs; {duration(result['seconds'])}")
    print(f"  state_sha256 {result['state_sha256']}")
    print(f"report: {page}")


def _report_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a run or a sweep, finished or not")


def _report(arguments: argparse.Namespace) -> None:
    print(f"report: {write_report(arguments.folder)}")


def _compare_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A and B are paired by seed, and by scenario where they are sweeps; the verdict is on A minus B: ahead, behind, level (shown to "
        "differ by less than a point) or undecided. On the test split where both opened it, else on validation. Nothing is written."
    )
    kinds = "a run's folder, a folder of runs that differ in their seed, a sweep's folder, or SWEEP:LABEL for one entry of a sweep"
    parser.add_argument("a", metavar="A", help=f"{kinds}, such as results/rivals:fedrsclip")
    parser.add_argument("b", metavar="B", help="likewise")
    metrics = "what the verdict is on: acc_{personal,shared}_{own,global}, worst_client_accuracy or p10_client_accuracy"
    parser.add_argument("--metric", choices=RESULTS, default="acc_personal_own", metavar="METRIC", help=metrics)
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")


def _compare(arguments: argparse.Namespace) -> None:
    found = compare(arguments.a, arguments.b, arguments.metric)
    if arguments.json:
        print(json.dumps(found.json()))
        return
    print("\n".join([found.sentence, *found.basis]))
    paper = output()
    paper.width = max(paper.width, PAPER)
    for title, head, rows in found.tables():
        table = Table(box=None, pad_edge=False, title=f"\n{escape(title)}", title_justify="left", title_style="bold")
        for name in head:
            table.add_column(name, justify="right" if name else "left", no_wrap=True)
        for row in rows:
            table.add_row(*map(escape, row))
        paper.print(table)
    said = ["The configurations differ in (A | B)", *found.differing] if found.differing else ["The configurations do not differ."]
    print("\n" + "\n  ".join(said))
    for warning in found.warnings:
        print(f"warning: {warning}")


def _export_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="the folder of a sweep, finished or not")
    parser.add_argument("--to", choices=["optuna", "csv"], required=True, help="an Optuna journal (JournalStorage), or one row per trial")
    parser.add_argument("--out", type=Path, help="the file to write; by default DIR/optuna.journal or DIR/trials.csv")


def _export(arguments: argparse.Namespace) -> None:
    from raysim.export import export

    print(export(arguments.folder, arguments.to, arguments.out))


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["list", "check"])
    parser.add_argument("name", nargs="?", help="a dataset, or several joined by '+'")
    parser.add_argument("--path", help="its folder; otherwise $RAYSIM_DATA/NAME")
    parser.add_argument("--backbone", default="scenes-clip", help="whose vocabulary the class words are checked against")
    parser.add_argument("--backbone-path", help="a local weight file")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of the images to this PNG")


def _data(arguments: argparse.Namespace) -> None:
    if arguments.action == "list":
        inspection.say_catalogue()
        return
    if not arguments.name:
        raise UserError("raysim data check needs a name; `raysim data list` shows them")
    inspection.say_dataset(arguments.name, arguments.path, arguments.backbone, arguments.backbone_path, arguments.sheet)


def _plan(arguments: argparse.Namespace) -> None:
    _, experiment = one_experiment(arguments)
    with bar("images and features", arguments.quiet) as progress:
        inspection.check(experiment, progress)
    inspection.say_plan(experiment)


def _doctor(arguments: argparse.Namespace) -> None:
    inspection.say_machine()
