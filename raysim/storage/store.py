"""The folder of a run: config, tables, checkpoints. A kill -9 at any moment costs at most the current round.

    DIR/config.json  run.json  model.json  partition.parquet  checkpoints/
    DIR/tables/{rounds,clients,classes,ratios,images,masks,signatures}/*.parquet
    DIR/gallery.safetensors (of a run with masks over its images)

Every file appears whole: it is written beside its place and renamed. The manifest names the last finished
round; a resume drops whatever is newer.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import torch
from safetensors.torch import save_file

from raysim.core.columns import TableRow
from raysim.core.errors import UserError
from raysim.core.types import (
    Gallery,
    Private,
    RoundRecord,
    ServerState,
    Signature,
    StoredState,
    Tensors,
)
from raysim.data.contents import refuse_other_images
from raysim.experiment.records import Experiment, to_dict
from raysim.storage.files import make_folder, write_json, write_table, write_text
from raysim.storage.run_tables import RunTables
from raysim.storage.vault import digest_of, file_of, read_tensors, remove_unused

Privates = dict[int, Private]
MANIFEST = "manifest.json"
VAULT = "private"  # folder of the large private states, beside the manifest


class Store:
    """Writes a run to its folder and reads it back."""

    def __init__(self, folder: Path, experiment: Experiment, tables: Path | None = None) -> None:
        """Remember where the run lies.

        Args:
            folder: Folder of the run.
            experiment: The experiment of the run.
            tables: Folder of the tables; None: `tables` in `folder`. The runs of a sweep share theirs.
        """
        self.folder, self.experiment, self.run = folder, experiment, experiment.id
        self.tables = RunTables(tables or folder / "tables", self.run)
        self.vault = folder.absolute() / "checkpoints" / VAULT
        self._private_files: dict[int, str] = {}

    def open(self) -> Self:
        """Make the folder and write config.json; in a folder of this experiment nothing changes.

        Raises:
            UserError: The folder holds something else, or cannot be written.
        """
        make_folder(self.folder)
        kind = self.described().get("kind", "run")
        if kind != "run":
            raise UserError(f"--out {self.folder}: holds a {kind}; choose another folder")
        path = self.folder / "config.json"
        if not path.exists():
            write_json(path, {"id": self.run, "experiment": to_dict(self.experiment)})
        run = json.loads(path.read_text()).get("id", "of another program")
        if run != self.run:
            raise UserError(
                f"--out {self.folder}: holds run {run}, this is run {self.run}{self._other_owners(path)}; "
                "choose another folder"
            )
        return self

    def _other_owners(self, path: Path) -> str:
        """Return the words for a run whose table of owners says something else, empty for other runs."""
        earlier = json.loads(path.read_text()).get("experiment", {}).get("scenario", {}).get("content")
        now = to_dict(self.experiment)["scenario"].get("content")
        differs = None not in (earlier, now) and earlier != now
        return f" (scenario.file says something else: {earlier} then, {now} now)" if differs else ""

    @property
    def has_rounds(self) -> bool:
        """Whether rounds of this run are in the folder."""
        return self.manifest() is not None or bool(self.tables.parts())

    @property
    def finished(self) -> bool:
        """Whether the folder holds all of this run: its rounds, its result, and every private state."""
        return self.described().get("status") == "done" and self._whole(self.manifest())

    def describe(self, values: Mapping[str, Any]) -> None:
        """Add values to run.json."""
        path = self.folder / "run.json"
        write_json(path, {**(json.loads(path.read_text()) if path.exists() else {}), **values})

    def described(self) -> dict[str, Any]:
        """Return what run.json says; nothing where there is none yet."""
        path = self.folder / "run.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def refuse_other_images(self, contents: Sequence[Mapping[str, Any]]) -> None:
        """Refuse a folder whose run was computed from other images; one of an older version names none.

        Args:
            contents: The record of the images as they are (`raysim.data.contents`).

        Raises:
            UserError: They are other ones; says what changed.
        """
        recorded = self.described().get("dataset")
        refuse_other_images(f"--out {self.folder}", [recorded] if recorded else [], contents)

    def write_partition(self, table: pa.Table) -> None:
        """Write which client holds which image."""
        write_table(self.folder / "partition.parquet", table)

    def write(
        self, record: RoundRecord, state: ServerState, changed: Privates, progress: Mapping[str, Any]
    ) -> None:
        """Write a finished round: first its tables, then the checkpoint, last the manifest that names it.

        Args:
            record: The rows of the round.
            state: The server after the round.
            changed: The private states of the clients that trained in it.
            progress: What a resumed run needs besides.
        """
        self.write_rows(record, "validation")
        name = f"round-{record.round:06d}.safetensors"
        tensors = {f"shared/{key}": tensor.contiguous() for key, tensor in state.shared.items()}
        tensors |= {f"extra/{key}": tensor.contiguous() for key, tensor in state.extra.items()}
        small = {
            client: private for client, private in changed.items() if not isinstance(private, StoredState)
        }
        tensors |= {
            f"private/{client}/{key}": tensor.contiguous()
            for client, private in small.items()
            for key, tensor in private.items()
        }
        path = self.folder / "checkpoints" / name
        path.parent.mkdir(exist_ok=True)
        save_file(tensors, path)
        self._private_files |= dict.fromkeys(small, name)
        self._private_files |= {
            client: f"{VAULT}/{private.digest}"
            for client, private in changed.items()
            if isinstance(private, StoredState)
        }
        manifest = {
            "round": record.round,
            "state": name,
            "private": {str(client): file for client, file in sorted(self._private_files.items())},
        }
        manifest |= progress
        # not flushed to the disk, as the checkpoint is not: a kill of the process loses neither
        write_text(path.parent / MANIFEST, json.dumps(manifest), lasting=False)
        kept = {name, *self._private_files.values()}
        for old in path.parent.glob("round-*.safetensors"):
            if old.name not in kept:
                old.unlink()
        remove_unused(
            self.vault, {Path(file).name for file in self._private_files.values() if file.startswith(VAULT)}
        )

    def write_rows(self, record: RoundRecord, split: str) -> None:
        """Write the rows of one round and split, as part files that are never changed."""
        tables = {
            "rounds": [record.row],
            "clients": record.clients,
            "classes": record.classes,
            "ratios": record.ratios,
            "images": record.images,
        }
        for name, rows in tables.items():
            self.tables.write(name, rows, record.round, split)

    def write_gallery(self, gallery: Gallery, last: int) -> None:
        """Write the masks of the final model: some of them as one file, and a row per measured image."""
        beside = self.folder / f".gallery.{os.getpid()}"
        save_file(
            {name: torch.tensor(array) for name, array in gallery.arrays.items()},
            beside,
            {"images": json.dumps(gallery.shown)},
        )
        os.replace(beside, self.folder / "gallery.safetensors")
        self.tables.write("masks", gallery.rows, last, "validation")

    def write_signatures(self, signatures: Sequence[Signature], last: int) -> None:
        """Write the failures that the run shows after its last round, a row each."""
        rows = [asdict(signature) for signature in signatures]  # each names its own round
        self.tables.write("signatures", rows, last, "validation")

    def rounds(self) -> list[TableRow]:
        """Read the rows of the run's rounds on validation, in order."""
        rows = {row["round"]: row for row in self.tables.rows("rounds")}
        return [rows[round_] for round_ in sorted(rows)]

    def manifest(self) -> dict[str, Any] | None:
        """Read the manifest of the last finished round; None where no round has finished."""
        path = self.folder / "checkpoints" / MANIFEST
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _whole(self, manifest: Mapping[str, Any] | None) -> bool:
        """Whether every private state that a manifest names is in the folder."""
        return manifest is not None and all(
            file_of(self.vault, Path(file).name).exists()
            for file in manifest["private"].values()
            if file.startswith(VAULT)
        )

    def restore(self) -> tuple[ServerState, Privates, dict[str, Any]] | None:
        """Return the last finished round and the progress noted with it; drop parts that are newer.

        None where no round has finished, or where large private states were dropped.
        """
        manifest = self.manifest()
        if not self._whole(manifest):
            manifest = None
        self.tables.drop_after(manifest["round"] if manifest else -1)
        if manifest is None:
            return None
        state, privates = self.read_state(manifest)
        return state, privates, {key: manifest[key] for key in ("totals", "last", "history")}

    def read_state(self, manifest: Mapping[str, Any]) -> tuple[ServerState, Privates]:
        """Read the server's state and the private states that a manifest names; large ones as references."""
        folder = self.folder / "checkpoints"
        tensors = read_tensors(folder / manifest["state"])
        shared, extra = (
            {key.split("/", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(kind)}
            for kind in ("shared/", "extra/")
        )
        self._private_files = {int(client): file for client, file in manifest["private"].items()}
        privates: Privates = {
            client: StoredState(Path(file).name)
            for client, file in self._private_files.items()
            if file.startswith(VAULT)
        }
        for file in sorted({file for file in self._private_files.values() if not file.startswith(VAULT)}):
            packed: dict[int, Tensors] = {}
            for key, tensor in read_tensors(folder / file).items():
                kind, _, rest = key.partition("/")
                if kind == "private" and self._private_files.get(int(rest.split("/")[0])) == file:
                    client, name = rest.split("/", 1)
                    packed.setdefault(int(client), {})[name] = tensor
            privates |= packed
        return ServerState(manifest["round"], shared, extra), privates

    def drop_vault(self) -> None:
        """Remove the large private states of a finished run; if it is resumed, it starts afresh."""
        shutil.rmtree(self.vault, ignore_errors=True)

    def clear(self) -> None:
        """Remove all rounds of this run from the folder."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        self.tables.drop_after(-1)


def state_sha256(state: ServerState, privates: Privates) -> str:
    """Return the digest of all that decides the next round and every prediction.

    Args:
        state: The server's round, its shared tensors, and all else that it keeps: class ratios, embeddings,
            variates, moments, late updates that are under way.
        privates: The private states of all clients that have one.
    """
    total = hashlib.sha256(f"{state.round} {digest_of(state.shared)} {digest_of(state.extra)}".encode())
    for line in sorted(f"{client:012d} {digest_of(private)}" for client, private in privates.items()):
        total.update(line.encode())
    return total.hexdigest()
