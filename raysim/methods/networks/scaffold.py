"""SCAFFOLD: FedAvg whose clients correct every step by how their own gradients differ from everybody's.

    step:    y <- y - lr (g(y) - c_i + c)                          c_i the client's control variate, c the server's
    client:  c_i <- c_i - c + (x - y_K) / (K lr)                   option II; K steps from the server's x to y_K
    server:  c <- c + (1 / N) sum over participants of (change of c_i)       N all clients (of that architecture)

Under plain SGD option II is the mean of the step's own gradients g(y_1) .. g(y_K), and that mean is what is
taken here: with momentum or Adam (x - y_K) / (K lr) is no gradient (momentum 0.9 makes it up to ten times too
large), the mean still is. Weight decay is no part of it. Variates belong to trained weights that clients
share; statistics of BatchNorm are averaged as in FedAvg.

Not as published: networks are averaged by numbers of images, as everywhere here, not alike (the variates are,
as published).

Reference: Karimireddy et al., "SCAFFOLD: Stochastic Controlled Averaging for Federated Learning", ICML 2020.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import ClassVar

import torch

from raysim.core.types import Batch, ClientResult, ServerState, Tensors, Update
from raysim.methods.networks.base import COMMON, Model, NetworkMethod

SERVER, CLIENT, CHANGE = (
    "c/",
    "c_i/",
    "change/",
)  # before a row's name: the variates, and what a client adds to the server's
SUM = "gradients/"  # the sum of the client's gradients in this round
CLIENTS = "clients"


class Scaffold(NetworkMethod):
    """FedAvg with control variates."""

    name: ClassVar[str] = "scaffold"

    @property
    def sends_aside(self) -> bool:
        """The change of the client's variates."""
        return True

    def init_server(self, model: Model, clients: int, rng: torch.Generator) -> Tensors:
        """Variates of zero for every trained weight, and the number of clients."""
        weights, statistics = self.init_shared(model, rng), self.buffers(model)
        variates = {
            f"{SERVER}{name}": torch.zeros_like(tensor)
            for name, tensor in weights.items()
            if name not in statistics
        }
        return {CLIENTS: torch.tensor(clients), **variates}

    def buffers(self, model: Model) -> frozenset[str]:
        """BatchNorm's statistics, and what a row carries beside the network."""
        weights = [name for name, kind in model.names() if kind == "weight"]
        return super().buffers(model) | {f"{kind}{name}" for kind in (CLIENT, SUM) for name in weights}

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """The network and the server's variates of it."""
        network = super().broadcast(state, client)
        return network | {
            f"{SERVER}{name}": state.extra[f"{SERVER}{name}"]
            for name in network
            if f"{SERVER}{name}" in state.extra
        }

    def receive(
        self, model: Model, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """The network, the client's variates (zero before its first round), and room for the sum of its gradients."""
        row, measured = super().receive(model, received, private, client, samples)
        apart = self.own_norms(model, row)
        for name in [name for name in row if f"{SERVER}{name}" in received and name not in apart]:
            row[f"{CLIENT}{name}"] = private.get(f"{CLIENT}{name}", torch.zeros_like(row[name]))
            row[f"{SUM}{name}"] = torch.zeros_like(row[name])
        return row, measured

    def adjust(self, params: Tensors, received: Tensors) -> None:
        """Note the gradient g, then make it g - c_i + c."""
        for key in [key for key in params if key.startswith(SUM)]:
            name = key.removeprefix(SUM)
            gradient = params[name].grad
            if gradient is not None:
                params[key].add_(gradient)
                gradient.add_(received[f"{SERVER}{name}"] - params[f"{CLIENT}{name}"])

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """The network and the change of the variates go up, the new variates stay."""
        sent = super().finish(model, row, received, private, steps, rate)
        new = {key.removeprefix(SUM): total / steps for key, total in row.items() if key.startswith(SUM)}
        change = {f"{CHANGE}{name}": variate - row[f"{CLIENT}{name}"] for name, variate in new.items()}
        return ClientResult(
            sent.up, change, {**sent.private, **{f"{CLIENT}{name}": variate for name, variate in new.items()}}
        )

    def aggregate(self, state: ServerState, updates: Iterable[Update]) -> ServerState:
        """The mean network; the variates move by the participants' changes over the number of all clients."""
        totals: Tensors = {}

        def passing() -> Iterator[Update]:
            for update in updates:
                for aside in update.aside:
                    for key, change in aside.items():
                        name = key.removeprefix(CHANGE)
                        totals[name] = totals[name].add_(change) if name in totals else change.double()
                yield update

        after = super().aggregate(state, passing())
        everybody = [self.architecture(client) for client in range(int(state.extra[CLIENTS]))]
        extra = dict(after.extra)
        for name, total in totals.items():
            place, before = name.split("/")[0], state.extra[f"{SERVER}{name}"]
            holders = len(everybody) if place == COMMON else everybody.count(place)
            extra[f"{SERVER}{name}"] = (before.double() + total / holders).to(before.dtype)
        return replace(after, extra=extra)
