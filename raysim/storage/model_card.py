"""The model card of a finished run: what was learned, where its tensors lie, and how images reach it.

    DIR/model.json      the card
    DIR/checkpoints/    the tensors: those of the last round, named in the card with their digests

Nothing is copied. The last checkpoint is the model, so a card costs a few kilobytes and every run has one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysim.core.errors import UserError
from raysim.storage.files import damaged, read_object, read_record, sealed_json, write_bytes
from raysim.storage.store import VAULT, Store

CARD = "model.json"
TYPES = {  # of the values that a reader needs
    **dict.fromkeys(("files", "experiment", "code"), dict),
    **dict.fromkeys(("classes", "templates", "plugins", "client_names", "trained_clients"), list),
    **dict.fromkeys(("clients", "round", "image_size"), int),
    **dict.fromkeys(("name", "run", "raysim", "kind", "state_sha256"), str),
}
FORMAT = 1  # increase it when a card means something else than before


def write_card(store: Store, values: Mapping[str, Any]) -> None:
    """Write the card of a run whose rounds are all done, with the digests of the files that hold its tensors.

    Args:
        store: The run's folder.
        values: What the run says of itself (`raysim.simulation.learned.learned`).
    """
    manifest = store.manifest() or {}
    names = {manifest["state"], *manifest["private"].values()}
    packed = sorted(name for name in names if not name.startswith(VAULT))  # the vault's names are digests
    files = {f"checkpoints/{name}": file_sha256(store.folder / "checkpoints" / name) for name in packed}
    write_bytes(store.folder / CARD, sealed_json({"format": FORMAT, **values, "files": files}))


def has_card(folder: Path) -> bool:
    """Return whether a run has saved its model."""
    return (folder / CARD).is_file()


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a run.

    Raises:
        UserError: There is none; the message says why and what helps.
        DamagedFile: It is not what the run wrote.
    """
    path = folder / CARD
    if not path.exists():
        raise UserError(_why_none(folder))
    card = read_object(path, _again(folder))
    if card.get("format") != FORMAT:
        raise UserError(
            f"{path} has format {card.get('format')}, this raysim reads format {FORMAT}; use the version "
            f"that wrote it ({card.get('raysim', 'unknown')})"
        )
    for name, kind in TYPES.items():
        if not isinstance(card.get(name), kind):
            raise damaged(path, f"{name} = {card.get(name)!r} is not allowed", _again(folder))
    if not all(isinstance(entry, dict) and "digest" in entry for entry in card["plugins"]):
        raise damaged(path, "a plug-in has no digest", _again(folder))
    return card


def check_files(folder: Path, card: Mapping[str, Any]) -> None:
    """Check that the files with the model's tensors are those that the run wrote.

    Raises:
        UserError: Files are missing or changed; all are named.
    """
    problems = []
    for name, digest in card["files"].items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{path} is missing")
        elif file_sha256(path) != digest:
            problems.append(f"{path} is not what the run wrote (its SHA-256 differs)")
    if problems:
        raise UserError(
            f"the saved model is damaged: {'; '.join(problems)}. Copy the folder again, or run again"
        )


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _why_none(folder: Path) -> str:
    """Say why a folder has no card, and what helps."""
    record = read_record(folder)
    if not record:
        return f"{folder}: no run is here (no run.json); name the folder of a run, such as results/NAME"
    if record.get("kind", "run") != "run":
        return f"{folder}: holds a {record['kind']}, which has no model of its own; name one of its runs/ID"
    if record.get("status") != "done":
        return f"{folder}: the run is not finished ({record.get('status', 'unknown')}); {_again(folder)}"
    return f"{folder}: this run was made before models were saved; {_again(folder)}"


def _again(folder: Path) -> str:
    """Say how a run writes its card."""
    command = str(read_record(folder).get("command", ""))
    words = f"`{command}`" if command.startswith("raysim run") else "its command"
    return f"repeat {words} with --out {folder} --resume: it goes on from what is there, and saves the model"
