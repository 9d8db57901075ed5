"""Networks of several clients as one: the channels of all clients side by side.

A convolution of K clients is one convolution with K times as many groups, and their norms are one norm over
all channels, so each client's maps are what its own network would make of its own images. The first
convolution of each client, with its norm and ReLU, runs alone, its maps not channels last: with group
norm that takes 0.92 of the time (benchmarks/README.md).

Shapes: K clients, B images of a batch, S x S pixels, c channels of a map (each its own).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from raysim.nn.rows import rows_of

STEM = 3  # modules: the first convolution of a small network, its norm, its ReLU
FIRST_STAGE = "stages.0."


def side_by_side(backbone: nn.Module, clients: int) -> nn.Module:
    """Return a copy of a small backbone behind its stem, for the channels of K clients."""
    copy = deepcopy(backbone)
    stage = _first_stage(copy)
    for place in range(STEM):
        stage[place] = nn.Identity()  # so that the names of the other parts stay as they are
    for part in copy.modules():
        if isinstance(part, nn.Conv2d):
            part.groups *= clients
        elif isinstance(part, nn.GroupNorm):
            part.num_groups *= clients
    return copy


def stacked_maps(
    backbone: nn.Module, behind: nn.Module, weights: Mapping[str, Tensor], pixels: Sequence[Tensor]
) -> list[tuple[Tensor, ...]]:
    """Return the maps [B, c, ., .] of each client, K tuples.

    Args:
        backbone: The small backbone of one client.
        behind: What `side_by_side` made of it.
        weights: Parameters and statistics of the clients, each [K, ...]; statistics change in place.
        pixels: The images of each client. K tensors [B, 3, S, S]
    """
    in_stem = tuple(f"{FIRST_STAGE}{place}." for place in range(STEM))
    stem = _first_stage(backbone)[:STEM]
    rows = rows_of(
        {name.removeprefix(FIRST_STAGE): t for name, t in weights.items() if name.startswith(in_stem)}
    )
    first = [
        functional_call(stem, row, (x_B3SS,), tie_weights=False)
        for row, x_B3SS in zip(rows, pixels, strict=True)
    ]
    flat = {name: t.flatten(0, 1) for name, t in weights.items() if not name.startswith(in_stem)}
    maps = functional_call(behind, flat, (_Together.apply(*first),), tie_weights=False)
    return list(zip(*(torch.chunk(map_Bchw, len(first), dim=1) for map_Bchw in maps), strict=True))


def _first_stage(backbone: nn.Module) -> nn.Sequential:
    """Return the stage that takes the pixels."""
    stage = backbone.get_submodule(FIRST_STAGE.removesuffix("."))
    assert isinstance(stage, nn.Sequential)
    return stage


class _Together(torch.autograd.Function):
    """Maps [B, c, h, w] of K clients as one [B, K * c, h, w], channels last; each gets its gradient dense."""

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> Tensor:
        """Copy each client's map into its channels."""
        batch, channels, *sides = maps[0].shape
        size = (batch, len(maps) * channels, *sides)
        together = torch.empty(
            size, dtype=maps[0].dtype, device=maps[0].device, memory_format=torch.channels_last
        )
        for part, own in zip(together.chunk(len(maps), dim=1), maps, strict=True):
            part.copy_(own)
        ctx.clients = len(maps)
        return together

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Copy each client's channels out."""
        return tuple(part.contiguous() for part in gradient.chunk(ctx.clients, dim=1))
