"""The contract of a federated method: a frozen record of hyperparameters, and hooks that default to FedAvg.

A *row* is the named tensors of one client (or of a model of the server). The clients of a micro-cohort have
their rows stacked, [K, ...].

Shapes: K clients of a micro-cohort, B images of a batch, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F

from raysim.core.config import Config
from raysim.core.types import Batch, ClientResult, Context, Scope, ServerState, Tensors, Update
from raysim.methods.diagnosis import Diagnosis
from raysim.methods.traits import Traits

Metrics = dict[str, torch.Tensor]


class Method(Config):
    """A federated method. Its fields are its hyperparameters; it holds no state.

    A method writes at least `init_shared`, `loss` and `predict`. The other hooks default to FedAvg.

    Class attributes:
        name: The word used on the command line and in every table.
    """

    name: ClassVar[str]

    # What the method is

    @property
    def traits(self) -> Traits:
        """The method's traits; a subclass returns `replace(super().traits, ...)` with what differs."""
        return Traits(
            serves=type(self).server_step is not Method.server_step,
            personal=len(self.architectures) > 1,
        )

    @property
    def architectures(self) -> tuple[str, ...]:
        """Names of the models that clients train, dealt to the clients in turn; a single one by default."""
        return (self.name,)

    def architecture(self, client: int) -> str:
        """Return the model that a client trains; clients of one architecture do work of one size."""
        return self.architectures[max(client, 0) % len(self.architectures)]

    @property
    def diagnosis(self) -> Diagnosis:
        """Diagnosis of the method for the analyst; empty by default."""
        return Diagnosis()

    # First tensors

    def build(self, context: Context) -> Any:
        """Return the frozen part, which other hooks get as `model`; by default the context.

        It is made once per process and serves all clients.
        """
        return context

    def buffers(self, model: Any) -> frozenset[str]:
        """Return the names of a row that are not trained: running statistics, constants; none by default."""
        return frozenset()

    def init_shared(self, model: Any, rng: torch.Generator) -> Tensors:
        """Return the first tensors that the server averages."""
        raise NotImplementedError

    def init_server(self, model: Any, clients: int, trainers: Sequence[int], rng: torch.Generator) -> Tensors:
        """Return what else the server keeps from the start (`ServerState.extra`); nothing by default.

        Args:
            model: What `build` returned.
            clients: Number of all clients.
            trainers: Numbers of those that can take part in training; newcomers never do.
            rng: Random numbers of the server.
        """
        return {}

    def init_private(self, model: Any, rng: torch.Generator, client: int) -> Tensors:
        """Return a client's first private tensors; none by default."""
        return {}

    # A round, in this order

    def server_step(self, model: Any, state: ServerState, samples: Batch, rounds: int) -> ServerState:
        """Let the server work on its own samples before it sends anything; nothing by default.

        Args:
            model: What `build` returned.
            state: The server after `state.round` of `rounds` rounds.
            samples: The server's labelled samples [1, n, ...].
            rounds: Rounds of the whole run.
        """
        return state

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return what the server sends to a client; the same for all clients of a method that stacks them."""
        return state.shared

    def receive(
        self, model: Any, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return the row that a client starts a round with, and what it measured before the round.

        The row has every name that the client uses, so that nothing of another client remains in it.

        Args:
            model: What `build` returned.
            received: What `broadcast` sent.
            private: What the client kept from its last round.
            client: The client's number.
            samples: The server's samples [1, n, ...] where the method needs them, else None.
        """
        return {**received, **private}, {}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Return each client's loss [K] and its metrics, each [K].

        Args:
            model: What `build` returned.
            params: The clients' rows, each tensor stacked [K, ...].
            received: What `broadcast` sent, not stacked.
            batch: The stacked batch.
        """
        raise NotImplementedError

    def rate_factor(self, name: str) -> float:
        """Return the learning rate of a trained tensor over that of the others; 1 by default.

        The optimiser applies it to the whole step: gradient, momentum and weight decay, with SGD and Adam.
        """
        return 1.0

    def adjust(self, params: Tensors, received: Tensors) -> None:
        """Change the gradients of `params` in place before an optimiser step; nothing by default."""

    def finish(
        self, model: Any, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Return what a trained client sends and keeps: names that were received are sent, the rest is kept.

        Args:
            model: What `build` returned.
            row: The client's row after training.
            received: What `broadcast` sent.
            private: What the client had kept before.
            steps: Optimiser steps that the client took.
        """
        sent = {name: tensor for name, tensor in row.items() if name in received}
        return ClientResult(sent, {}, {name: tensor for name, tensor in row.items() if name not in received})

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """Return the next server state: the mean of the clients' tensors, weighted by numbers of images.

        Updates come in micro-cohort order, each once, and are added in float64 as they come. So the bits do
        not depend on the number of workers, and memory does not grow with the number of clients. A tensor
        that no client sent stays as it is.
        """
        totals: Tensors = {}
        images: dict[str, float] = {}
        for update in updates:
            for name, total in update.sums.items():
                totals[name] = totals[name].add_(total) if name in totals else total.clone()
                images[name] = images.get(name, 0.0) + update.images
        mean = {name: (total / images[name]).to(state.shared[name].dtype) for name, total in totals.items()}
        return ServerState(state.round + 1, {**state.shared, **mean}, state.extra)

    # Prediction

    def server_models(self, state: ServerState) -> list[Tensors]:
        """Return the rows of the server's own models, one for each architecture; none where it has none."""
        return [state.shared]

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Return the logits of each client's model; None where the method has no model of this scope.

        Args:
            model: What `build` returned.
            params: The clients' rows, each tensor stacked [K, ...].
            x: Inputs [N, ...], as `traits.inputs` says.
            scope: "shared" (the shared tensors alone) or "personal" (shared and private tensors).

        Returns:
            Logits [K, N, C], of segmentation [K, N, C, S, S].
        """
        raise NotImplementedError


def cross_entropy(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Mean cross-entropy of each client over its images without padding: logits [K, B, C] -> [K]."""
    loss_KB = F.cross_entropy(logits.flatten(0, 1), batch.y.flatten(), reduction="none").view_as(batch.y)
    return (loss_KB * batch.weight).sum(1) / batch.weight.sum(1)


def weighted_sum(stacked: Tensors, examples: np.ndarray) -> Tensors:
    """Sum over clients of (number of images x tensor), in float64: stacked [K, ...] -> [...]."""
    weights = torch.from_numpy(examples.astype(np.float64))
    return {
        name: torch.tensordot(weights, tensor.detach().cpu().double(), dims=1)
        for name, tensor in stacked.items()
    }
