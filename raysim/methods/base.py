"""What a federated method is: a frozen record of hyperparameters, and hooks that default to FedAvg's behaviour.

Shapes: K clients of a micro-cohort, B images of a batch, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from raysim.config import Config
from raysim.types import Batch, Context, Inputs, Scope, ServerState, Signature, Tensors, Update

Metrics = dict[str, torch.Tensor]


class Method(Config):
    """A federated method. Fields are its hyperparameters; it holds no state.

    Class attributes:
        name: The word used on the command line and in every table.
        stackable: Whether micro-cohorts may train stacked; else each client trains alone (K = 1).
        pooled: Train one pseudo-client that holds all images (centralized).
        trains: Whether there are rounds at all.
        needs_updates: Whether `aggregate` reads single clients' tensors rather than sums.
        watched: The failure signatures that `failures` looks for, with what each means.
    """

    name: ClassVar[str]
    stackable: ClassVar[bool] = True
    pooled: ClassVar[bool] = False
    trains: ClassVar[bool] = True
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

    def build(self, context: Context) -> Any:
        """The frozen part: computed once per process and shared by all clients."""
        raise NotImplementedError

    def init_shared(self, model: Any, rng: torch.Generator) -> Tensors:
        """The first shared tensors."""
        raise NotImplementedError

    def init_private(self, model: Any, rng: torch.Generator) -> Tensors:
        """A client's first private tensors; none by default."""
        return {}

    def receive(self, shared: Tensors, private: Tensors) -> Tensors:
        """What a client starts a round with. Every trainable name is set: nothing leaks from the client served before."""
        return {**shared, **private}

    def loss(self, model: Any, params: Tensors, received: Tensors, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """Each client's loss [K] and its metrics, each [K].

        Args:
            model: What `build` returned.
            params: Trainable tensors, each stacked [K, ...].
            received: The shared tensors as they came down, not stacked.
            batch: The stacked batch.
        """
        raise NotImplementedError

    def aggregate(self, state: ServerState, updates: Sequence[Update]) -> ServerState:
        """The next server state: the mean of the shared tensors, weighted by numbers of images (FedAvg).

        Updates come in micro-cohort order and are added in float64, so that the bits do not depend on the workers.
        """
        weight = float(sum(update.examples.sum() for update in updates))
        shared = {}
        for name, tensor in state.shared.items():
            total = torch.zeros(tensor.shape, dtype=torch.float64)
            for update in updates:
                total += update.sums[name]
            shared[name] = (total / weight).to(tensor.dtype)
        return ServerState(state.round + 1, shared, state.extra)

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Logits [K, N, C] of inputs `x` [N, ...]; None where the method has no such model (local-only has nothing shared)."""
        raise NotImplementedError

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
    return {name: torch.tensordot(weights, tensor.detach().cpu().double(), dims=1) for name, tensor in stacked.items()}
