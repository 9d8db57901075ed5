"""The command line. Results go to standard output, everything said to people to standard error.

Exit status: 0 done, 2 a user's mistake (one clear message), 1 a failure, 130 interrupted (everything finished
is on disk).
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from raysim.cli import inspection
from raysim.cli.arguments import experiment_arguments, one_experiment
from raysim.cli.results import (
    _compare,
    _compare_arguments,
    _export,
    _export_arguments,
    _report,
    _report_arguments,
)
from raysim.cli.run import _run, _run_arguments
from raysim.cli.stress import stress, stress_arguments
from raysim.cli.sweep import sweep, sweep_arguments
from raysim.core.config import suggest
from raysim.core.console import bar
from raysim.core.errors import UserError, first_cause

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
        again = (
            f"{arguments.command_line.removesuffix(f' --out {out}')} --out {out} --resume"
            if out
            else "the same command"
        )
        print(f"\nraysim: interrupted; everything finished is on disk. To go on: {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("RAYSIM_DEBUG"):
            raise
        cause = first_cause(error)
        print(
            f"raysim: failed: {type(cause).__name__}: {cause}\n(RAYSIM_DEBUG=1 shows the traceback)",
            file=sys.stderr,
        )
        return 1
    return 0


def _command(words: Sequence[str]) -> tuple[Command, argparse.ArgumentParser]:
    parsers: dict[str, tuple[Command, Callable[[argparse.ArgumentParser], None], str]] = {
        "run": (_run, _run_arguments, "simulate one federation"),
        "sweep": (sweep, sweep_arguments, "search a space over its scenarios, or run a recipe"),
        "stress": (stress, stress_arguments, "raise the stress case by case until methods break"),
        "report": (_report, _report_arguments, "write DIR/report/index.html from the files in DIR"),
        "compare": (
            _compare,
            _compare_arguments,
            "the paired verdict between two runs or sweeps, from their files",
        ),
        "export": (_export, _export_arguments, "a sweep as an Optuna journal or a CSV file"),
        "data": (_data, _data_arguments, "list the datasets, or check one"),
        "plan": (
            _plan,
            experiment_arguments,
            "what an experiment would cost: parameters, bytes, FLOPs, seconds",
        ),
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
    parser = _Parser(
        prog=f"raysim {name}",
        description=text,
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add(parser)
    return call, parser


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=["list", "check"])
    parser.add_argument("name", nargs="?", help="a dataset, or several joined by '+'")
    parser.add_argument("--path", help="its folder; otherwise $RAYSIM_DATA/NAME")
    parser.add_argument(
        "--backbone", default="scenes-clip", help="whose vocabulary the class words are checked against"
    )
    parser.add_argument("--backbone-path", help="a local weight file")
    parser.add_argument("--sheet", type=Path, help="write a contact sheet of the images to this PNG")


def _data(arguments: argparse.Namespace) -> None:
    if arguments.action == "list":
        inspection.say_catalogue()
        return
    if not arguments.name:
        raise UserError("raysim data check needs a name; `raysim data list` shows them")
    inspection.say_dataset(
        arguments.name, arguments.path, arguments.backbone, arguments.backbone_path, arguments.sheet
    )


def _plan(arguments: argparse.Namespace) -> None:
    _, experiment = one_experiment(arguments)
    with bar("images and features", arguments.quiet) as progress:
        inspection.check(experiment, progress)
    inspection.say_plan(experiment)


def _doctor(arguments: argparse.Namespace) -> None:
    inspection.say_machine()
