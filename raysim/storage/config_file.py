"""Reader of a run's config.json: the experiment of a run goes back into a new one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from raysim.core import plugins
from raysim.core.errors import UserError, why_unreadable
from raysim.experiment.records import Experiment, from_dict
from raysim.storage.files import read_record
from raysim.storage.plugin_files import kept_path

CONFIG = "config.json"


def read_experiment(place: Path) -> Experiment:
    """Return the experiment of a run.

    Args:
        place: A run's folder, or its config.json.

    Raises:
        UserError: There is no such file, it is damaged or of another program, or a value in it is wrong; the
            message names the file and the field.
    """
    path = place / CONFIG if place.is_dir() else place
    values = _read(place, path)
    experiment = values.get("experiment") if isinstance(values, dict) else None
    if not isinstance(experiment, dict):
        kind = (
            f"its fields are {', '.join(values) or 'none'}" if isinstance(values, dict) else "it is no object"
        )
        raise UserError(f"{path}: is no {CONFIG} of a run: it needs the field 'experiment' ({kind[:200]})")
    try:
        return from_dict(experiment)
    except UserError as error:
        raise UserError(f"{path}: {error}{_missing_plugins(path.parent)}") from None


def _read(place: Path, path: Path) -> Any:
    """Return what a JSON file holds."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}: is damaged: {error.msg} in line {error.lineno}, column {error.colno}"
        ) from None
    except FileNotFoundError:
        kind = read_record(place).get("kind") if place.is_dir() else None
        if kind in ("sweep", "stress"):
            raise UserError(
                f"{place}: holds a {kind}, not one run; name one of {place}/runs/*/{CONFIG}"
            ) from None
        raise UserError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {why_unreadable(error)}") from None


def _missing_plugins(folder: Path) -> str:
    """Return in words which plug-ins of a run are not loaded; empty where all are.

    They are not loaded by themselves: a result folder may come from anybody.
    """
    here = {file.digest for file in plugins.active()}
    lacking = [entry for entry in read_record(folder).get("plugins") or [] if entry["digest"] not in here]
    kept = [str(kept_path(folder, entry["file"], entry["digest"])) for entry in lacking]
    return f" This run used a plug-in; its text is kept: --plugin {' --plugin '.join(kept)}" if kept else ""
