"""Networks of several clients as one: the channels of all clients side by side.

A convolution of K clients is one convolution with K times as many groups, and their norms are one norm over
all channels, so each client's maps are what its own network would make of its own images.

Shapes: K clients, B images of a batch, S x S pixels, c channels of a map (each its own).
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.func import functional_call


def side_by_side(module: nn.Module, clients: int) -> nn.Module:
    """Return a copy of a backbone of convolutions and norms, for the channels of K clients."""
    copy = deepcopy(module)
    for part in copy.modules():
        if isinstance(part, nn.Conv2d):
            part.groups *= clients
        elif isinstance(part, nn.GroupNorm):
            part.num_groups *= clients
    return copy


def pixels_side_by_side(x_KBSS3: Tensor) -> Tensor:
    """Return uint8 images [K, B, S, S, 3] of K clients as float [B, S, S, K * 3], values 0 to 255."""
    clients, batch, height, width, colours = x_KBSS3.shape
    pixels = torch.empty(batch, height, width, clients * colours, device=x_KBSS3.device)
    # a channel at a time: one permuted copy moves three numbers at a time and takes seven times as long
    for k in range(clients):
        for colour in range(colours):
            pixels[..., k * colours + colour] = x_KBSS3[k, ..., colour]
    return pixels


def stacked_maps(
    module: nn.Module, weights: Mapping[str, Tensor], x_BcSS: Tensor
) -> list[tuple[Tensor, ...]]:
    """Return the maps [B, c, ., .] of each client, K tuples.

    Args:
        module: What `side_by_side` returned.
        weights: Parameters and statistics of the clients, each [K, ...]; statistics change in place.
        x_BcSS: The images of all clients side by side. [B, K * 3, S, S]
    """
    clients = len(next(iter(weights.values())))
    flat = {name: tensor.flatten(0, 1) for name, tensor in weights.items()}
    maps = functional_call(module, flat, (x_BcSS,), tie_weights=False)
    return list(zip(*(torch.chunk(map_Bchw, clients, dim=1) for map_Bchw in maps), strict=True))
