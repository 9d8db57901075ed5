"""Private states between rounds: small ones travel with the messages, large ones lie in files named by their content.

A worker writes a large state to the run's vault and only its digest travels; whoever serves the client next
reads the file. So messages, driver and checkpoints stay small, and a file is never changed: equal states are
one file.
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

LARGE = 64 * 1024  # bytes


def digest_of(private: Private) -> str:
    """SHA-256 over names, types, shapes and values, in hex; the same wherever the state lies."""
    if isinstance(private, StoredState):
        return private.digest
    found = hashlib.sha256()
    for name, tensor in sorted(private.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        found.update(
            np.ascontiguousarray(tensor.numpy()).tobytes()
            if tensor.dtype != torch.bfloat16
            else tensor.float().numpy().tobytes()
        )
    return found.hexdigest()


def file_of(vault: Path, digest: str) -> Path:
    """Where a large state lies."""
    return vault / f"{digest}.safetensors"


def keep(private: Tensors, vault: Path) -> Private:
    """A state as it travels: itself, or above 64 KB its digest, once the file is there whole."""
    if nbytes(private) <= LARGE:
        return private
    digest = digest_of(private)
    file = file_of(vault, digest)
    if not file.exists():
        vault.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{digest}.{os.getpid()}")
        save_file({name: tensor.contiguous() for name, tensor in private.items()}, beside)
        os.replace(beside, file)
    return StoredState(digest)


def fetch(private: Private, vault: Path) -> Tensors:
    """The tensors of a state.

    Raises:
        UserError: its file is not here.
    """
    if not isinstance(private, StoredState):
        return private
    file = file_of(vault, private.digest)
    if not file.exists():
        raise UserError(
            f"--out: the private state {file} is not on this machine; --out must lie on storage that all "
            "nodes share"
        )
    return read(file)


def read(path: Path) -> Tensors:
    """All tensors of a file."""
    with safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - not a mapping


def collect(vault: Path, digests: set[str]) -> None:
    """Remove the files that no state names any more."""
    for file in vault.iterdir() if vault.exists() else ():
        if file.stem not in digests:  # also what a killed worker had begun
            file.unlink()
