"""The small records that travel between driver, workers and disk.

Shapes: K clients of a micro-cohort, B images of a batch, C classes, D domains.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]
Inputs = Literal["features", "patches", "pixels"]
Split = Literal["train", "validation", "test"]
Scope = Literal["shared", "personal"]

SPLITS: dict[str, int] = {"train": 0, "validation": 1, "test": 2}
ACCURACIES = ("acc_shared_own", "acc_shared_global", "acc_personal_own", "acc_personal_global")
POOLED = -1  # the client number of a pseudo-client that holds every client's images (centralized training)


@dataclass(frozen=True)
class Context:
    """What a method may know of the task: names and the frozen backbone, never the data."""

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    backbone: Any  # raysim.backbones.Backbone, or None for a method that trains its own network
    image_size: int
    device: torch.device


@dataclass(frozen=True)
class Batch:
    """One stacked batch: `x` [K, B, ...], `y` [K, B] int64, `weight` [K, B] float (1 real, 0 padding)."""

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor


@dataclass(frozen=True)
class ServerState:
    """The server after `round` rounds: what is shared, and what else it keeps."""

    round: int
    shared: Tensors
    extra: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class First:
    """What a run starts from: the first shared tensors, whether clients have models of their own, patches per image where they are used."""

    shared: Tensors
    personal: bool
    patches: int | None


@dataclass(frozen=True)
class Kept:
    """A private state that lies in the run's vault, named by its content."""

    digest: str


Private = Tensors | Kept


@dataclass(frozen=True)
class MicroCohort:
    """A fixed group of clients that train stacked; `private[k]` is None for a client that takes part for the first time.

    `vault` is the folder of the run's large private states.
    """

    index: int
    clients: tuple[int, ...]
    private: tuple[Private | None, ...]
    vault: str = ""


@dataclass(frozen=True)
class Update:
    """What a micro-cohort sends back.

    `sums` is the float64 sum over its clients of (number of images x shared tensor); `each` holds the clients' own shared
    tensors where the method asks for them. `metrics` maps a name to per-client (total, count) arrays.
    """

    index: int
    clients: tuple[int, ...]
    examples: np.ndarray
    sums: Tensors
    each: tuple[Tensors, ...]
    private: tuple[Private, ...]
    metrics: dict[str, tuple[np.ndarray, np.ndarray]]
    bytes_up: int
    bytes_down: int
    flops: float


@dataclass(frozen=True)
class Score:
    """Correct predictions of some clients: `correct` [K, C * D] per class and domain; the shared model has `clients = ()`, K = 1.

    `observed` holds what the method measures about the clients' models, each [K].
    """

    index: int
    scope: Scope
    clients: tuple[int, ...]
    correct: np.ndarray
    flops: float = 0.0
    observed: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Signature:
    """A failure that a run shows: what was measured, the limit it passed, and one clause that says so."""

    name: str
    round: int
    value: float
    limit: float
    detail: str


@dataclass(frozen=True)
class RoundRecord:
    """A finished round: one row of `rounds`, and the rows of `clients` and `classes` where it was evaluated."""

    round: int
    row: dict[str, Any]
    clients: list[dict[str, Any]]
    classes: list[dict[str, Any]]


def nbytes(tensors: Tensors) -> int:
    """Bytes of the payload."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
