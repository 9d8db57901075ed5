"""MOON: FedAvg whose clients keep their features near the global network's and away from their own previous network's.

    L = L_CE + mu mean_x -log( exp(cos(z, z_global) / T) / (exp(cos(z, z_global) / T) + exp(cos(z, z_previous)
    / T)) )

z, z_global, z_previous are features of the same images by the network in training, the one that came, and the
one that the client ended its last round with. Before a client's first round the previous network is the
global one: the term is then log 2 with no gradient.

Not as published: z is the pooled last map of the backbone, without a projection head of its own, so that
networks stay those of the other methods.

Reference: Li, He, Song, "Model-Contrastive Federated Learning", CVPR 2021.
"""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F

from raysim.core.config import knob
from raysim.core.types import Batch, ClientResult, Tensors
from raysim.methods.base import Metrics
from raysim.methods.networks.base import Model, NetworkMethod
from raysim.methods.networks.personal import OWN, kept, own


class MOON(NetworkMethod):
    """FedAvg with a contrast between networks; mu = 0 is FedAvg."""

    name: ClassVar[str] = "moon"

    mu: float = knob(
        1.0,
        "weight of the contrast; 0 = FedAvg",
        basis="relative",
        source="Li et al.: 5 on CIFAR-10, 1 on CIFAR-100",
        search="{0.1,1,5,10}",
        ge=0,
        le=1000,
    )
    temperature: float = knob(
        0.5,
        "temperature T of the contrast",
        basis="relative",
        source="Li et al.",
        search="{0.1,0.5,1}",
        gt=0,
        le=100,
    )

    def buffers(self, model: Model) -> frozenset[str]:
        """BatchNorm's statistics and the previous network."""
        return super().buffers(model) | {f"{OWN}{name}" for name, _ in model.names()}

    def receive(
        self, model: Model, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """The incoming network, and beside it the previous one."""
        row, measured = super().receive(model, received, private, client, samples)
        return {**row, **kept(own(private) or row)}, measured

    def loss(
        self, model: Model, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy and the contrast, [1]."""
        if self.mu == 0:
            return super().loss(model, params, received, batch)
        row = {name: tensor[0] for name, tensor in params.items()}
        output = self.forward(model, row, batch.x[0], batch.rngs[0])
        ce_K = self.cross_entropy(output.logits, batch.y[0], self.class_weights(received))
        with torch.no_grad():
            near_Bd = self.forward(model, received, batch.x[0]).features
            away_Bd = self.forward(model, own(row) or row, batch.x[0]).features
        contrast_K = contrast(output.features, near_Bd, away_Bd, self.temperature)[None]
        return ce_K + self.mu * contrast_K, {"loss_ce": ce_K.detach(), "loss_contrast": contrast_K.detach()}

    def finish(
        self, model: Model, row: Tensors, received: Tensors, private: Tensors, steps: int, rate: float
    ) -> ClientResult:
        """The network goes up and also stays."""
        sent = super().finish(model, row, received, private, steps, rate)
        return ClientResult(sent.up, {}, {**sent.private, **kept(sent.up)})


def contrast(
    z_Bd: torch.Tensor, near_Bd: torch.Tensor, away_Bd: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean of log(1 + exp((cos(z, away) - cos(z, near)) / T)) over the batch, a scalar."""
    apart_Bd = F.normalize(away_Bd, dim=1) - F.normalize(
        near_Bd, dim=1
    )  # exactly 0, and no gradient, where they are one network
    return F.softplus((F.normalize(z_Bd, dim=1) * apart_Bd).sum(1) / temperature).mean()
