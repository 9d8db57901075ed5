"""A feature pyramid that brings the maps of a backbone to one of the finest one's size.

    P_n = conv3x3(inner_n),  inner_n = conv1x1(map_n) + up(inner_{n+1})          top-down, from the coarsest
    D   = sum_n up(relu(P_n))                                                    bilinear, to the finest

Shapes: B images, c channels of a map (each its own), p channels of the pyramid, h x w of the finest map.

Reference: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017; Kirillov et al., "Panoptic
    Feature Pyramid
Networks", CVPR 2019 (the sum over levels, here without its convolutions between doublings).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Decoder(nn.Module):
    """The pyramid, summed.

    Args:
        channels: c of the maps, fine to coarse.
        width: p.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        from torchvision.ops import FeaturePyramidNetwork

        self.pyramid = FeaturePyramidNetwork(list(channels), width)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Maps [B, c, ., .], fine to coarse -> [B, p, h, w]."""
        levels = list(self.pyramid({str(n): map_Bchw for n, map_Bchw in enumerate(maps)}).values())
        size = levels[0].shape[-2:]
        return torch.stack(
            [F.interpolate(F.relu(level), size, mode="bilinear", align_corners=False) for level in levels]
        ).sum(0)
