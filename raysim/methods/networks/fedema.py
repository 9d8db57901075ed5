"""FedEMA: a client mixes its last network with the received one by the distance between the two.

    W <- mu W_client + (1 - mu) W_server,    mu = min(lambda_i ||W_server - W_client||, 1)

lambda_i = tau / ||W_server - W_client|| is fixed at the client's first measurement (the autoscaler), or it is
a constant. Only a client that took part in the round before mixes; the others take the server's network.

Reference: Zhuang et al., "Divergence-aware Federated Self-Supervised Learning", ICLR 2022.

Not as published: the method is self-supervised there (an online encoder and a predictor, each with its rule).
This is its merge in supervised form, of the whole network with one norm over all trained weights. Filled in:
statistics of BatchNorm are the server's; a client keeps its own network, the round of it, and lambda_i; its
personal model is the one with which it would start the next round.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, ClientResult, ServerState, Tensors
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel
from raysim.methods.networks.stored import merge, store_network, stored_network
from raysim.methods.traits import Traits

ROUND = "server/round"  # finished rounds, sent with the network
LAST_ROUND = "ema/round"  # the round of the client's own network
LAMBDA = "ema/lambda"  # the client's lambda, once it is fixed


class FedEMA(NetworkMethod):
    """FedAvg whose clients mix the received network with their own."""

    name: ClassVar[str] = "fedema"

    tau: float = knob(
        0.7,
        "share of the own weights at the first measurement, which fixes lambda; 0 = FedAvg",
        basis="relative",
        source="Zhuang et al.: 0.7 in the text, 0.8 in the code",
        search="{0.7,0.8}, U [0, 1]",
        ge=0,
        le=1,
        used_when=("lam=null", lambda self: self.lam is None),
    )
    lam: float | None = knob(
        None,
        "a constant lambda in place of the autoscaler's",
        basis="relative",
        source="Zhuang et al.: 1 without the autoscaler",
        search="null, {1}",
        ge=0,
        le=1e6,
    )

    @property
    def traits(self) -> Traits:
        """Clients have networks of their own."""
        return replace(super().traits, personal=True)

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return the network and the number of finished rounds."""
        return {**super().broadcast(state, client), ROUND: torch.tensor(state.round)}

    def receive(
        self, model: NetworkModel, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return the mixed network if the client took part in the last round, else the server's; and mu."""
        row, _ = super().receive(model, received, private, client, samples)
        network = stored_network(private)
        if network is None:
            return row, {"mu": 0.0}
        mu, _ = self._mixture(model, received, private, network)
        return merge(network, row, mu, self.buffers(model)), {"mu": mu}

    def _mixture(
        self, model: NetworkModel, received: Tensors, private: Tensors, network: Tensors
    ) -> tuple[float, float | None]:
        """Return the weight mu of the client's own network, and lambda; None before its first measurement."""
        lam = float(private[LAMBDA]) if LAMBDA in private else self.lam
        if int(private[LAST_ROUND]) != int(received[ROUND]) - 1:
            return 0.0, lam
        excluded = self.buffers(model)
        squares = [
            (received[name].cpu().double() - tensor.cpu().double()).square().sum()
            for name, tensor in sorted(network.items())  # a file gives them in no fixed order
            if name not in excluded
        ]
        distance = float(torch.stack(squares).sum().sqrt())
        if distance == 0:
            return 0.0, lam  # equal networks: nothing to mix, and no distance that could fix lambda
        lam = self.tau / distance if lam is None else lam
        return min(lam * distance, 1.0), lam

    def finish(
        self, model: NetworkModel, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Send the network; keep a copy of it with its round and lambda."""
        result = super().finish(model, row, received, private, steps)
        network = stored_network(private)
        lam = self._mixture(model, received, private, network)[1] if network is not None else None
        fixed = {} if lam is None else {LAMBDA: torch.tensor(lam, dtype=torch.float64)}
        stored = {**store_network(result.up), LAST_ROUND: received[ROUND].clone(), **fixed}
        return replace(result, private={**result.private, **stored})
