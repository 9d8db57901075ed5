"""The run behind a folder, and its experiment, with the code that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysim.core import plugins
from raysim.core.errors import UserError
from raysim.experiment.records import Experiment, foreign_code, from_dict
from raysim.storage.files import read_record
from raysim.storage.plugin_files import kept_path
from raysim.storage.report import best_configurations


def run_of(folder: Path) -> tuple[Path, str]:
    """Return the folder of a run, and a sentence that says which one was taken; empty for a run itself.

    Of a sweep it is the best configuration of its page, on the first of its seeds: the seed with the highest
    number would look better than it is.

    Raises:
        UserError: The folder holds no result, or a sweep with a best configuration for each of several
            scenarios.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; name the folder of a run, such as results/NAME")
    if read_record(folder).get("kind", "run") != "sweep":
        return folder, ""
    found = best_configurations(folder)
    if not found:
        raise UserError(f"{folder}: no configuration of this sweep is measured yet")
    lines = [
        f"{best['scenario']}: {best['label']}, {100 * best['value']:.1f} % ({best['split']}), seed "
        f"{best['seed']}, {folder / 'runs' / best['run']}"
        for best in found
    ]
    if len(found) > 1:
        listed = "".join(f"\n  {line}" for line in lines)
        raise UserError(
            f"{folder}: a sweep with a best configuration for each of {len(found)} scenarios; name one of "
            f"their runs:{listed}"
        )
    return folder / "runs" / found[0]["run"], f"best configuration of the sweep: {lines[0]}"


def experiment_of(folder: Path, card: Mapping[str, Any]) -> Experiment:
    """Return the experiment of a run. Code that does not come with raysim must have been loaded by the user.

    Raises:
        UserError: A plug-in of the run is not loaded, or this process has other code.
    """
    loaded = {file.digest for file in plugins.active()}
    for entry in card["plugins"]:
        kept = _kept_text(folder, entry)
        if entry["digest"] in card["code"].values() and entry["digest"] not in loaded:
            raise UserError(
                f"{folder}: this run used the plug-in {Path(entry['file']).name}. A result folder may come "
                f"from anybody, so its code is not run without your word: look at {kept}, then add --plugin "
                f"{kept} (in Python: raysim.load_plugin)"
            )
    experiment = from_dict(card["experiment"])
    here = foreign_code(experiment)
    if other := sorted(name for name in {*here, *card["code"]} if here.get(name) != card["code"].get(name)):
        name = other[0]
        raise UserError(
            f"{folder}: {name} has other code ({here.get(name, 'none')}) than the run had "
            f"({card['code'].get(name, 'none')}); install the version of its package that the run used"
        )
    return experiment


def _kept_text(folder: Path, entry: Mapping[str, str]) -> Path:
    """Return where a plug-in's text lies: with the run, with its sweep, or where it came from."""
    places = [
        kept_path(home, Path(entry["file"]).name, entry["digest"]) for home in (folder, *folder.parents[:2])
    ]
    return next((place for place in places if place.is_file()), Path(entry["file"]))
