"""What a user names, as an experiment: a space, a run's folder or config.json, a record, overrides."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from raysim.core.config import parse_value
from raysim.core.errors import UserError
from raysim.experiment.effects import refuse_without_effect
from raysim.experiment.overrides import names_first, override
from raysim.experiment.records import Experiment
from raysim.search.spaces.files import is_run, load_space
from raysim.storage.address import address_of, copied_to, local_name
from raysim.storage.bucket import Bucket
from raysim.storage.config_file import read_experiment

DEFAULT_SPACE = "fedrsclip"
RESULTS_FOLDER = Path("results")


def experiment_of(what: str | Path | Experiment, changes: Mapping[str, Any]) -> tuple[str, Experiment]:
    """Return an experiment and a name for its folder: the space's, else the method's.

    Args:
        what: The name of a space or a path to one, whose base is taken; a run's folder or its config.json; or
            an experiment.
        changes: Overrides on top.

    Raises:
        UserError: The space, the file or a setting is wrong, or a setting has no effect.
    """
    if isinstance(what, Experiment) or is_run(what):
        base = what if isinstance(what, Experiment) else read_experiment(Path(what).expanduser())
        experiment = override(base, names_first(changes))
        name = experiment.method.name
    else:
        space = load_space(str(what), changes, base_only=True)
        base = load_space(str(what), base_only=True).base
        experiment, name = space.base, space.name
    refuse_without_effect(experiment, changes, base)
    return name, experiment


def result_folder(out: str | Path | None, name: str, goes_on: bool, quiet: bool = False) -> Path:
    """Return the result folder: the one given, the newest of this name to go on with, or a new one.

    That of an address in a bucket is a folder in `results/`, with what the address holds.

    Args:
        out: The folder or the address that the user gave; None: a folder in `results/`.
        name: How a folder in `results/` begins.
        goes_on: Whether an earlier result is resumed or extended.
        quiet: Whether not to say which folder is copied to which address.

    Raises:
        UserError: There is no folder to go on with, or the address cannot be used.
    """
    if out is not None:
        given = address_of(out)
        folder = RESULTS_FOLDER / local_name(given) if given else Path(out).expanduser()
        if address := given or copied_to(folder):
            Bucket(folder, address).open()
            if not quiet:
                print(f"raysim: results are written to {folder} and copied to {address}", file=sys.stderr)
        return folder
    if not goes_on:
        return RESULTS_FOLDER / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    earlier = sorted(RESULTS_FOLDER.glob(f"{name}-{'[0-9]' * 8}-{'[0-9]' * 6}"))
    if not earlier:
        raise UserError(f"--resume: there is no {RESULTS_FOLDER}/{name}-* here; name the folder with --out")
    return earlier[-1]


def command_words(command: str, names: Sequence[str], changes: Mapping[str, Any], **options: Any) -> str:
    """Return the command line that does the same as a call in Python, for run.json and the report."""
    words = ["raysim", command, *names]
    words += [f"{path}={value_text(value)}" for path, value in changes.items()]
    for name, value in options.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value is not None and value is not False:
            values = value if isinstance(value, list | tuple) else [value]
            words += [word for each in values for word in (option, str(each))]
    return shlex.join(words)


def value_text(value: Any) -> str:
    """Return a value as it is written on the command line; `parse_value` is the reverse."""
    return value if isinstance(value, str) and parse_value(value) == value else json.dumps(value, default=str)
