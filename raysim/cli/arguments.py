"""What commands have in common: the words that name an experiment, and the folder of its results."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.experiment.records import Experiment
from raysim.search.spaces import Space, load_space
from raysim.storage.files import make_folder

DEFAULT_SPACE = "fedrsclip"
RESULTS_FOLDER = Path("results")


def experiment_arguments(parser: argparse.ArgumentParser) -> None:
    """What names an experiment, and how it is run."""
    parser.add_argument(
        "words",
        nargs="*",
        metavar="SPACE|path=value",
        help="a space (default fedrsclip) and overrides such as scenario.alpha=0.1",
    )
    parser.add_argument("--rounds", type=int, help="communication rounds, the same as rounds=R")
    parser.add_argument("--workers", type=int, help="client actors in all")
    parser.add_argument("--quiet", action="store_true", help="say nothing but results and errors")


def split_words(arguments: argparse.Namespace) -> tuple[list[str], dict[str, Any]]:
    """Spaces, and overrides in their order."""
    spaces = [word for word in arguments.words if "=" not in word]
    changes = dict(parse_assignment(word) for word in arguments.words if "=" in word)
    if arguments.rounds is not None:
        changes["rounds"] = arguments.rounds
    return spaces or [DEFAULT_SPACE], changes


def one_experiment(arguments: argparse.Namespace) -> tuple[Space, Experiment]:
    """The space that was named, and its base experiment."""
    spaces, changes = split_words(arguments)
    if len(spaces) > 1:
        raise UserError(f"one space is needed, these are {len(spaces)}: {', '.join(spaces)}")
    if arguments.workers is not None:
        changes["resources.workers"] = arguments.workers
    space = load_space(spaces[0], changes, base_only=True)
    return space, space.base


def result_folder(arguments: argparse.Namespace, name: str) -> Path:
    """The result folder: the one given, the newest of this name to resume, or a new one."""
    if arguments.out is None and (arguments.resume or getattr(arguments, "extend", 0)):
        found = sorted(RESULTS_FOLDER.glob(f"{name}-{'[0-9]' * 8}-{'[0-9]' * 6}"))
        if not found:
            raise UserError(
                f"--resume: there is no {RESULTS_FOLDER}/{name}-* here; name the folder with --out"
            )
        arguments.out = found[-1]
    if arguments.out is None:
        arguments.out = RESULTS_FOLDER / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder: Path = make_folder(arguments.out)
    return folder
