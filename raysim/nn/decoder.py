"""Feature pyramid: combines the maps of a backbone into one of the size of the finest.

    P_n = conv3x3(inner_n),  inner_n = conv1x1(map_n) + up(inner_{n+1})          top-down, from the coarsest
    D   = sum_n up(relu(P_n))                                                    bilinear, to the finest

Shapes: B images, c channels of a map (each its own), p channels of the pyramid, h x w of the finest map.

Reference: Lin et al., "Feature Pyramid Networks for Object Detection", CVPR 2017; Kirillov et al., "Panoptic
    Feature Pyramid Networks", CVPR 2019 (the sum over levels, here without the convolutions between the
    upsampling steps).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Decoder(nn.Module):
    """Feature pyramid with the sum of its levels.

    Args:
        channels: Channels c of the maps, fine to coarse.
        width: Channels p of the pyramid.
    """

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        from torchvision.ops import FeaturePyramidNetwork

        self.pyramid = FeaturePyramidNetwork(list(channels), width)

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Return the summed levels [B, p, h, w] of maps [B, c, ., .], fine to coarse."""
        levels = list(self.pyramid({str(n): map_Bchw for n, map_Bchw in enumerate(maps)}).values())
        size = levels[0].shape[-2:]
        return torch.stack(
            [F.interpolate(F.relu(level), size, mode="bilinear", align_corners=False) for level in levels]
        ).sum(0)
