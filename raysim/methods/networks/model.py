"""The frozen part of a method that trains networks: modules without weights, and the names of their rows.

A row holds "ARCHITECTURE/NAME" for a tensor of one architecture and "common/NAME" for a tensor that all
architectures share behind a projection.

Shapes: B images of a batch, S x S pixels, C classes, d embedding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from raysim.core.errors import UserError
from raysim.core.types import Context, Tensors
from raysim.methods.prompts.zeroshot import ZeroShot
from raysim.nn.networks import Network, Output
from raysim.nn.stacked import side_by_side

PixelStatistics = tuple[tuple[float, ...], tuple[float, ...]]  # mean and deviation of each channel
TOWER = "image_tower"  # the architecture that is CLIP's image tower
COMMON = "common"
BEHIND_PROJECTION = ("head.", "gate.")  # modules that a projection makes the same for all architectures
# pixels that are classified together outside training: the maps of ten times as many leave the processor's
# cache, and 240 images of 32 px take 1.9 times as long (small_resnet)
PIXELS_PER_CALL = 24 * 64 * 64


class Tower(nn.Module):
    """CLIP's image tower, classified by its zero-shot text features: FedRSCLIP's communication baseline."""

    def __init__(self, visual: nn.Module, text_CD: torch.Tensor, logit_scale: float) -> None:
        super().__init__()
        self.visual, self.text_CD, self.logit_scale = visual, text_CD, logit_scale

    def forward(self, x: torch.Tensor) -> Output:
        """Classify images: [B, 3, S, S] standardised -> logits [B, C]."""
        features_Bd = self.visual(x)
        logits_BC = self.logit_scale * F.normalize(features_Bd, dim=-1) @ self.text_CD.T
        return Output(logits_BC, features_Bd, features_Bd)


@dataclass(frozen=True)
class NetworkModel:
    """The modules of all architectures, whose weights are passed in, and how pixels are standardised.

    Attributes:
        context: Class names, backbone and device.
        modules: A module for each architecture.
        common: Whether head and gate are the same for all architectures.
        pixels: For each architecture the mean of each colour channel, subtracted from pixels in [0, 1], and
            the standard deviation, by which they are divided.
    """

    context: Context
    modules: dict[str, nn.Module]
    common: bool
    pixels: dict[str, PixelStatistics]
    _side_by_side: dict[tuple[str, int], nn.Module] = field(default_factory=dict)

    def side_by_side(self, architecture: str, clients: int) -> nn.Module:
        """Return the backbone of an architecture for the channels of K clients, made once."""
        key = (architecture, clients)
        if key not in self._side_by_side:
            backbone = self.modules[architecture].get_submodule("backbone")
            self._side_by_side[key] = side_by_side(backbone, clients)
        return self._side_by_side[key]

    def row_name(self, architecture: str, name: str) -> str:
        """Return the name in a row of a module's own tensor name."""
        shared_by_all = self.common and name.startswith(BEHIND_PROJECTION)
        return f"{COMMON if shared_by_all else architecture}/{name}"

    def row_names(self) -> Iterator[tuple[str, str]]:
        """Yield every row name with its tensor's kind: "weight", or "statistic" of a BatchNorm."""
        for architecture, module in self.modules.items():
            for name, _ in module.named_parameters():
                yield self.row_name(architecture, name), "weight"
            for name, _ in module.named_buffers() if isinstance(module, Network) else ():
                yield self.row_name(architecture, name), "statistic"

    def weights(self, row: Tensors) -> tuple[str, Tensors]:
        """Return the architecture of one client's row, and its tensors by the module's own names."""
        prefixes = (key.split("/")[0] for key in row)
        architecture = next(prefix for prefix in prefixes if prefix in self.modules)
        own_names = {
            key.split("/", 1)[1]: tensor for key, tensor in architecture_part(row, architecture).items()
        }
        return architecture, own_names

    def first_norms(self, architecture: str) -> Tensors:
        """Return the untrained scale, shift and statistics of an architecture's BatchNorm, by row names."""
        names, module = self.norm_names(), self.modules[architecture]
        tensors = {
            self.row_name(architecture, name): tensor
            for name, tensor in (*module.named_parameters(), *module.named_buffers())
        }
        return {name: tensor.detach().cpu().clone() for name, tensor in tensors.items() if name in names}

    def norm_names(self) -> frozenset[str]:
        """Return the row names of BatchNorm's scale, shift and statistics in all architectures."""
        return frozenset(
            self.row_name(architecture, f"{prefix}.{name}")
            for architecture, module in self.modules.items()
            for prefix, part in module.named_modules()
            if isinstance(part, nn.BatchNorm2d)
            for name in ("weight", "bias", "running_mean", "running_var")
        )


def tower_model(context: Context, more: bool) -> NetworkModel:
    """Return CLIP's image tower as the only architecture.

    Args:
        context: The task.
        more: Whether the method needs a feature map to gate or project, or a trained last layer.

    Raises:
        UserError: The tower cannot do that, or takes images of another size.
    """
    backbone = context.backbone
    if more or context.kind == "segmentation":
        raise UserError(
            f"method.network = '{TOWER}' is not allowed here: it classifies whole images, has no "
            "feature map to gate or project, "
            "and no trained last layer whose gradients tell classes apart"
        )
    if context.image_size != backbone.image_size:
        raise UserError(
            f"task.image_size = {context.image_size}: the image tower of {backbone.name} takes "
            f"{backbone.image_size}"
        )
    zeroshot = ZeroShot()
    text_CD = zeroshot.text_features(zeroshot.build(context), {}, "shared")[0]
    tower = Tower(backbone.clip.visual, text_CD, backbone.logit_scale)
    return NetworkModel(context, {TOWER: tower}, False, {TOWER: (backbone.mean, backbone.std)})


def architecture_part(tensors: Tensors, architecture: str) -> Tensors:
    """Return the tensors of one architecture and those that are common to all."""
    prefixes = (f"{architecture}/", f"{COMMON}/")
    return {name: tensor for name, tensor in tensors.items() if name.startswith(prefixes)}


def images_per_call(x: torch.Tensor) -> int:
    """Return how many images [N, S, S, 3] are classified together outside training; S alone decides."""
    return max(1, PIXELS_PER_CALL // (x.shape[1] * x.shape[2]))
