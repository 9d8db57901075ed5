"""FedEMA: a client mixes its own last network with the incoming one, the more of its own the further apart they are.

    W <- mu W_own + (1 - mu) W_server,   mu = min(lambda_i ||W_server - W_own||, 1),   lambda_i = tau / ||W_server - W_own||

lambda_i is fixed at the client's first measurement (the autoscaler), or a constant. Only a client that took
part in the round before mixes; others take the server's network as it is.

The published method is self-supervised (an online encoder and a predictor, each with its rule); this is its
merge in supervised form, of the whole network with one norm over all trained weights. Statistics of BatchNorm
are the server's. A client keeps its own network, the round it was of and lambda_i. Its personal model is the
one that it would start the next round with.

Reference: Zhuang et al., "Divergence-aware Federated Self-Supervised Learning", ICLR 2022.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, ClientResult, ServerState, Tensors
from raysim.methods.networks.base import Model, NetworkMethod
from raysim.methods.networks.personal import kept, merge, own

ROUND = "server/round"  # rounds done, sent with the network
LAST, SCALE = (
    "ema/round",
    "ema/lambda",
)  # the round of the client's own network, and its lambda once it is fixed


class FedEMA(NetworkMethod):
    """FedAvg whose clients mix the incoming network with their own."""

    name: ClassVar[str] = "fedema"

    tau: float = knob(
        0.7,
        "share of the own weights at the first measurement, which fixes lambda; 0 = FedAvg",
        basis="relative",
        source="Zhuang et al.: 0.7 in the text, 0.8 in the code",
        search="{0.7,0.8}, U [0, 1]",
        ge=0,
        le=1,
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
    def keeps(self) -> bool:
        """The client's own network."""
        return True

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """The network and the number of rounds done."""
        return {**super().broadcast(state, client), ROUND: torch.tensor(state.round)}

    def receive(
        self, model: Model, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """The mixed network of a client that took part in the round before, else the server's; and mu."""
        row, _ = super().receive(model, received, {}, client, samples)
        mine = own(private)
        if mine is None:
            return row, {"mu": 0.0}
        mu, _ = self._mixture(model, received, private, mine)
        return {**merge(mine, row, mu, self.buffers(model)), **self.own_norms(model, mine)}, {"mu": mu}

    def _mixture(
        self, model: Model, received: Tensors, private: Tensors, mine: Tensors
    ) -> tuple[float, float | None]:
        """The weight mu of the client's own network, and its lambda (None while nothing has been measured)."""
        scale = float(private[SCALE]) if SCALE in private else self.lam
        if int(private[LAST]) != int(received[ROUND]) - 1:
            return 0.0, scale
        apart = self.buffers(model) | self.own_norms(model, mine).keys()
        squares = [
            (received[name].cpu().double() - tensor.cpu().double()).square().sum()
            for name, tensor in mine.items()
            if name not in apart
        ]
        distance = float(torch.stack(squares).sum().sqrt())
        if distance == 0:
            return 0.0, scale  # they are the same: nothing to mix, and nothing to scale by
        scale = self.tau / distance if scale is None else scale
        return min(scale * distance, 1.0), scale

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """The network goes up and also stays, with its round and lambda."""
        up = super().finish(model, row, received, private, steps, rate).up
        mine = own(private)
        scale = self._mixture(model, received, private, mine)[1] if mine is not None else None
        fixed = {} if scale is None else {SCALE: torch.tensor(scale, dtype=torch.float64)}
        return ClientResult(up, {}, {**kept(up), LAST: received[ROUND], **fixed})
