"""Ratio loss: FedAvg whose clients weight the loss of class c by a + b R_c, R_c estimated by the server from gradients.

The published program trains a copy of the model on each class's samples; here one gradient of the last layer
stands for that training (its direction, and the ratio does not depend on its length).

Reference: Wang et al., "Addressing Class Imbalance in Federated Learning", AAAI 2021.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, ServerState, Tensors
from raysim.methods.networks import rectification
from raysim.methods.networks.base import Model, NetworkMethod

CR = "server/cr"


class RatioLoss(NetworkMethod):
    """FedAvg with the ratio loss."""

    name: ClassVar[str] = "ratio_loss"
    serves: ClassVar[bool] = True

    a: float = knob(
        1.0,
        "constant part of a class's weight",
        basis="relative",
        source="Wang et al.",
        ge=0,
        le=10,
    )
    b: float = knob(
        0.1,
        "weight of the ratio; 0 with a = 1 is FedAvg",
        basis="relative",
        source="Wang et al.",
        search="[0, 1]",
        ge=0,
        le=10,
    )
    cap: float = knob(
        rectification.MOST,
        "largest ratio; as published a class's weight can reach 501",
        basis="relative",
        source="Wang et al.'s program",
        search="{10,50,5000}",
        ge=1,
        le=1e6,
    )

    @property
    def needs_samples(self) -> bool:
        """Auxiliary samples of every class."""
        return True

    def init_server(self, model: Model, clients: int, rng: torch.Generator) -> Tensors:
        """All classes weigh the same in the first round."""
        return {CR: torch.ones(len(model.context.classes))}

    def server_step(self, model: Model, state: ServerState, samples: Batch, rounds: int) -> ServerState:
        """The weights [C] for the next round."""
        if state.round == 0:
            return state
        found = []
        for row in self.server_models(state):
            row = {name: tensor.to(model.context.device) for name, tensor in row.items()}
            found.append(
                rectification.ratio(
                    rectification.head_gradients(self.outputs(model, row, samples), model.weights(row)[1]),
                    self.cap,
                )
            )
        weight_C = (self.a + self.b * torch.stack(found).mean(0)).float()
        return ServerState(state.round, state.shared, {**state.extra, CR: weight_C})

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """The network and the weights."""
        return {**super().broadcast(state, client), CR: state.extra[CR]}

    def class_weights(self, received: Tensors) -> torch.Tensor:
        """As they came."""
        return received[CR]

    def class_ratios(self, state: ServerState) -> torch.Tensor:
        """For the log."""
        return state.extra[CR]
