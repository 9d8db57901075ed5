"""What a federated method is: a frozen record of hyperparameters, and hooks that default to FedAvg's behaviour.

Shapes: K clients of a micro-cohort, B images of a batch, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from raysim.core.config import Config
from raysim.core.types import (
    Batch,
    ClientResult,
    Context,
    Inputs,
    Scope,
    ServerState,
    Signature,
    Tensors,
    Update,
)

Metrics = dict[str, torch.Tensor]


class Method(Config):
    """A federated method. Fields are its hyperparameters; it holds no state.

    Class attributes:
        name: The word used on the command line and in every table.
        stackable: Whether micro-cohorts may train stacked; else each client trains alone (K = 1).
        pooled: Train one pseudo-client that holds all images (centralized).
        trains: Whether there are rounds at all.
        shares: Whether clients send anything to be averaged.
        segments: Whether it can classify pixels.
        serves: Whether the server works between rounds (`server_step`).
        needs_updates: Whether `aggregate` reads single clients' tensors rather than sums.
        watched: The failure signatures that `failures` looks for, with what each means.
    """

    name: ClassVar[str]
    stackable: ClassVar[bool] = True
    pooled: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    shares: ClassVar[bool] = True
    segments: ClassVar[bool] = False
    serves: ClassVar[bool] = False
    needs_updates: ClassVar[bool] = False
    watched: ClassVar[Mapping[str, str]] = {}

    @property
    def inputs(self) -> Inputs:
        """What an image is to this method: a pooled feature, patch features, or pixels."""
        return "features"

    @property
    def local_epochs_at_evaluation(self) -> int:
        """Epochs of local fine-tuning of the shared tensors before a client is evaluated."""
        return 0

    @property
    def names_classes(self) -> bool:
        """Whether the classifier is made of the classes' names, so that it can name classes that nobody trained on (`task.novel`)."""
        return False

    @property
    def needs_samples(self) -> bool:
        """Whether the server must hold labelled samples of its own (`task.ses`)."""
        return False

    @property
    def keeps(self) -> bool:
        """Whether clients keep something of a round beyond what `init_private` gives: then they have models of their own."""
        return False

    @property
    def sends_aside(self) -> bool:
        """Whether clients send something beside the tensors that are averaged, for `aggregate` to read."""
        return False

    def architecture(self, client: int) -> str:
        """Which model a client trains; clients of one architecture do work of one size."""
        return ""

    def build(self, context: Context) -> Any:
        """The frozen part: computed once per process and shared by all clients."""
        raise NotImplementedError

    def init_shared(self, model: Any, rng: torch.Generator) -> Tensors:
        """The first tensors that the server averages."""
        raise NotImplementedError

    def init_server(self, model: Any, clients: int, rng: torch.Generator) -> Tensors:
        """What else the server keeps from the start; nothing by default."""
        return {}

    def init_private(self, model: Any, rng: torch.Generator, client: int) -> Tensors:
        """A client's first private tensors; none by default."""
        return {}

    def buffers(self, model: Any) -> frozenset[str]:
        """Names of a row that are not trained: running statistics, constants."""
        return frozenset()

    def setup(self, model: Any, samples: Batch) -> int:
        """Bytes that a client gets once, before its first round."""
        return 0

    def server_step(self, model: Any, state: ServerState, samples: Batch, rounds: int) -> ServerState:
        """The server's own work on its samples before a broadcast (where `serves`); `state.round` rounds of `rounds` are done."""
        return state

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """What comes down to a client. The same for all clients of a method that trains them stacked."""
        return state.shared

    def receive(
        self, model: Any, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """The row that a client starts a round with, and what it measured on the way.

        Every name is set: nothing leaks from the client served before.

        Args:
            model: What `build` returned.
            received: What `broadcast` sent.
            private: What the client kept.
            client: Its number.
            samples: The server's samples [1, n, ...], which clients hold as well where `setup` says so; None
                without.
        """
        return {**received, **private}, {}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Each client's loss [K] and its metrics, each [K].

        Args:
            model: What `build` returned.
            params: The clients' rows, each tensor stacked [K, ...].
            received: What came down, not stacked.
            batch: The stacked batch.
        """
        raise NotImplementedError

    def adjust(self, params: Tensors, received: Tensors) -> None:
        """Change the gradients of `params` in place before a step; nothing by default."""

    def finish(
        self, model: Any, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """What a trained client sends and keeps: what came down under the same name goes up, the rest stays.

        Args:
            model: What `build` returned.
            row: The client's row after training.
            received: What came down.
            private: What the client had kept before.
            steps: Optimiser steps that it took.
            rate: Their learning rate.
        """
        up = {name: tensor for name, tensor in row.items() if name in received}
        return ClientResult(up, {}, {name: tensor for name, tensor in row.items() if name not in received})

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """The next server state: the mean of the shared tensors, weighted by numbers of images (FedAvg).

        Updates come in micro-cohort order, each once, and are added in float64 as they come: the bits do not
        depend on the workers, and memory not on the number of clients. A tensor that nobody sent stays as it
        is.
        """
        totals: Tensors = {}
        images: dict[str, float] = {}
        for update in updates:
            for name, total in update.sums.items():
                totals[name] = totals[name].add_(total) if name in totals else total.clone()
                images[name] = images.get(name, 0.0) + update.images
        mean = {name: (total / images[name]).to(state.shared[name].dtype) for name, total in totals.items()}
        return ServerState(state.round + 1, {**state.shared, **mean}, state.extra)

    def server_models(self, state: ServerState) -> list[Tensors]:
        """Rows of the server's own models, one for each architecture; what they get right is averaged."""
        return [state.shared]

    def class_ratios(self, state: ServerState) -> torch.Tensor | None:
        """The class rectification ratios CR [C] that the server sends next, for the analyst's log."""
        return None

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Logits [K, N, C] (of segmentation [K, N, C, S, S]) of inputs `x` [N, ...]; None where the method has no such model."""
        raise NotImplementedError

    def gallery(self, model: Any, row: Tensors, x: torch.Tensor) -> Tensors:
        """Pictures of what a model attends to in images `x` [N, ...]: "soft" and "hard" [N, h, w]; nothing by default."""
        return {}

    def observe(self, model: Any, params: Tensors) -> Metrics:
        """What the analyst should see of each client's model at an evaluation, each [K]; nothing by default. No gradient."""
        return {}

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """The failure signatures that a finished run shows.

        Args:
            rounds: The rows of its `rounds` table on validation, in order.
        """
        return []


def cross_entropy(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy per client over its real images: logits [K, B, C] -> [K]."""
    loss_KB = F.cross_entropy(logits.flatten(0, 1), batch.y.flatten(), reduction="none").view_as(batch.y)
    return (loss_KB * batch.weight).sum(1) / batch.weight.sum(1)


def weighted_sum(stacked: Tensors, examples: np.ndarray) -> Tensors:
    """The float64 sum over clients of (images x tensor): stacked [K, ...] -> [...]."""
    weights = torch.from_numpy(examples.astype(np.float64))
    return {
        name: torch.tensordot(weights, tensor.detach().cpu().double(), dims=1)
        for name, tensor in stacked.items()
    }
