"""A method that does nothing, as a plug-in file: what a round of it costs is what the engine costs.

A client takes one step without a gradient on 2,048 numbers, and sends them back as they came.

Shapes: K clients, N images, C classes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch

from raysim import METHODS
from raysim.core.types import Batch, Scope, Tensors
from raysim.methods.base import Method, Metrics
from raysim.methods.traits import Traits

NUMBERS = 2048


@METHODS.add
class Noop(Method):
    """2,048 numbers that no training changes."""

    name: ClassVar[str] = "noop"

    @property
    def traits(self) -> Traits:
        """Cached features, as for prompts."""
        return replace(super().traits, inputs="features")

    def init_shared(self, model: Any, rng: torch.Generator) -> Tensors:
        """Return the numbers."""
        return {"numbers": torch.randn(NUMBERS, generator=rng)}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Return zeros [K] with a gradient of zero."""
        return (0 * params["numbers"]).sum(1), {}

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Return logits of zero [K, N, C]."""
        return torch.zeros(len(params["numbers"]), len(x), len(model.classes))
