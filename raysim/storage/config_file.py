"""Reader of a run's config.json: the experiment of a run goes back into a new one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.experiment.records import Experiment, from_dict
from raysim.storage.files import EDITED, read_object, read_record
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
    experiment = values.get("experiment")
    if not isinstance(experiment, dict):
        fields = f"its fields are {', '.join(values) or 'none'}"
        raise UserError(f"{path}: is no {CONFIG} of a run: it needs the field 'experiment' ({fields[:200]})")
    try:
        return from_dict(experiment)
    except UserError as error:
        raise UserError(f"{path}: {error}{_missing_plugins(path.parent)}") from None


def read_id(folder: Path) -> str:
    """Return the id of the run in a folder.

    Raises:
        UserError: There is no run, or its config.json is damaged.
    """
    return str(_read(folder, folder / CONFIG).get("id"))


def _read(place: Path, path: Path) -> dict[str, Any]:
    """Return what a JSON file holds."""
    if not path.exists():
        kind = read_record(place).get("kind") if place.is_dir() else None
        if kind in ("sweep", "stress"):
            raise UserError(f"{place}: holds a {kind}, not one run; name one of {place}/runs/*/{CONFIG}")
        raise UserError(f"{path}: there is no such file")
    return read_object(path, EDITED)


def _missing_plugins(folder: Path) -> str:
    """Return in words which plug-ins of a run are not loaded; empty where all are.

    They are not loaded by themselves: a result folder may come from anybody.
    """
    here = {file.digest for file in plugins.active()}
    lacking = [entry for entry in read_record(folder).get("plugins") or [] if entry["digest"] not in here]
    kept = [str(kept_path(folder, entry["file"], entry["digest"])) for entry in lacking]
    return f" This run used a plug-in; its text is kept: --plugin {' --plugin '.join(kept)}" if kept else ""
