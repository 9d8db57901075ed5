"""A client's own network beside the incoming one: kept whole between rounds, and merged with what the server sends.

    W <- mu W_own + (1 - mu) W_received          weights; statistics of BatchNorm are taken as received

Reference: Zhuang et al., "Divergence-aware Federated Self-Supervised Learning" (FedEMA), ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Set

import torch

from raysim.core.types import Tensors

OWN = "own/"  # before a row's name, for the client's own copy of that tensor


def kept(row: Tensors) -> Tensors:
    """A copy of a whole network as a client keeps it: row name -> "own/ROW NAME"."""
    return {f"{OWN}{name}": tensor.clone() for name, tensor in row.items() if not name.startswith(OWN)}


def own(private: Tensors) -> Tensors | None:
    """The network that a client kept, by its row names; None before its first round."""
    found = {name.removeprefix(OWN): tensor for name, tensor in private.items() if name.startswith(OWN)}
    return found or None


def merge(own: Tensors, received: Tensors, mu: float, buffers: Set[str]) -> Tensors:
    """The client's network and the incoming one, mixed.

    Args:
        own: The client's network, by row names; on any device.
        received: The incoming network.
        mu: Share of the client's own weights, 0 (the result is `received`, bit for bit) to 1 (the client's
            own).
        buffers: Names that are no trained weights: taken from `received`.

    Returns:
        A tensor for every name of `received`; those that the client does not have are as received.
    """
    return {
        name: tensor
        if name in buffers or name not in own
        else torch.lerp(tensor, own[name].to(tensor.device), mu)
        for name, tensor in received.items()
    }
