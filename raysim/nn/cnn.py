"""A small convolutional network for small images.

Shapes: B images, S x S pixels, C classes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


def small_cnn(classes: int, width: int) -> nn.Sequential:
    """Four convolutions with group normalisation (no running statistics to average), pooled, one linear layer.

    Args:
        classes: C.
        width: Channels of the first layer; the last has four times as many. A multiple of 8.

    Returns:
        A module from [B, 3, S, S] to logits [B, C], for S of at least 16.
    """
    channels = [3, width, 2 * width, 4 * width, 4 * width]
    blocks: list[nn.Module] = []
    for before, after in pairwise(channels):
        blocks += [nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.GroupNorm(8, after), nn.ReLU()]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))


def normalised(x: torch.Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> torch.Tensor:
    """uint8 pixels [..., S, S, 3] -> float [..., 3, S, S], channels standardised."""
    scaled = x.float().div(255).sub(torch.tensor(mean, device=x.device)).div(torch.tensor(std, device=x.device))
    return scaled.movedim(-1, -3)
