"""The commands and their options. Nothing heavy is imported, so that help and errors come at once."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from raysim.cli.data_options import add_data_options
from raysim.cli.plugin_options import check_options, explain_options, new_options
from raysim.cli.predict_options import export_options, predict_options
from raysim.cli.shared_options import (
    add_node_options,
    dry_run_option,
    experiment_options,
    folder_options,
    track_option,
    user_path,
    workers_of_all_trials,
)
from raysim.core.columns import RESULT_COLUMNS

OBJECTIVE = "acc_personal_own"
OLD_RUN = "DIR/config.json of an earlier run"


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command: a line that says what it does, its options, and the function that carries it out.

    Args:
        summary: What the command does, for the help.
        add_options: Declares the options on a parser.
        home: Module and name of the function that carries the command out, as `"run:run"`: it lies in this
            room and is imported when the command is called.
    """

    summary: str
    add_options: Callable[[argparse.ArgumentParser], None]
    home: str

    def load(self) -> Callable[[argparse.Namespace], None]:
        """Import the function that carries the command out."""
        module, _, name = self.home.partition(":")
        gc.disable()  # what is imported stays, and looking for garbage in it takes an eighth of the time
        try:
            room = import_module(f"raysim.cli.{module}")
        finally:
            gc.enable()
        function: Callable[[argparse.Namespace], None] = getattr(room, name)
        return function


def _run(parser: argparse.ArgumentParser) -> None:
    space = "a search space, which names a method and its data (default: fedrsclip)"
    experiment_options(parser, f"{OLD_RUN}, or {space}")
    parser.add_argument(
        "--workers", type=int, metavar="W", help="number of client actors, the same as resources.workers=W"
    )
    parser.add_argument(
        "--engine",
        choices=["serial", "ray"],
        default="ray",
        help="where clients are trained; the result is the same (default: %(default)s)",
    )
    folder_options(parser, "run")
    parser.add_argument(
        "--open-test",
        action="store_true",
        help="also measure the final model on the test split; the opening is logged",
    )
    parser.add_argument("--json", action="store_true", help="print the result as one JSON line")
    track_option(parser, "rounds")


def _sweep(parser: argparse.ArgumentParser) -> None:
    experiment_options(parser, "one or more search spaces or recipes (default: fedrsclip)")
    workers_of_all_trials(parser)
    _size_of_a_sweep(parser)
    _search(parser)
    folder_options(parser, "sweep")
    parser.add_argument(
        "--extend",
        type=int,
        default=0,
        metavar="N",
        help="run N more search trials per study in the finished sweep in --out",
    )
    dry_run_option(parser)
    track_option(parser, "trials")


def _size_of_a_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trials",
        type=int,
        metavar="N",
        help="search trials per method and scenario (default: as many as fit into --minutes)",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="time limit from the start of the command to the end of its report; with --resume, of all its "
        "starts together (default: the sum of the spaces' limits, unless --trials is given)",
    )
    parser.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="seeds per trial, the same for all trials (default: the space's own number; with --design 2)",
    )
    parser.add_argument(
        "--no-contrasts",
        action="store_true",
        help="search only, without first changing one choice at a time from the paper's values",
    )


def _search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--search",
        default="tpe",
        metavar="NAME",
        help="search algorithm: tpe, gp (Gaussian process), qmc (Sobol sequence), random or grid (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--objectives",
        default=OBJECTIVE,
        metavar="NAMES",
        help="objectives of the search, separated by commas, such as acc_personal_own,bytes_up; the first "
        "one decides, several give a Pareto front (default: %(default)s)",
    )
    parser.add_argument(
        "--constraint",
        action="append",
        default=[],
        metavar="LIMIT",
        help="limit that the chosen configuration must meet, in quotes, such as 'bytes_up<=2e6' or "
        "'worst_client_accuracy>=0.3'; can be repeated; it guides tpe and gp",
    )
    parser.add_argument(
        "--race",
        type=int,
        default=4,
        metavar="SEEDS",
        help="repeat the best configurations on up to this many more seeds, to decide between them; 0: no "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--design",
        choices=["sobol", "morris"],
        help="measure how much each setting matters, by a design of --budget trials, instead of a search",
    )
    parser.add_argument(
        "--budget",
        type=int,
        default=0,
        metavar="N",
        help="trials of --design in each study; a number that is too small is refused with the smallest "
        "possible one",
    )


