"""Private states between rounds: small ones travel in messages, large ones lie in files.

A worker writes a large state to the run's vault, and only its digest travels. The worker that serves the
client next reads the file. So messages, driver and checkpoints stay small. A file is named by its content and
never changed: equal states are one file.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from raysim.core.errors import DamagedFile, UserError
from raysim.core.types import Private, StoredState, Tensors, nbytes
from raysim.storage.files import damaged, first_line, read_bytes, write_bytes

LARGE = 64 * 1024  # bytes above which a state goes to the vault
OWN = re.compile(
    r"\.?[0-9a-f]{64}\.safetensors(\.\d+)?"
)  # a state, or one that a killed worker left incomplete
REMEDY = "put a copy of this file back, or run again in another folder (--out)"


def digest_of(private: Private) -> str:
    """Return the SHA-256 of names, types, shapes and values, in hex; the same wherever the state lies."""
    if isinstance(private, StoredState):
        return private.digest
    digest = hashlib.sha256()
    for name, tensor in sorted(private.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(
            np.ascontiguousarray(tensor.numpy()).tobytes()
            if tensor.dtype != torch.bfloat16
            else tensor.float().numpy().tobytes()
        )
    return digest.hexdigest()


def file_of(vault: Path, digest: str) -> Path:
    """Path of a large state."""
    return vault / f"{digest}.safetensors"


def keep(private: Tensors, vault: str) -> Private:
    """Return a state as it travels: itself, or above `LARGE` bytes a reference to its file in the vault.

    Args:
        private: The state.
        vault: The folder; empty where there is none on this machine: then every state travels itself.
    """
    if not vault or nbytes(private) <= LARGE:
        return private
    digest = digest_of(private)
    file = file_of(Path(vault), digest)
    if not _is_whole(file, digest):  # an earlier start of this run may have left it, cut by a power cut
        data = save({name: tensor.contiguous() for name, tensor in private.items()})
        write_bytes(file, data, lasting=False)  # the driver waits for the disk, from time to time
    return StoredState(digest)


def _is_whole(file: Path, digest: str) -> bool:
    """Return whether the file is there and holds the state that it is named after."""
    try:
        return digest_of(read_tensors(file)) == digest
    except (FileNotFoundError, DamagedFile):
        return False


def fetch(private: Private, vault: Path) -> Tensors:
    """Return the tensors of a state.

    Raises:
        UserError: Its file is not on this machine.
        DamagedFile: Its file does not hold what was written.
    """
    if not isinstance(private, StoredState):
        return private
    file = file_of(vault, private.digest)
    try:
        tensors = read_tensors(file)
    except FileNotFoundError:
        raise UserError(
            f"--out: the private state {file} is not on this machine; --out must lie on storage that all "
            "nodes share"
        ) from None
    if digest_of(tensors) != private.digest:
        raise damaged(file, "its tensors are not those that it is named after", REMEDY)
    return tensors


def read_tensors(path: Path, sha256: str | None = None) -> Tensors:
    """Read all tensors of a file.

    Args:
        path: The file.
        sha256: Digest of the file where one is kept beside it; None: the reader checks the tensors.

    Raises:
        FileNotFoundError: There is no such file.
        DamagedFile: It cannot be read, or is not what was written.
    """
    data = read_bytes(path, REMEDY)
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise damaged(path, "its digest is not the one in the manifest", REMEDY)
    try:
        return dict(sorted(load(data).items()))  # the reader gives them in no fixed order
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"it is no whole safetensors file: {first_line(error)}", REMEDY) from None


def remove_unused(vault: Path, digests: set[str]) -> None:
    """Remove the states that nothing refers to, also those that a killed worker left incomplete.

    Other files are somebody else's.
    """
    for file in vault.iterdir() if vault.is_dir() else ():
        if OWN.fullmatch(file.name) and file.stem not in digests and not file.is_dir():
            file.unlink()
