"""MOON: FedAvg whose clients keep their features near the global network's and away from their last one's.

    L = L_CE + mu mean_x -log( g / (g + p) )
    g = exp(cos(z, z_global) / T),    p = exp(cos(z, z_previous) / T)

z, z_global and z_previous are features of the same images: by the network in training, by the received one,
and by the one with which the client ended its last round. Before a client's first round the previous network
is the global one; the term is then log 2 and has no gradient.

Reference: Li, He, Song, "Model-Contrastive Federated Learning", CVPR 2021.

Not as published: z is the pooled last map of the backbone, without a projection head of its own, so that
networks stay those of the other methods.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
import torch.nn.functional as F

from raysim.core.config import knob
from raysim.core.types import Batch, ClientResult, Tensors
from raysim.methods.base import Metrics
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel
from raysim.methods.networks.stored import STORED, store_network, stored_network


class MOON(NetworkMethod):
    """FedAvg with a contrast between networks; mu = 0 is FedAvg."""

    name: ClassVar[str] = "moon"
    stacks: ClassVar[bool] = False  # its loss runs three networks of one client

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
        used_when=("mu above 0", lambda self: self.mu > 0),
    )

    def buffers(self, model: NetworkModel) -> frozenset[str]:
        """Return the names of BatchNorm's statistics and of the previous network."""
        return super().buffers(model) | {f"{STORED}{name}" for name, _ in model.row_names()}

    def receive(
        self, model: NetworkModel, received: Tensors, private: Tensors, client: int, samples: Batch | None
    ) -> tuple[Tensors, dict[str, float]]:
        """Return the received network, and beside it the previous one."""
        row, measured = super().receive(model, received, private, client, samples)
        previous = {**(stored_network(private) or row), **self.private_norms(model, row)}
        return {**row, **store_network(previous)}, measured

    def loss(
        self, model: NetworkModel, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy and the contrast, [1]."""
        if self.mu == 0:
            return super().loss(model, params, received, batch)
        row = {name: tensor[0] for name, tensor in params.items()}
        output = self.forward(model, row, batch.x[0], batch.rngs[0])
        ce_K = self.cross_entropy(output.logits, batch.y[0], self.class_weights(received))
        previous = stored_network(row) or row
        # where clients keep BatchNorm, the global network has the one that this client started with
        received = {**received, **self.private_norms(model, previous)}
        with torch.no_grad():
            global_Bd = self.forward(model, received, batch.x[0]).features
            previous_Bd = self.forward(model, previous, batch.x[0]).features
        contrast_K = contrast(output.features, global_Bd, previous_Bd, self.temperature)[None]
        return ce_K + self.mu * contrast_K, {"loss_ce": ce_K.detach(), "loss_contrast": contrast_K.detach()}

    def finish(
        self, model: NetworkModel, row: Tensors, received: Tensors, private: Tensors, steps: int
    ) -> ClientResult:
        """Send the network, and keep a copy of what is sent."""
        result = super().finish(model, row, received, private, steps)
        return replace(result, private={**result.private, **store_network(result.up)})


def contrast(
    z_Bd: torch.Tensor, global_Bd: torch.Tensor, previous_Bd: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean over the batch of log(1 + exp((cos(z, previous) - cos(z, global)) / T)), a scalar."""
    # where both are one network the difference is exactly 0, and so is the gradient
    difference_Bd = F.normalize(previous_Bd, dim=1) - F.normalize(global_Bd, dim=1)
    return F.softplus((F.normalize(z_Bd, dim=1) * difference_Bd).sum(1) / temperature).mean()
