"""Private states between rounds: small ones travel in messages, large ones lie in files.

A worker writes a large state to the run's vault, and only its digest travels. The worker that serves the
client next reads the file. So messages, driver and checkpoints stay small. A file is named by its content and
never changed: equal states are one file.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from raysim.core.errors import UserError
from raysim.core.types import Private, StoredState, Tensors, nbytes

LARGE = 64 * 1024  # bytes above which a state goes to the vault


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
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{digest}.{os.getpid()}")
        save_file({name: tensor.contiguous() for name, tensor in private.items()}, beside)
        os.replace(beside, file)
    return StoredState(digest)


def fetch(private: Private, vault: Path) -> Tensors:
    """Return the tensors of a state.

    Raises:
        UserError: Its file is not on this machine.
    """
    if not isinstance(private, StoredState):
        return private
    file = file_of(vault, private.digest)
    if not file.exists():
        raise UserError(
            f"--out: the private state {file} is not on this machine; --out must lie on storage that all "
            "nodes share"
        )
    return read_tensors(file)


def read_tensors(path: Path) -> Tensors:
    """Read all tensors of a file."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping


def remove_unused(vault: Path, digests: set[str]) -> None:
    """Remove the files that no state refers to, also those that a killed worker left incomplete."""
    for file in vault.iterdir() if vault.exists() else ():
        if file.stem not in digests:
            file.unlink()
