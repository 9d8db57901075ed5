"""Finiteness of numbers: of what clients send and keep, of the server's state, and of logits.

A sum keeps infinity and NaN, and float64 holds the sum of any float32 numbers. So one sum per tensor and one
test of all sums are enough, with a single transfer from the device.

Shapes: K models.
"""

from __future__ import annotations

import torch

from raysim.core.types import Tensors
from raysim.experiment.records import Experiment


class NotFinite(ArithmeticError):
    """Logits that are infinite or NaN; `model` is the first model of the stack that has them."""

    def __init__(self, model: int) -> None:
        super().__init__(f"model {model}")
        self.model = model


def advice(experiment: Experiment) -> str:
    """Return which learning rates to lower after an overflow."""
    server = experiment.server
    also = f" or server.lr = {server.lr}" if server.optimiser != "none" else ""
    return f"lower training.lr = {experiment.training.lr}{also}"


def not_finite(tensors: Tensors) -> str | None:
    """Return the name of the first tensor with an infinite value or NaN; None where all are finite."""
    floating = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
    if not floating:
        return None
    sums = torch.stack([tensor.detach().sum(dtype=torch.float64) for tensor in floating.values()])
    finite = sums.isfinite()
    return None if bool(finite.all()) else list(floating)[int(finite.int().argmin())]


def finite_logits(logits: torch.Tensor | None) -> torch.Tensor | None:
    """Return the logits [K, ...] as they are; None stays None.

    Raises:
        NotFinite: Some are infinite or NaN: the class that they would name means nothing.
    """
    if logits is not None:
        finite_K = logits.detach().flatten(1).sum(1, dtype=torch.float64).isfinite()
        if not bool(finite_K.all()):
            raise NotFinite(int(finite_K.int().argmin()))
    return logits
