"""The words of a command line as objects: spaces, settings, the experiment, and the folder of its results."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.experiment.effects import refuse_without_effect
from raysim.experiment.records import Experiment
from raysim.search.spaces.files import load_space
from raysim.search.spaces.record import Space
from raysim.storage.files import make_folder

DEFAULT_SPACES = ("fedrsclip",)
RESULTS_FOLDER = Path("results")


def split_words(
    arguments: argparse.Namespace, default: Sequence[str] = DEFAULT_SPACES
) -> tuple[list[str], dict[str, Any]]:
    """The names of the spaces (`default` where none is given), and the settings in their order."""
    spaces = [word for word in arguments.words if "=" not in word]
    changes = dict(parse_assignment(word) for word in arguments.words if "=" in word)
    if arguments.rounds is not None:
        changes["rounds"] = arguments.rounds
    return spaces or list(default), changes


def one_experiment(arguments: argparse.Namespace) -> tuple[Space, Experiment]:
    """The space that is named on the command line, and its base experiment.

    Raises:
        UserError: several spaces are named, or a space or a setting is wrong.
    """
    spaces, changes = split_words(arguments)
    if len(spaces) > 1:
        raise UserError(f"one space is needed, these are {len(spaces)}: {', '.join(spaces)}")
    if arguments.workers is not None:
        changes["resources.workers"] = arguments.workers
    space = load_space(spaces[0], changes, base_only=True)
    refuse_without_effect(space.base, changes, load_space(spaces[0], base_only=True).base)
    return space, space.base


def result_folder(arguments: argparse.Namespace, name: str) -> Path:
    """The result folder: the one given, the newest of this name to resume, or a new one.

    Raises:
        UserError: there is no folder to resume, or the folder cannot be written.
    """
    if arguments.out is None and (arguments.resume or getattr(arguments, "extend", 0)):
        earlier = sorted(RESULTS_FOLDER.glob(f"{name}-{'[0-9]' * 8}-{'[0-9]' * 6}"))
        if not earlier:
            raise UserError(
                f"--resume: there is no {RESULTS_FOLDER}/{name}-* here; name the folder with --out"
            )
        arguments.out = earlier[-1]
    if arguments.out is None:
        arguments.out = RESULTS_FOLDER / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    folder: Path = make_folder(arguments.out)
    return folder
