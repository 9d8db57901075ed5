"""Checkpoints of a run: the state after the last finished round, and the manifest that names its files.

    checkpoints/manifest.json               the last finished round
    checkpoints/flushed.json                the last finished round that also outlives a power cut
    checkpoints/round-NNNNNN.safetensors    the server's state, and the small private states of a round
    checkpoints/private/DIGEST.safetensors  the large private states (`raysim.storage.vault`)

A kill of the process loses nothing that was written. A power cut loses what the disk has not stored; then,
and where a file is damaged, the run goes on from the round in `flushed.json`, and its bits are the same.
"""

from __future__ import annotations

import hashlib
import logging
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save

from raysim.core.errors import DamagedFile
from raysim.core.types import Private, ServerState, StoredState, Tensors
from raysim.storage.files import damaged, flush, read_object, refuse_odd, sealed_json, write_bytes
from raysim.storage.run_tables import RunTables
from raysim.storage.vault import REMEDY, fetch, file_of, read_tensors, remove_unused

LOG = logging.getLogger(__name__)
Privates = dict[int, Private]
MANIFEST, FLUSHED = "manifest.json", "flushed.json"
VAULT = "private"  # folder of the large private states
FLUSH_SHARE = 0.02  # share of a run's time in which it may wait for the disk
FILE = re.compile(rf"round-\d{{6,}}\.safetensors|{VAULT}/[0-9a-f]{{64}}")  # what a manifest may name


