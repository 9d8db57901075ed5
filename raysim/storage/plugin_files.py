"""The plug-ins of a result: the texts of files are kept in its folder, and a resume needs the same code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysim.core import plugins
from raysim.core.code import code_of_package
from raysim.core.errors import UserError
from raysim.storage.files import write_text

FOLDER = "plugins"


def plugin_record() -> list[dict[str, str]]:
    """Return file and digest of every plug-in of this process, for run.json."""
    return [{"file": file.path, "digest": file.digest} for file in plugins.active()]


def package_record() -> list[dict[str, str]]:
    """Return name with version and digest of every installed package that something was loaded from."""
    return [{"package": name, "digest": code_of_package(top)} for top, name in plugins.packages.items()]


def keep_plugins(folder: Path) -> None:
    """Write the text of every plug-in file of this process to `plugins/` of a result folder."""
    for file in plugins.active():
        write_text(kept_path(folder, file.name, file.digest), file.source)


def kept_path(folder: Path, name: str, digest: str) -> Path:
    """Return the place of a plug-in's text in a result folder."""
    return folder / FOLDER / f"{Path(name).stem}-{digest}.py"


def check_plugins(folder: Path, record: Mapping[str, Any]) -> None:
    """Check that the plug-ins of a result that goes on are those that it began with.

    Args:
        folder: The result folder.
        record: Its run.json; empty for a new folder.

    Raises:
        UserError: A plug-in has changed, or is not loaded. The message says where the first text lies, or
            which version of a package it was.
    """
    here = {entry["package"].rpartition(" ")[0]: entry for entry in package_record()}
    for entry in record.get("packages") or []:
        now = here.get(entry["package"].rpartition(" ")[0])
        if now is not None and now["digest"] != entry["digest"]:
            raise UserError(
                f"--out {folder}: was made with other code of the package {entry['package']} "
                f"({entry['digest']}, now {now['package']}, {now['digest']}); install what it was made with, "
                "or choose another folder"
            )
    digests: dict[str, set[str]] = {}  # two plug-ins may have one file name
    for file in plugins.active():
        digests.setdefault(file.name, set()).add(file.digest)
    for entry in record.get("plugins") or []:
        name, digest = Path(entry["file"]).name, entry["digest"]
        kept = kept_path(folder, name, digest)
        if name not in digests:
            raise UserError(f"--out {folder}: was made with the plug-in {name}; add --plugin {entry['file']}")
        if digest not in digests[name]:
            raise UserError(
                f"--out {folder}: was made with another text of the plug-in {name} ({digest}, now "
                f"{', '.join(sorted(digests[name]))}); go on with {kept}, the text that it was made with, "
                "or choose another folder"
            )
