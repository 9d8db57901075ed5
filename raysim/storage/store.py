"""A run's folder: config, tables, checkpoints. Written so that a kill -9 at any moment costs at most the round in flight.

    DIR/config.json  run.json  partition.parquet  tables/{rounds,clients,classes,ratios,masks,signatures}/*.parquet  checkpoints/
    DIR/gallery.safetensors (of a run with masks over its images)

Every file appears whole (written beside and renamed). The manifest names the last finished round; whatever is
newer is dropped on resume.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from safetensors.torch import save_file

from raysim.core.errors import UserError
from raysim.core.types import Gallery, Private, RoundRecord, ServerState, Signature, StoredState, Tensors
from raysim.experiment.records import Experiment, to_dict
from raysim.storage.files import make_folder, table_of, write_json, write_table, write_text
from raysim.storage.vault import collect, digest_of, file_of, read

Privates = dict[int, Private]
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "rounds": {
        "run": pa.string(),
        "round": pa.int32(),
        "split": pa.string(),
        "clients": pa.int32(),
        "bytes_up": pa.int64(),
        "bytes_down": pa.int64(),
        "bytes_weights_up": pa.int64(),
        "bytes_weights_down": pa.int64(),
    },
    "clients": {
        "run": pa.string(),
        "round": pa.int32(),
        "split": pa.string(),
        "client": pa.int32(),
        "examples": pa.int32(),
    },
    "classes": {
        "run": pa.string(),
        "round": pa.int32(),
        "split": pa.string(),
        "label": pa.int16(),
        "class_name": pa.string(),
        "domain": pa.int16(),
        "domain_name": pa.string(),
        "scope": pa.string(),
    },
    "ratios": {
        "run": pa.string(),
        "round": pa.int32(),
        "split": pa.string(),
        "label": pa.int16(),
        "class_name": pa.string(),
        "images": pa.int64(),
    },
    "masks": {
        "run": pa.string(),
        "round": pa.int32(),
        "split": pa.string(),
        "image": pa.int32(),
        "label": pa.int16(),
        "class_name": pa.string(),
    },
    "signatures": {
        "run": pa.string(),
        "round": pa.int32(),
        "split": pa.string(),
        "name": pa.string(),
        "detail": pa.string(),
    },
}
MANIFEST = "manifest.json"
VAULT = "private"  # the folder of large private states beside the manifest


class Store:
    """Writes a run and reads it back. `tables` may lie elsewhere: the runs of a sweep share its tables."""

    def __init__(self, folder: Path, experiment: Experiment, tables: Path | None = None) -> None:
        self.folder = make_folder(folder)
        self.run = experiment.id
        self.tables = tables or folder / "tables"
        self.vault = folder.absolute() / "checkpoints" / VAULT
        self._files: dict[int, str] = {}
        self._write_config(experiment)

    def _write_config(self, experiment: Experiment) -> None:
        path = self.folder / "config.json"
        if self.described().get("kind", "run") != "run":
            raise UserError(f"--out {self.folder}: holds a {self.described()['kind']}; choose another folder")
        if (
            path.exists()
            and (found := json.loads(path.read_text()).get("id", "of another program")) != self.run
        ):
            raise UserError(
                f"--out {self.folder}: holds run {found}, this is run {self.run}; choose another folder"
            )
        write_json(path, {"id": self.run, "experiment": to_dict(experiment)})

    def describe(self, values: Mapping[str, Any]) -> None:
        """Update run.json."""
        path = self.folder / "run.json"
        write_json(path, {**(json.loads(path.read_text()) if path.exists() else {}), **values})

    def described(self) -> dict[str, Any]:
        """run.json, or nothing yet."""
        path = self.folder / "run.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def write_partition(self, table: pa.Table) -> None:
        """Who holds which image."""
        write_table(self.folder / "partition.parquet", table)

    def write(
        self, record: RoundRecord, state: ServerState, changed: Privates, progress: Mapping[str, Any]
    ) -> None:
        """A finished round: its tables first, then the checkpoint, last the manifest that makes it count."""
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
        self._files |= dict.fromkeys(small, name)
        self._files |= {
            client: f"{VAULT}/{private.digest}"
            for client, private in changed.items()
            if isinstance(private, StoredState)
        }
        manifest = {
            "round": record.round,
            "state": name,
            "private": {str(client): file for client, file in sorted(self._files.items())},
        }
        manifest |= progress
        write_text(
            path.parent / MANIFEST, json.dumps(manifest), lasting=False
        )  # as what it names: a kill loses neither
        kept = {name, *self._files.values()}
        for old in path.parent.glob("round-*.safetensors"):
            if old.name not in kept:
                old.unlink()
        collect(self.vault, {Path(file).name for file in self._files.values() if file.startswith(VAULT)})

    def write_rows(self, record: RoundRecord, split: str) -> None:
        """The rows of one round and split, as part files that are never changed."""
        common = {"run": self.run, "round": record.round, "split": split}
        tables = {
            "rounds": [record.row],
            "clients": record.clients,
            "classes": record.classes,
            "ratios": record.ratios,
        }
        for name, rows in tables.items():
            self._write_part(name, [{**common, **row} for row in rows], record.round, split)

    def _write_part(self, name: str, rows: Sequence[Mapping[str, Any]], round_: int, split: str) -> None:
        if rows:
            write_table(
                self.tables / name / f"{self.run}-{round_:06d}-{split}.parquet", table_of(rows, COLUMNS[name])
            )

    def write_gallery(self, gallery: Gallery, last: int) -> None:
        """What the final model attends to: some images with their masks as one file, and a row per image where the truth is known."""
        beside = self.folder / f".gallery.{os.getpid()}"
        save_file(
            {name: torch.tensor(array) for name, array in gallery.arrays.items()},
            beside,
            {"images": json.dumps(gallery.shown)},
        )
        os.replace(beside, self.folder / "gallery.safetensors")
        common = {"run": self.run, "round": last, "split": "validation"}
        self._write_part("masks", [{**common, **row} for row in gallery.rows], last, "validation")

    def write_signatures(self, signatures: Sequence[Signature], last: int) -> None:
        """The failures that the run shows after its `last` round, a row each."""
        rows = [{"run": self.run, "split": "validation", **asdict(signature)} for signature in signatures]
        self._write_part("signatures", rows, last, "validation")

    def rounds(self) -> list[dict[str, Any]]:
        """The rows of the run's rounds on validation, in order."""
        parts = sorted((self.tables / "rounds").glob(f"{self.run}-*-validation.parquet"))
        rows = {row["round"]: row for part in parts for row in pq.ParquetFile(part).read().to_pylist()}
        return [rows[round_] for round_ in sorted(rows)]

    def restore(self) -> tuple[ServerState, Privates, dict[str, Any]] | None:
        """The last finished round and the progress noted with it; newer parts are dropped.

        None where nothing has finished, or where large private states were dropped.
        """
        path = self.folder / "checkpoints" / MANIFEST
        manifest = json.loads(path.read_text()) if path.exists() else None
        needed = (
            [Path(file).name for file in manifest["private"].values() if file.startswith(VAULT)]
            if manifest
            else []
        )
        if not all(file_of(self.vault, digest).exists() for digest in needed):
            manifest = None
        finished = manifest["round"] if manifest else -1
        for part in self.tables.glob(f"*/{self.run}-*.parquet"):
            if int(part.stem.split("-")[1]) > finished:
                part.unlink()
        if manifest is None:
            return None
        tensors = read(path.parent / manifest["state"])
        shared, extra = (
            {key.split("/", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(kind)}
            for kind in ("shared/", "extra/")
        )
        self._files = {int(client): file for client, file in manifest["private"].items()}
        privates: Privates = {
            client: StoredState(Path(file).name)
            for client, file in self._files.items()
            if file.startswith(VAULT)
        }
        for file in sorted({file for file in self._files.values() if not file.startswith(VAULT)}):
            packed: dict[int, Tensors] = {}
            for key, tensor in read(path.parent / file).items():
                kind, _, rest = key.partition("/")
                if kind == "private" and self._files.get(int(rest.split("/")[0])) == file:
                    client, name = rest.split("/", 1)
                    packed.setdefault(int(client), {})[name] = tensor
            privates |= packed
        return (
            ServerState(finished, shared, extra),
            privates,
            {key: manifest[key] for key in ("totals", "last", "history")},
        )

    def drop_vault(self) -> None:
        """Remove large private states, of a run whose tables are whole: resumed, it starts afresh."""
        shutil.rmtree(self.vault, ignore_errors=True)

    def forget(self) -> None:
        """Remove the rounds that an earlier run left, for a run that starts afresh in its folder."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)
        for part in self.tables.glob(f"*/{self.run}-*.parquet"):
            part.unlink()

    def compact(self) -> None:
        """One part per table once the run is done."""
        for name in COLUMNS:
            parts = sorted((self.tables / name).glob(f"{self.run}-*-validation.parquet"))
            if len(parts) > 1:
                last = pq.ParquetFile(
                    parts[-1]
                ).read()  # not read_table: what makes a data set of one file takes longer than the file
                inside = set(
                    last["round"].to_pylist()
                )  # a compaction that was killed has put them there already
                rest = [
                    pq.ParquetFile(part).read()
                    for part in parts[:-1]
                    if int(part.stem.split("-")[1]) not in inside
                ]
                write_table(parts[-1], pa.concat_tables([*rest, last], promote_options="default"))
                for part in parts[:-1]:
                    part.unlink()


def state_sha256(state: ServerState, privates: Privates) -> str:
    """The run's one answer: the final shared tensors and the sorted digests of every participating client's private state."""
    total = hashlib.sha256(digest_of(state.shared).encode())
    for line in sorted(f"{client:012d} {digest_of(private)}" for client, private in privates.items()):
        total.update(line.encode())
    return total.hexdigest()