class Checkpoints:
    """Writes the checkpoints of one run, and reads back what is whole."""

    def __init__(self, folder: Path, run: str, tables: RunTables) -> None:
        """Remember where the checkpoints lie.

        Args:
            folder: Their folder.
            run: The id of the run.
            tables: The tables of the run, which belong to the same rounds.
        """
        self.folder, self.run, self.tables = folder, run, tables
        self.vault = folder.absolute() / VAULT
        self._private_files: dict[int, str] = {}
        self._digests: dict[str, str] = {}  # file of a checkpoint -> its SHA-256
        self._flushed_files: set[str] = set()
        self._started, self._flush_seconds = time.monotonic(), 0.0

    def write(self, round_: int, state: ServerState, changed: Privates, progress: Mapping[str, Any]) -> None:
        """Write the state after a round, then the manifest that names it; remove what no manifest names."""
        name = f"round-{round_:06d}.safetensors"
        large = {client: private for client, private in changed.items() if isinstance(private, StoredState)}
        small = {
            client: private for client, private in changed.items() if not isinstance(private, StoredState)
        }
        data = save(_flat(state, small))
        write_bytes(self.folder / name, data, lasting=False)
        self._private_files |= dict.fromkeys(small, name)
        self._private_files |= {client: f"{VAULT}/{private.digest}" for client, private in large.items()}
        used = {name, *self._private_files.values()}
        digests = {**self._digests, name: hashlib.sha256(data).hexdigest()}
        self._digests = {file: digest for file, digest in digests.items() if file in used}
        manifest = {
            "run": self.run,
            "round": round_,
            "state": name,
            "private": {str(client): file for client, file in sorted(self._private_files.items())},
            "files": self._digests,
            "rows": self.tables.counts,
        }
        self._write_manifest({**manifest, **progress})
        self._collect(used | self._flushed_files)

    def _collect(self, kept: set[str]) -> None:
        """Remove the checkpoints and private states that no manifest names."""
        for old in self.folder.glob("round-*.safetensors"):
            if old.name not in kept:
                old.unlink()
        remove_unused(self.vault, {Path(file).name for file in kept if file.startswith(VAULT)})

    def _write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest; let the disk store the round first, unless that would slow the run."""
        if self._flush_seconds <= FLUSH_SHARE * (time.monotonic() - self._started):
            self._flush(manifest)
        write_bytes(self.folder / MANIFEST, sealed_json(manifest), lasting=False)

    def _flush(self, manifest: Mapping[str, Any]) -> None:
        """Return when the disk has stored all that belongs to a manifest, and the manifest itself."""
        start = time.monotonic()
        self.tables.flush()
        used = {manifest["state"], *manifest["private"].values()}
        for file in used - self._flushed_files:
            flush(file_of(self.vault, Path(file).name) if file.startswith(VAULT) else self.folder / file)
        flush(self.vault)
        write_bytes(self.folder / FLUSHED, sealed_json(manifest))  # flushes the folder too
        self._flushed_files = used
        self._flush_seconds += time.monotonic() - start

    def settle(self) -> None:
        """Return when the disk has stored the last round of a run that has ended."""
        if (manifest := self.manifest()) is not None:
            self._flush(manifest)
            self._collect(self._flushed_files)

    def manifest(self, name: str = MANIFEST, of_any_run: bool = False) -> dict[str, Any] | None:
        """Read the manifest of the last finished round; None where no round has finished.

        Raises:
            DamagedFile: It is damaged, names files that no run has, or is of another run.
        """
        path = self.folder / name
        manifest = read_object(path, REMEDY)
        if not manifest:
            return None
        try:
            files = [manifest["state"], *manifest["private"].values()]
            numbers = [manifest["round"], *map(int, manifest["private"])]
            objects = [manifest.get(key, {}) for key in ("files", "rows")]
            is_sound = all(FILE.fullmatch(file) for file in files) and min(numbers) >= 0
            is_sound = is_sound and all(isinstance(values, dict) for values in objects)
        except (KeyError, TypeError, ValueError, AttributeError):
            is_sound = False
        if not is_sound:
            raise damaged(path, "it is no manifest of a run", REMEDY)
        if not of_any_run and manifest.get("run", self.run) != self.run:
            raise damaged(path, f"it is of run {manifest['run']}, not of {self.run}", REMEDY)
        return manifest

    def recorded_run(self) -> str | None:
        """Return the id of the run that the manifest is of; None where nothing says it."""
        for name in (MANIFEST, FLUSHED):
            if manifest := self.manifest(name, of_any_run=True):
                return manifest.get("run")
        return None

    def is_dropped(self) -> bool:
        """Whether the large private states of the last finished round were removed on purpose."""
        manifest = self.manifest()
        return manifest is not None and self._vault_was_dropped(manifest)

    def is_complete(self) -> bool:
        """Whether there is a manifest, and the file of every large private state that it names."""
        manifest = self.manifest()
        return manifest is not None and all(
            file_of(self.vault, Path(file).name).exists()
            for file in manifest["private"].values()
            if file.startswith(VAULT)
        )

    def restore(self, dropped: bool = False) -> tuple[ServerState, Privates, dict[str, Any]] | None:
        """Return the last finished round and its manifest; drop parts of the tables that are newer.

        None where no round has finished, or where the large private states of a finished run were dropped.

        Args:
            dropped: Whether such a run is wanted all the same, with references to states that are gone.

        Raises:
            DamagedFile: What the folder holds is damaged or incomplete. Nothing is removed then.
        """
        self.tables.refuse_odd()
        for name in (MANIFEST, FLUSHED):
            refuse_odd(self.folder / name, REMEDY)
        problems: list[DamagedFile] = []
        for name in (MANIFEST, FLUSHED):
            try:
                manifest = self.manifest(name)
                if manifest is None:
                    continue
                is_dropped = self._vault_was_dropped(manifest)
                if is_dropped and not dropped:
                    self.tables.drop_after(-1)
                    return None
                state, privates = self.read_state(manifest, check_large=not is_dropped)
                self.tables.check(manifest.get("rows", {}), state.round)
            except DamagedFile as error:
                problems.append(error)
                continue
            self._go_on(manifest, name, problems)
            return state, privates, manifest
        if problems:
            raise problems[0]
        if (last := self.tables.last_round()) > 0:  # a run killed before its first manifest leaves round 0
            why = f"it is missing, and the tables hold rounds up to {last} of this run"
            raise damaged(self.folder / MANIFEST, why, REMEDY)
        self.tables.drop_after(-1)
        return None

    def _go_on(self, manifest: Mapping[str, Any], name: str, problems: Sequence[DamagedFile]) -> None:
        """Take a manifest as the last one, and say so where it is not the one of the last finished round."""
        if name == FLUSHED:
            reason = problems[0].args[0] if problems else f"{self.folder / MANIFEST} is missing"
            LOG.warning(
                "%s; the run goes on from round %d, which is whole",
                reason,
                manifest["round"],
            )
        else:
            self._flushed_files = self._files_of_flushed()
        self._private_files = {int(client): file for client, file in manifest["private"].items()}
        self._digests, self.tables.counts = dict(manifest.get("files", {})), dict(manifest.get("rows", {}))
        self.tables.drop_after(manifest["round"])

    def _files_of_flushed(self) -> set[str]:
        """Return the files of `flushed.json`, which are kept; none where it is damaged."""
        try:
            manifest = self.manifest(FLUSHED)
        except DamagedFile:
            return set()
        return {manifest["state"], *manifest["private"].values()} if manifest else set()

    def _vault_was_dropped(self, manifest: Mapping[str, Any]) -> bool:
        """Whether the large private states were removed on purpose; older versions left no note of it."""
        names_large = any(file.startswith(VAULT) for file in manifest["private"].values())
        is_older = "run" not in manifest
        return bool(manifest.get("dropped")) or (is_older and names_large and not self.vault.exists())

    def read_state(
        self, manifest: Mapping[str, Any], check_large: bool = True
    ) -> tuple[ServerState, Privates]:
        """Read the server's state and the private states that a manifest names; large ones as references.

        Args:
            manifest: The manifest.
            check_large: Whether the files of large private states must be there and whole.

        Raises:
            DamagedFile: A file is missing or damaged.
        """
        tensors = self._read(manifest, manifest["state"])
        shared, extra = (
            {key.split("/", 1)[1]: tensor for key, tensor in tensors.items() if key.startswith(kind)}
            for kind in ("shared/", "extra/")
        )
        files = {int(client): file for client, file in manifest["private"].items()}
        privates: Privates = {
            client: self._whole(StoredState(Path(file).name)) if check_large else StoredState(Path(file).name)
            for client, file in files.items()
            if file.startswith(VAULT)
        }
        for file in sorted({file for file in files.values() if not file.startswith(VAULT)}):
            packed: dict[int, Tensors] = {}
            for key, tensor in self._read(manifest, file).items():
                kind, _, rest = key.partition("/")
                if kind == "private" and files.get(int(rest.split("/")[0])) == file:
                    client, name = rest.split("/", 1)
                    packed.setdefault(int(client), {})[name] = tensor
            privates |= packed
        return ServerState(manifest["round"], shared, extra), privates

    def _read(self, manifest: Mapping[str, Any], name: str) -> Tensors:
        """Read a file of a checkpoint that a manifest names."""
        path = self.folder / name
        try:
            return read_tensors(path, manifest.get("files", {}).get(name))
        except FileNotFoundError:
            raise damaged(path, "it is missing", REMEDY) from None

    def _whole(self, private: StoredState) -> StoredState:
        """Return a large private state whose file is there and holds what was written."""
        file = file_of(self.vault, private.digest)
        if not file.exists():
            raise damaged(file, "it is missing", REMEDY)
        fetch(private, self.vault)
        return private

    def drop_vault(self) -> None:
        """Remove the large private states, and note that in the manifests."""
        if not self.vault.exists():
            return
        for name in (MANIFEST, FLUSHED):
            if manifest := self.manifest(name):
                write_bytes(self.folder / name, sealed_json({**manifest, "dropped": True}))
        shutil.rmtree(self.vault, ignore_errors=True)

    def clear(self) -> None:
        """Remove the tables of the run, then its checkpoints."""
        self.tables.drop_after(-1)
        shutil.rmtree(self.folder, ignore_errors=True)


def _flat(state: ServerState, small: Mapping[int, Tensors]) -> Tensors:
    """Return the tensors of one file: `shared/NAME`, `extra/NAME` and `private/CLIENT/NAME`."""
    tensors = {f"shared/{key}": tensor for key, tensor in state.shared.items()}
    tensors |= {f"extra/{key}": tensor for key, tensor in state.extra.items()}
    tensors |= {
        f"private/{client}/{key}": tensor
        for client, private in small.items()
        for key, tensor in private.items()
    }
    return {key: tensor.contiguous() for key, tensor in tensors.items()}
