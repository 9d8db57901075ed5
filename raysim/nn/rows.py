"""Rows of named tensors, stacked: the clients of a micro-cohort side by side.

Shapes: K clients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

Tensors = dict[str, torch.Tensor]


def stack(rows: Sequence[Tensors], device: torch.device) -> Tensors:
    """Rows of the same names as one stack: each [...] -> [K, ...] on `device`."""
    return {name: torch.stack([row[name].to(device) for row in rows]) for name in rows[0]}


def prefix(params: Tensors, active: int) -> Tensors:
    """The first `active` clients of a stack; views."""
    return {name: tensor if active == len(tensor) else tensor[:active] for name, tensor in params.items()}


def to_cpu(tensors: Tensors) -> Tensors:
    """Without gradient, on the CPU."""
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
