"""The folder of a run: config, tables, checkpoints. A kill -9 at any moment costs at most the current round.

    DIR/config.json  run.json  model.json  partition.parquet  checkpoints/
    DIR/tables/{rounds,clients,classes,ratios,images,masks,signatures}/*.parquet
    DIR/gallery.safetensors (of a run with masks over its images)

Every file appears whole: it is written beside its place and renamed. The manifest names the last finished
round; a resume drops whatever is newer. What is read back is checked against its digest: a damaged file is an
error that names it, or the run goes on from the last round that the disk has stored for certain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import torch
from safetensors.torch import save

from raysim.core.columns import TableRow
from raysim.core.errors import UserError
from raysim.core.types import (
    Gallery,
    RoundRecord,
    ServerState,
    Signature,
)
from raysim.data.contents import refuse_other_images
from raysim.experiment.records import Experiment, to_dict
from raysim.storage.checkpoints import VAULT, Checkpoints, Privates
from raysim.storage.files import (
    make_folder,
    read_object,
    read_record,
    refuse_odd,
    sealed_json,
    write_bytes,
    write_record,
    write_table,
)
from raysim.storage.run_tables import RunTables
from raysim.storage.seal import BLANK, KEY, seal
from raysim.storage.vault import digest_of

__all__ = ["VAULT", "Privates", "Store", "state_sha256"]


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
        self.checkpoints = Checkpoints(folder / "checkpoints", self.run, self.tables)
        self.vault = self.checkpoints.vault

    def open(self) -> Self:
        """Make the folder and write config.json; in a folder of this experiment nothing changes.

        Raises:
            UserError: The folder holds something else, or cannot be written.
        """
        make_folder(self.folder)
        for name in ("config.json", "run.json", "model.json", "partition.parquet", "gallery.safetensors"):
            refuse_odd(self.folder / name, "remove it, or run again in another folder (--out)")
        kind = self.described().get("kind", "run")
        if kind != "run":
            raise UserError(f"--out {self.folder}: holds a {kind}; choose another folder")
        path = self.folder / "config.json"
        if not path.exists() and self.checkpoints.recorded_run() in (None, self.run):
            write_bytes(path, sealed_json({"id": self.run, "experiment": to_dict(self.experiment)}))
        config = read_object(
            path, "undo the change or put a copy of the file back; a run with other values needs a new --out"
        )
        if config.get("id", "of another program") != self.run:
            raise UserError(
                f"--out {self.folder}: holds run {config.get('id')}, this is run {self.run}"
                f"{self._other_owners(config)}; choose another folder"
            )
        return self

    def _other_owners(self, config: Mapping[str, Any]) -> str:
        """Return the words for a run whose table of owners says something else, empty for other runs."""
        earlier = config.get("experiment", {}).get("scenario", {}).get("content")
        now = to_dict(self.experiment)["scenario"].get("content")
        differs = None not in (earlier, now) and earlier != now
        return f" (scenario.file says something else: {earlier} then, {now} now)" if differs else ""

    @property
    def has_rounds(self) -> bool:
        """Whether rounds of this run are in the folder."""
        return self.checkpoints.manifest() is not None or bool(self.tables.parts())

    @property
    def finished(self) -> bool:
        """Whether the folder holds all of this run: its rounds, its result, and every private state."""
        return self.described().get("status") == "done" and self.checkpoints.is_complete()

    def is_measured(self, test: bool) -> bool:
        """Whether the folder holds all of this run but for private states that a trial dropped at its end.

        Args:
            test: Whether the test split must have been opened too.
        """
        described = self.described()
        is_done = described.get("status") == "done" and self.checkpoints.is_dropped()
        return is_done and (not test or described.get("test") is not None)

    def describe(self, values: Mapping[str, Any]) -> None:
        """Add values to run.json."""
        write_record(self.folder, {**self.described(), **values})

    def described(self) -> dict[str, Any]:
        """Return what run.json says; nothing where there is none yet."""
        return read_record(self.folder)

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
        self.checkpoints.write(record.round, state, changed, progress)

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
        tensors = {name: torch.tensor(array) for name, array in gallery.arrays.items()}
        metadata = {"images": json.dumps(gallery.shown), KEY: BLANK}
        write_bytes(self.folder / "gallery.safetensors", seal(save(tensors, metadata)))
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
        return self.checkpoints.manifest()

    def read_state(self, manifest: Mapping[str, Any]) -> tuple[ServerState, Privates]:
        """Read the server's state and the private states that a manifest names.

        Large ones are references, whose files need not be there.
        """
        return self.checkpoints.read_state(manifest, check_large=False)

    def restore(self, dropped: bool = False) -> tuple[ServerState, Privates, dict[str, Any]] | None:
        """Return the last finished round and the progress noted with it; drop parts that are newer.

        None where no round has finished, or where the large private states of a finished run were dropped.

        Args:
            dropped: Whether such a run is wanted all the same, with references to states that are gone.

        Raises:
            DamagedFile: What the folder holds is damaged or incomplete. Nothing is removed then.
        """
        restored = self.checkpoints.restore(dropped)
        if restored is None:
            return None
        state, privates, manifest = restored
        return state, privates, {key: manifest[key] for key in ("totals", "last", "history")}

    def settle(self) -> None:
        """Return when the disk has stored the whole run, with the parts of its tables joined."""
        self.checkpoints.settle()  # first: a joined part is named after the last round
        self.tables.compact()

    def drop_vault(self) -> None:
        """Remove the large private states of a finished run; if it is resumed, it starts afresh."""
        self.checkpoints.drop_vault()

    def clear(self) -> None:
        """Remove all rounds of this run from the folder."""
        self.checkpoints.clear()


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
