"""Named tensors of several clients as one stack: the clients of a micro-cohort are its rows.

Shapes: K clients.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from raysim.core.types import Tensors


def stack(rows: Sequence[Tensors], device: torch.device) -> Tensors:
    """Stack rows of the same names: each [...] becomes [K, ...] on `device`."""
    return {name: torch.stack([row[name].to(device) for row in rows]) for name in rows[0]}


def prefix(params: Tensors, active: int) -> Tensors:
    """Return the first `active` clients of a stack, as views."""
    return {name: tensor if active == len(tensor) else tensor[:active] for name, tensor in params.items()}


def row_of(params: Tensors, k: int) -> Tensors:
    """Return one client's row of a stack, as views."""
    return {name: tensor[k] for name, tensor in params.items()}


def to_cpu(tensors: Tensors) -> Tensors:
    """Return the tensors without gradient, on the CPU."""
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
