"""Ratio loss: FedAvg whose clients weight the loss of class c by a + b R_c.

The server estimates the ratio R_c from gradients on its own samples (`rectification`).

Reference: Wang et al., "Addressing Class Imbalance in Federated Learning", AAAI 2021.

Not as published: the authors' program trains a copy of the model on each class's samples. Here one gradient
of the last layer stands for that training: it has the same direction, and the ratio does not depend on its
length.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, ServerState, Tensors
from raysim.methods.diagnosis import Diagnosis
from raysim.methods.networks import rectification
from raysim.methods.networks.base import NetworkMethod
from raysim.methods.networks.model import NetworkModel
from raysim.methods.traits import Traits

CLASS_WEIGHTS = "server/cr"


class RatioLoss(NetworkMethod):
    """FedAvg with the ratio loss."""

    name: ClassVar[str] = "ratio_loss"

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
        rectification.LARGEST_RATIO,
        "largest ratio; as published a class's weight can reach 501",
        basis="relative",
        source="Wang et al.'s program",
        search="{10,50,5000}",
        ge=1,
        le=1e6,
        used_when=("b above 0", lambda self: self.b > 0),
    )

    @property
    def traits(self) -> Traits:
        """The server holds auxiliary samples of every class."""
        return replace(super().traits, needs_samples=True)

    @property
    def diagnosis(self) -> RatioLossDiagnosis:
        """The weights of the classes."""
        return RatioLossDiagnosis()

    def init_server(
        self, model: NetworkModel, clients: int, trainers: Sequence[int], rng: torch.Generator
    ) -> Tensors:
        """Return equal weights of the classes for the first round."""
        return {CLASS_WEIGHTS: torch.ones(len(model.context.classes))}

    def server_step(
        self, model: NetworkModel, state: ServerState, samples: Batch, rounds: int
    ) -> ServerState:
        """Return the state with the weights [C] of the next round."""
        if state.round == 0:
            return state
        ratios = []
        for row in self.server_models(state):
            row = {name: tensor.to(model.context.device) for name, tensor in row.items()}
            outputs, (_, weights) = self.sample_outputs(model, row, samples), model.weights(row)
            ratios.append(rectification.ratio(rectification.head_gradients(outputs, weights), self.cap))
        weight_C = (self.a + self.b * torch.stack(ratios).mean(0)).float()
        return replace(state, extra={**state.extra, CLASS_WEIGHTS: weight_C})

    def broadcast(self, state: ServerState, client: int) -> Tensors:
        """Return the network and the weights of the classes."""
        return {**super().broadcast(state, client), CLASS_WEIGHTS: state.extra[CLASS_WEIGHTS]}

    def class_weights(self, received: Tensors) -> torch.Tensor:
        """Return the weights [C] as they were received."""
        return received[CLASS_WEIGHTS]


class RatioLossDiagnosis(Diagnosis):
    """The weights of the classes, for the log."""

    def class_ratios(self, state: ServerState) -> torch.Tensor:
        """Return the weights [C] that are sent next."""
        return state.extra[CLASS_WEIGHTS]