def _stress(parser: argparse.ArgumentParser) -> None:
    experiment_options(parser, "one or more search spaces (default: fedrsclip and safe)")
    workers_of_all_trials(parser)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="two or three levels per case and small federations: less than 10 minutes on 2 cores",
    )
    parser.add_argument(
        "--cases",
        metavar="NAMES",
        help="cases to run, separated by commas, such as dirichlet,corrupt_nan (default: all)",
    )
    parser.add_argument("--seeds", type=int, metavar="N", help="seeds per trial (default: 5, with --quick 3)")
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="N",
        help="time limit from the start of the command to the end of its report; with --resume, of all its "
        "starts together (default: with --quick 8, else only the time limits of the cases)",
    )
    folder_options(parser, "stress run")
    dry_run_option(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folder",
        type=user_path,
        metavar="DIR",
        help="folder of a run, a sweep or a stress run, finished or not",
    )
    parser.add_argument(
        "--serve",
        action="store_true",
        help="serve the report on this machine until Ctrl-C: print a link at once, and write the report "
        "again whenever its tables change",
    )
    parser.add_argument(
        "--port", type=int, metavar="N", help="port of --serve on 127.0.0.1 (default: a free one)"
    )


def _compare(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A and B are paired by seed; sweeps are also paired by scenario. The verdict is about A minus B: "
        "ahead, behind, level (the difference is shown to be less than one point) or undecided. The test "
        "split is used if it was opened in both results, the validation split otherwise. Nothing is written."
    )
    parser.add_argument(
        "a",
        metavar="A",
        help="the folder of a run, a folder of runs that differ in their seed, the folder of a sweep, or "
        "SWEEP:LABEL for one entry of a sweep, such as results/rivals:fedrsclip",
    )
    parser.add_argument("b", metavar="B", help="the other result, named in the same way")
    parser.add_argument(
        "--metric",
        choices=RESULT_COLUMNS,
        default=OBJECTIVE,
        metavar="METRIC",
        help="metric of the verdict: acc_{personal,shared}_{own,global}, worst_client_accuracy or "
        "p10_client_accuracy (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON line instead")


def _plan(parser: argparse.ArgumentParser) -> None:
    experiment_options(parser, f"{OLD_RUN}, or a search space (default: fedrsclip)")
    parser.add_argument(
        "--workers", type=int, metavar="W", help="number of client actors, the same as resources.workers=W"
    )
    add_node_options(parser)


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--out",
        type=user_path,
        metavar="DIR",
        default=Path("results"),
        help="on a cluster: whether its nodes see this result folder, and its free space (default: results)",
    )


COMMANDS = {
    "run": Command(summary="simulate one federation", add_options=_run, home="run:run"),
    "sweep": Command(
        summary="tune a method under several data splits, or run a recipe",
        add_options=_sweep,
        home="sweep:sweep",
    ),
    "stress": Command(
        summary="make the task harder, case by case, until the methods break",
        add_options=_stress,
        home="stress:stress",
    ),
    "report": Command(
        summary="write DIR/report/index.html from the result files in DIR, or serve it",
        add_options=_report,
        home="report:report",
    ),
    "predict": Command(
        summary="classify images with what a run learned",
        add_options=predict_options,
        home="predict:predict",
    ),
    "compare": Command(
        summary="decide which of two results is better, from their files",
        add_options=_compare,
        home="results:compare",
    ),
    "export": Command(
        summary="write a sweep for Optuna or as CSV files, or a model as TorchScript or ONNX",
        add_options=export_options,
        home="results:export",
    ),
    "data": Command(
        summary="list the datasets, or check one", add_options=add_data_options, home="datasets:datasets"
    ),
    "plan": Command(
        summary="predict what an experiment costs: parameters, bytes, FLOPs, seconds",
        add_options=_plan,
        home="plan:plan",
    ),
    "explain": Command(
        summary="say what a setting, method or scenario is",
        add_options=explain_options,
        home="explain:explain",
    ),
    "new": Command(
        summary="write a file for a method, scenario, dataset or space of your own",
        add_options=new_options,
        home="new:new",
    ),
    "check": Command(
        summary="check a file of your own: methods, scenarios, datasets, networks, a space",
        add_options=check_options,
        home="check:check",
    ),
    "doctor": Command(
        summary="show what raysim finds on this machine, and on the nodes of a cluster",
        add_options=_doctor,
        home="doctor:doctor",
    ),
}
