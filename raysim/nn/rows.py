"""Named tensors of several clients as one stack: the clients of a micro-cohort are its rows.

Shapes: K clients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from raysim.core.types import Tensors


def stack(rows: Sequence[Tensors], device: torch.device) -> Tensors:
    """Stack rows of the same names: each [...] becomes [K, ...] on `device`."""
    return {name: torch.stack([row[name].to(device) for row in rows]) for name in rows[0]}


def prefix(params: Tensors, active: int) -> Tensors:
    """Return the first `active` clients of a stack, as views."""
    return {name: tensor if active == len(tensor) else tensor[:active] for name, tensor in params.items()}


def rows_of(params: Tensors) -> Iterator[Tensors]:
    """Return the rows of a stack [K, ...], each [...], as views."""
    pieces = {name: tensor.unbind() for name, tensor in params.items()}
    clients = len(next(iter(params.values())))
    return ({name: pieces[name][k] for name in params} for k in range(clients))


def parts_of(params: Tensors, sizes: Sequence[int]) -> list[Tensors]:
    """Cut a stack [K, ...] into parts of so many clients each, K in all, as views.

    A slice for each part would fill a gradient of the whole stack with zeros for each of them.
    """
    pieces = {name: tensor.split(list(sizes)) for name, tensor in params.items()}
    return [{name: pieces[name][place] for name in params} for place in range(len(sizes))]


def to_cpu(tensors: Tensors) -> Tensors:
    """Return the tensors without gradient, on the CPU."""
    return {name: tensor.detach().cpu() for name, tensor in tensors.items()}
