"""The words of a command line as objects: spaces, settings, the experiment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from raysim.api.experiments import DEFAULT_SPACE, experiment_of
from raysim.core.config import parse_assignment
from raysim.core.errors import UserError
from raysim.experiment.records import Experiment


def split_words(
    arguments: argparse.Namespace, default: Sequence[str] = (DEFAULT_SPACE,)
) -> tuple[list[str], dict[str, Any]]:
    """The names of the spaces (`default` where none is given), and the settings in their order."""
    spaces = [word for word in arguments.words if "=" not in word]
    changes = dict(parse_assignment(word) for word in arguments.words if "=" in word)
    if arguments.rounds is not None:
        changes["rounds"] = arguments.rounds
    return spaces or list(default), changes


def one_experiment(arguments: argparse.Namespace) -> tuple[str, Experiment]:
    """The experiment that the command line asks for, and a name for its folder.

    Raises:
        UserError: several spaces are named, or a space, a file or a setting is wrong.
    """
    names, changes = split_words(arguments)
    if len(names) > 1:
        raise UserError(f"one space is needed, these are {len(names)}: {', '.join(names)}")
    if arguments.workers is not None:
        changes["resources.workers"] = arguments.workers
    return experiment_of(names[0], changes)
