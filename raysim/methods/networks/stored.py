"""A client's own network beside the one it receives: stored whole between rounds, and merged with it.

    W <- mu W_client + (1 - mu) W_received          weights; statistics of BatchNorm are taken as received

Reference: Zhuang et al., "Divergence-aware Federated Self-Supervised Learning" (FedEMA), ICLR 2022.
"""

from __future__ import annotations

from collections.abc import Set

import torch

from raysim.core.types import Tensors

STORED = "own/"  # before a row's name: the client's own copy of that tensor


def store_network(row: Tensors) -> Tensors:
    """Copy a network under the names that a client keeps it by: row name -> "own/ROW NAME"."""
    return {f"{STORED}{name}": tensor.clone() for name, tensor in row.items() if not name.startswith(STORED)}


def stored_network(private: Tensors) -> Tensors | None:
    """Return the network that a client stored, by its row names; None before the client's first round."""
    network = {
        name.removeprefix(STORED): tensor for name, tensor in private.items() if name.startswith(STORED)
    }
    return network or None


def merge(client_network: Tensors, received: Tensors, mu: float, buffers: Set[str]) -> Tensors:
    """Mix the client's network with the received one.

    Args:
        client_network: The client's network, by row names; on any device.
        received: The received network.
        mu: Share of the client's weights, 0 (the result is `received`, bit for bit) to 1 (the client's own).
        buffers: Names that are no trained weights: taken from `received`.

    Returns:
        A tensor for every name of `received`; those that the client does not have are as received.
    """
    return {
        name: tensor
        if name in buffers or name not in client_network
        else torch.lerp(tensor, client_network[name].to(tensor.device), mu)
        for name, tensor in received.items()
    }
