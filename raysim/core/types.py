"""Records that travel between driver, workers and disk.

Shapes: K clients of a micro-cohort, B images of a batch, S x S pixels, C classes, D domains.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # the names and constants of this file are needed where no tensor is
    import numpy as np
    import torch

Tensors = dict[str, "torch.Tensor"]
Inputs = Literal["features", "patches", "pixels"]
Split = Literal["train", "validation", "test"]
Scope = Literal["shared", "personal"]
TaskKind = Literal["classification", "segmentation"]

SPLITS: dict[str, int] = {"train": 0, "validation": 1, "test": 2}
IGNORE = 255  # pixel class that enters no loss and no accuracy
POOLED = -1  # number of the pseudo-client that holds the images of all clients (centralized training)


@dataclass(frozen=True, kw_only=True)
class Context:
    """The task as a method sees it: names, sizes and the frozen backbone, never the data."""

    classes: tuple[str, ...]
    templates: tuple[str, ...]
    backbone: Any  # raysim.backbones.Backbone, or None for a method that trains its own network
    image_size: int
    device: torch.device
    kind: TaskKind = "classification"


@dataclass(frozen=True)
class Batch:
    """Batches of K clients, stacked.

    Attributes:
        x: Inputs. [K, B, ...]
        y: Classes, int64. [K, B]; in segmentation [K, B, S, S] with `IGNORE`
        weight: 1 for an image, 0 for padding. [K, B]
        rngs: A generator for each client, for noise inside the model.
        counts: Images of each client without padding; empty: there is no padding. K
    """

    x: torch.Tensor
    y: torch.Tensor
    weight: torch.Tensor
    rngs: tuple[torch.Generator, ...] = ()
    counts: tuple[int, ...] = ()


@dataclass(frozen=True)
class ServerState:
    """State of the server after `round` rounds: shared tensors and extra ones (class ratios, momentum)."""

    round: int
    shared: Tensors
    extra: Tensors = field(default_factory=dict)


@dataclass(frozen=True)
class Payload:
    """Bytes that a client receives and sends in a round; `weights` is the part of `down` that is weights."""

    down: int
    up: int
    weights: int


@dataclass(frozen=True, kw_only=True)
class InitialState:
    """Start of a run, as an engine's workers build it.

    Attributes:
        state: First state of the server.
        personal: Whether clients have models of their own.
        patches: Patches per image; None where the method uses none.
        setup: Bytes that a client receives once, before the first round.
        buffers: Names of the shared tensors that are not trained weights.
        totals: Training images of each class, in segmentation pixels. [C]
        payloads: Bytes per round of a client, by architecture; empty without a virtual clock.
        flops_server: Floating-point operations of the server's own work before the first round.
        image_size: Side of an image in pixels, as the method gets it.
        backbone: Fingerprint of the frozen backbone; empty without one.
    """

    state: ServerState
    personal: bool
    patches: int | None
    setup: int
    buffers: frozenset[str]
    totals: np.ndarray
    payloads: dict[str, Payload] = field(default_factory=dict)
    flops_server: float = 0.0
    image_size: int = 0
    backbone: str = ""


@dataclass(frozen=True)
class ClientResult:
    """Tensors after a client's round: sent to be averaged, sent aside from the average, and kept private."""

    up: Tensors
    aside: Tensors
    private: Tensors


@dataclass(frozen=True)
class StoredState:
    """Reference to a private state in the run's vault: the digest of its content."""

    digest: str


Private = Tensors | StoredState


@dataclass(frozen=True)
class MicroCohort:
    """Fixed group of clients that train stacked.

    Attributes:
        index: Place in the round.
        clients: Numbers of the clients. K
        private: Their private states; None for a client that takes part for the first time. K
        vault: Folder of the run's large private states.
        needs_client_tensors: Whether the update must carry every client's tensors, besides their sum.
    """

    index: int
    clients: tuple[int, ...]
    private: tuple[Private | None, ...]
    vault: str = ""
    needs_client_tensors: bool = False


@dataclass(frozen=True, kw_only=True)
class Update:
    """Result of a micro-cohort's training.

    Attributes:
        index: Place of the micro-cohort in the round.
        clients: Numbers of its clients. K
        examples: Training images of each client. [K]
        sums: For each tensor sent up the float64 sum over clients of (images x tensor).
        aside: For each client the tensors sent aside from the average. K
        client_tensors: For each client the tensors sent up; empty where only their sum is needed. K
        private: For each client the new private state. K
        metrics: By name (totals, counts), each [K].
        bytes_up: Bytes sent by the clients.
        bytes_down: Bytes received by the clients.
        bytes_weights_up: Part of `bytes_up` that is weights of the network or prompt.
        bytes_weights_down: Part of `bytes_down` that is weights of the network or prompt.
        flops: Floating-point operations of the training.
    """

    index: int
    clients: tuple[int, ...]
    examples: np.ndarray
    sums: Tensors
    aside: tuple[Tensors, ...]
    client_tensors: tuple[Tensors, ...]
    private: tuple[Private, ...]
    metrics: dict[str, tuple[np.ndarray, np.ndarray]]
    bytes_up: int = 0
    bytes_down: int = 0
    bytes_weights_up: int = 0
    bytes_weights_down: int = 0
    flops: float = 0.0

    @property
    def images(self) -> float:
        """Training images of all its clients."""
        return float(self.examples.sum())

    def light(self) -> Update:
        """Return the update without tensors, for the tables.

        Numbers are copied: as views they would keep the whole message in memory.
        """
        metrics = {name: (totals.copy(), counts.copy()) for name, (totals, counts) in self.metrics.items()}
        return replace(
            self, sums={}, aside=(), client_tensors=(), examples=self.examples.copy(), metrics=metrics
        )


@dataclass(frozen=True)
class Score:
    """Correct predictions of some clients' models, or of the shared model (`clients = ()`, K = 1).

    Attributes:
        index: Place of the micro-cohort.
        scope: Whether the shared parameters alone predict, or shared and private ones together.
        clients: Numbers of the clients. K
        correct: Correct predictions per class and domain of the images. [K, C * D]; in segmentation pixels
            in intersection and union, also per pixel class. [K, C * D, C, 2]
        flops: Floating-point operations of the evaluation.
        observed: Measures of the method about the clients' models, by name, each [K].
        novel: Accuracy of the shared model on the images of novel classes; None without such classes.
        right: Which images of the split each model names rightly, as packed bits: the K clients' models, or
            the M models of the server. [K or M, ceil(N / 8)] uint8; None where this is not kept.
    """

    index: int
    scope: Scope
    clients: tuple[int, ...]
    correct: np.ndarray
    flops: float = 0.0
    observed: dict[str, np.ndarray] = field(default_factory=dict)
    novel: float | None = None
    right: np.ndarray | None = None


@dataclass(frozen=True)
class Signature:
    """A failure seen in a run: the measured value, the limit that it passed, and one clause that says so."""

    name: str
    round: int
    value: float
    limit: float
    detail: str


@dataclass(frozen=True, kw_only=True)
class RoundRecord:
    """A finished round as rows of the tables `rounds` (one row), `clients`, `classes`, `ratios`, `images`."""

    round: int
    row: dict[str, Any]
    clients: list[dict[str, Any]]
    classes: list[dict[str, Any]]
    ratios: list[dict[str, Any]] = field(default_factory=list)
    images: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Gallery:
    """Masks of a model: `arrays` and `shown` of some images, `rows` of all images with a known foreground."""

    arrays: dict[str, np.ndarray]
    shown: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def nbytes(tensors: Tensors) -> int:
    """Return the bytes of all tensors together."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
