"""The small records that travel between driver, workers and disk.

Shapes: K clients of a micro-cohort, B images of a batch, S x S pixels, C classes, D domains.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch

Tensors = dict[str, torch.Tensor]
Inputs = Literal["features", "patches", "pixels"]
Split = Literal["train", "validation", "test"]
Scope = Literal["shared", "personal"]
Kind = Literal["classification", "segmentation"]

SPLITS: dict[str, int] = {"train": 0, "validation": 1, "test": 2}
ACCURACIES = ("acc_shared_own", "acc_shared_global", "acc_personal_own", "acc_personal_global")
IGNORE = 255  # the pixel class that counts nowhere
POOLED = -1  # the client number of a pseudo-client that holds every client's images (centralized training)


@dataclass(frozen=True)
class Context:
    """What a method may know of the task: names and the frozen backbone, never the data."""

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    backbone: Any  # raysim.backbones.Backbone, or None for a method that trains its own network
    image_size: int
    device: torch.device
    kind: Kind = "classification"


@dataclass(frozen=True)
class Batch:
    """One stacked batch.

    `x` [K, B, ...]; `y` [K, B] int64, or of segmentation [K, B, S, S] with `IGNORE`; `weight` [K, B] float (1
    real, 0 padding); `rngs`: a generator for each client, for noise inside the model.
    """

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    rngs: tuple[torch.Generator, ...] = ()


@dataclass(frozen=True)
class ServerState:
    """The server after `round` rounds: what it averages, and what else it keeps (class ratios, activations, momentum ..)."""

    round: int
    shared: Tensors
    extra: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Payload:
    """Bytes that one client gets and sends in a round; `weights` is the part of `down` that is weights."""

    down: int
    up: int
    weights: int


@dataclass(frozen=True)
class InitialState:
    """What a run starts from.

    The first server state; whether clients have models of their own; patches per image where they are used;
    bytes that a client gets once; the shared names that are no trained weights; training images (pixels, for
    segmentation) per class [C]; by architecture what a client's round sends, where rounds have a clock.
    """

    state: ServerState
    personal: bool
    patches: int | None
    setup: int
    buffers: frozenset[str]
    totals: np.ndarray
    payloads: dict[str, Payload] = field(default_factory=dict)


@dataclass(frozen=True)
class ClientResult:
    """What a client's round leaves: what goes up to be averaged, what goes up beside it, and what stays."""

    up: Tensors
    aside: Tensors
    private: Tensors


@dataclass(frozen=True)
class StoredState:
    """A private state that lies in the run's vault, named by its content."""

    digest: str


Private = Tensors | StoredState


@dataclass(frozen=True)
class MicroCohort:
    """A fixed group of clients that train stacked; `private[k]` is None for a client that takes part for the first time.

    `vault` is the folder of the run's large private states; `each`: the clients' own tensors are wanted,
    beside their sum.
    """

    index: int
    clients: tuple[int, ...]
    private: tuple[Private | None, ...]
    vault: str = ""
    each: bool = False


@dataclass(frozen=True)
class Update:
    """What a micro-cohort sends back.

    `sums` is the float64 sum over its clients of (number of images x tensor sent up), `images` the number of
    images behind it; `aside` holds what each client sent beside it, `each` the clients' own tensors where
    they are wanted. `metrics` maps a name to per-client (total, count) arrays. `bytes_*_weights` is the part
    of the traffic that is weights of the network or prompt.
    """

    index: int
    clients: tuple[int, ...]
    examples: np.ndarray
    sums: Tensors
    aside: tuple[Tensors, ...]
    each: tuple[Tensors, ...]
    private: tuple[Private, ...]
    metrics: dict[str, tuple[np.ndarray, np.ndarray]]
    bytes_up: int
    bytes_down: int
    bytes_weights_up: int
    bytes_weights_down: int
    flops: float

    @property
    def images(self) -> float:
        """Images of its clients."""
        return float(self.examples.sum())

    def light(self) -> Update:
        """Without tensors, for what is written down; numbers are copied, because as views they would hold the whole message in memory."""
        metrics = {name: (totals.copy(), counts.copy()) for name, (totals, counts) in self.metrics.items()}
        return replace(self, sums={}, aside=(), each=(), examples=self.examples.copy(), metrics=metrics)


@dataclass(frozen=True)
class Score:
    """Correct predictions of some clients: `correct` [K, C * D] per class and domain; the shared model has `clients = ()`, K = 1.

    Of segmentation: [K, C * D, C, 2], pixels in intersection and union per images' class and domain, and per
    pixel class.

    `observed` holds what the method measures about the clients' models, each [K]; `novel` the share of the
    novel classes' images that the shared model tells apart by their names, where there are such classes.
    """

    index: int
    scope: Scope
    clients: tuple[int, ...]
    correct: np.ndarray
    flops: float = 0.0
    observed: dict[str, np.ndarray] = field(default_factory=dict)
    novel: float | None = None


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
    """A finished round: one row of `rounds`, the rows of `clients`, those of `classes` where it was evaluated, and class ratios."""

    round: int
    row: dict[str, Any]
    clients: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    ratios: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Gallery:
    """What a model attends to: `arrays` and `shown` (a row each) of some images, `rows` of all whose foreground is known."""

    arrays: dict[str, np.ndarray]
    shown: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def nbytes(tensors: Tensors) -> int:
    """Bytes of the payload."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


TRAFFIC = ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down")


TOTALS = (*TRAFFIC, "flops", "seconds")


RESULTS = (*ACCURACIES, "worst_client_accuracy", "p10_client_accuracy")


EXTRAS = (
    "acc_shared_newcomers",
    "acc_personal_newcomers",
    "acc_base",
    "acc_novel",
    "acc_harmonic",
)  # None where not asked for


MEASURED = (*RESULTS, *EXTRAS)


Row = dict[str, Any]
