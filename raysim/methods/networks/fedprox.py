"""FedProx: FedAvg with a proximal term that keeps a client's network near the one that the server sent.

    L_k = L_CE + (mu / 2) ||w - w_server||^2

The norm is over trained weights that clients share: not over the statistics of BatchNorm, nor over BatchNorm
layers that clients keep to themselves.

Reference: Li et al., "Federated Optimization in Heterogeneous Networks", MLSys 2020.

Not as published: the amount of local work does not vary, every client takes all its steps.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, Tensors
from raysim.methods.base import Metrics
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel


class FedProx(NetworkMethod):
    """FedAvg with a proximal term; mu = 0 is FedAvg."""

    name: ClassVar[str] = "fedprox"

    mu: float = knob(
        0.01,
        "strength of the proximal term; 0 = FedAvg",
        basis="relative",
        source="Li et al. tune over {0.001, 0.01, 0.1, 1}",
        search="log-U [1e-3, 1]",
        ge=0,
        le=1000,
    )

    def loss(
        self, model: NetworkModel, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy and the proximal term, [1]."""
        loss_K, metrics = super().loss(model, params, received, batch)
        excluded = self.buffers(model) | self.private_norms(model, params).keys()
        squares = [
            (tensor - received[name]).square().flatten(1).sum(1)
            for name, tensor in params.items()
            if name not in excluded
        ]
        prox_K = 0.5 * self.mu * torch.stack(squares).sum(0)
        return loss_K + prox_K, {**metrics, "loss_prox": prox_K.detach()}
