"""SCAFFOLD: FedAvg whose clients correct every step by how their own gradients differ from all clients'.

    step:    y <- y - lr (g(y) - c_i + c)
    client:  c_i <- c_i - c + (x - y_K) / (K lr)
    server:  c <- c + (1 / N) sum over participants of (change of c_i)

c_i is the client's control variate, c the server's. A client takes K steps from the server's x to y_K (option
II). N counts all clients of an architecture that can take part; newcomers never do. A change that is lost on
the way (an update that is late or rejected) is missing in c from then on.

Reference: Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning", ICML 2020.

Filled in: under plain SGD, c_i of option II is the mean of the gradients g(y_1) .. g(y_K), and that mean is
taken here. With momentum or Adam (x - y_K) / (K lr) is no gradient (momentum 0.9 makes it up to ten times too
large), but the mean is one. Weight decay is not part of it. Only trained weights that clients share have
variates; statistics of BatchNorm are averaged as in FedAvg.

Not as published: networks are averaged by numbers of images, as everywhere in this package, instead of with
equal weights. Variates are averaged with equal weights, as published.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

import torch

from raysim.core.types import Batch, ClientResult, ServerState, Tensors, Update
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import COMMON, NetworkModel
from raysim.methods.traits import Traits

# before a row's name
SERVER_VARIATE = "c/"
CLIENT_VARIATE = "c_i/"
CHANGE = "change/"  # of the client's variate in this round
GRADIENT_SUM = "gradients/"  # the sum of the client's gradients in this round

TRAINERS = "trainers"  # the clients that can take part


class Scaffold(NetworkMethod):
    """FedAvg with control variates."""

    name: ClassVar[str] = "scaffold"

    @property
    def traits(self) -> Traits:
        """Clients send the change of their variates."""
        return replace(super().traits, sends_aside=True)

    def init_server(
        self, model: NetworkModel, clients: int, trainers: Sequence[int], rng: torch.Generator
    ) -> Tensors:
        """Return variates of zero for every trained weight, and the clients that can take part."""
        weights, statistics = self.init_shared(model, rng), self.buffers(model)
        variates = {
            f"{SERVER_VARIATE}{name}": torch.zeros_like(tensor)
            for name, tensor in weights.items()
            if name not in statistics
        }
        return {TRAINERS: torch.tensor(trainers), **variates}

    def buffers(self, model: NetworkModel) -> frozenset[str]:
        """Return the names of BatchNorm's statistics, and of what a row carries beside the network."""
        weights = [name for name, kind in model.row_names() if kind == "weight"]
        prefixes = (CLIENT_VARIATE, GRADIENT_SUM)
        return super().buffers(model) | {f"{prefix}{name}" for prefix in prefixes for name in weights}

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return the network and the server's variates of it."""
        network = super().broadcast(state, client)
        return network | {
            f"{SERVER_VARIATE}{name}": state.extra[f"{SERVER_VARIATE}{name}"]
            for name in network
            if f"{SERVER_VARIATE}{name}" in state.extra
        }

    def receive(
        self, model: NetworkModel, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return the network, the client's variates (first zero), and zeros for the sum of its gradients."""
        row, measured = super().receive(model, received, private, client, samples)
        corrected = [name for name in row if f"{SERVER_VARIATE}{name}" in received]
        for name in corrected:
            zeros = torch.zeros_like(row[name])
            row[f"{CLIENT_VARIATE}{name}"] = private.get(f"{CLIENT_VARIATE}{name}", zeros)
            row[f"{GRADIENT_SUM}{name}"] = torch.zeros_like(row[name])
        return row, measured

    def adjust(self, params: Tensors, received: Tensors) -> None:
        """Add the gradient g to the sum, then replace it by g - c_i + c."""
        for key in [key for key in params if key.startswith(GRADIENT_SUM)]:
            name = key.removeprefix(GRADIENT_SUM)
            gradient = params[name].grad
            if gradient is not None:
                params[key].add_(gradient)
                gradient.add_(received[f"{SERVER_VARIATE}{name}"] - params[f"{CLIENT_VARIATE}{name}"])

    def finish(
        self, model: NetworkModel, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Send the network and the change of the variates; keep the new variates."""
        result = super().finish(model, row, received, private, steps)
        variates = {
            key.removeprefix(GRADIENT_SUM): total / steps
            for key, total in row.items()
            if key.startswith(GRADIENT_SUM)
        }
        changes = {
            f"{CHANGE}{name}": variate - row[f"{CLIENT_VARIATE}{name}"] for name, variate in variates.items()
        }
        stored = {f"{CLIENT_VARIATE}{name}": variate for name, variate in variates.items()}
        return ClientResult(result.up, changes, {**result.private, **stored})

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """Return the mean network; variates move by the participants' changes over the number of trainers."""
        totals: Tensors = {}

        def with_changes_added() -> Iterator[Update]:
            for update in updates:
                for aside in update.aside:
                    for key, change in aside.items():
                        name = key.removeprefix(CHANGE)
                        totals[name] = totals[name].add_(change) if name in totals else change.double()
                yield update

        after = super().aggregate(state, with_changes_added())
        architectures = [self.architecture(client) for client in state.extra[TRAINERS].tolist()]
        extra = dict(after.extra)
        for name, total in totals.items():
            prefix, before = name.split("/")[0], state.extra[f"{SERVER_VARIATE}{name}"]
            holders = len(architectures) if prefix == COMMON else architectures.count(prefix)
            extra[f"{SERVER_VARIATE}{name}"] = (before.double() + total / holders).to(before.dtype)
        return replace(after, extra=extra)
