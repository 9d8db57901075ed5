"""Convolutional backbones: from pixels to the feature maps of their stages, fine to coarse.

Three small ones for images of 32 to 128 px, and for larger images torchvision's and EfficientNet-Lite0.

Shapes: B images of S x S pixels, c channels of a map (each its own); a map of stride s has ceil(S / s) rows.

Reference: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016; Sandler et al.,
    "MobileNetV2", CVPR 2018; Howard et al., "Searching for MobileNetV3", ICCV 2019; Wu and He, "Group
    Normalization", ECCV 2018; Hsieh et al., "The Non-IID Data Quagmire of Decentralized Machine Learning",
    ICML 2020 (group in place of batch normalisation where clients differ).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysim.core.errors import UserError
from raysim.core.registry import Registry
from raysim.nn import efficientnet

Norm = Literal["batch", "group"]
SMALL_NETWORKS = ("cnn", "small_resnet", "small_mobilenet")
TORCHVISION_NETWORKS = ("resnet18", "resnet50", "mobilenet_v3_small")
BUILT_IN_NETWORKS = (*SMALL_NETWORKS, *TORCHVISION_NETWORKS, efficientnet.NAME)
PRETRAINED_NETWORKS = (*TORCHVISION_NETWORKS, efficientnet.NAME)
OWN_WIDTHS = PRETRAINED_NETWORKS  # networks whose channels no setting changes
GROUPS = 8
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))  # mean and standard deviation of its pixels


def pixel_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the deviation of each channel by which a network's pixels in [0, 1] are scaled."""
    return efficientnet.PIXELS if name == efficientnet.NAME else IMAGENET


def pretrained_size(names: Sequence[str]) -> int | None:
    """Return the pixels a side on which a network among these was pretrained, where that is its default.

    torchvision's networks have none, so that results from before EfficientNet-Lite0 stay as they were.
    """
    return efficientnet.IMAGE_SIZE if efficientnet.NAME in names else None


class ConvBackbone(nn.Module):
    """Stages in sequence; the output of every stage is a feature map.

    Args:
        stages: Modules; each halves the rows and columns of its input at least once.
        channels: Channels c of each map.
        stride: Stride of the last map.
    """

    def __init__(self, stages: Sequence[nn.Module], channels: tuple[int, ...], stride: int) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.channels, self.stride = channels, stride
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                # a counter that nothing reads, and the only state that the module itself would keep
                module.num_batches_tracked = None

    def forward(self, x_B3SS: Tensor) -> tuple[Tensor, ...]:
        """Return the maps [B, c, ., .], fine to coarse, of images [B, 3, S, S]."""
        maps = []
        for stage in self.stages:
            x_B3SS = stage(x_B3SS)
            maps.append(x_B3SS)
        return tuple(maps)


class Builder(Protocol):
    """What builds a network, as the registry has it."""

    def __call__(self, *, width: int, norm: Norm, pretrained: bool) -> ConvBackbone:
        """Build the backbone; see `build_backbone`."""


def build_backbone(
    name: str, *, width: int = 16, norm: Norm = "batch", pretrained: bool = False
) -> ConvBackbone:
    """Build a backbone by name.

    Args:
        name: One of `NETWORKS`.
        width: Channels of the first stage of the small ones, a multiple of 8; the others have their own
            widths.
        norm: "batch", or "group" (groups of channels of one image: no running statistics, nothing shared
            between images).
        pretrained: Whether to load ImageNet weights: torchvision's first version, or the package of
            EfficientNet-Lite0. Group norms take scale and shift from the weights of batch norms.

    Raises:
        UserError: Unknown name, a wrong width, or pretrained weights that do not exist or cannot be loaded.
    """
    return NETWORKS.get_or_refuse(name)(width=width, norm=norm, pretrained=pretrained)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(GROUPS, channels), channels)


def _convolution(before: int, after: int, stride: int, norm: Callable[[int], nn.Module]) -> list[nn.Module]:
    """Return a 3 x 3 convolution from `before` to `after` channels, its norm and a ReLU."""
    return [nn.Conv2d(before, after, 3, stride, padding=1, bias=False), norm(after), nn.ReLU(inplace=True)]


class _Shortcut(nn.Conv2d):
    """A 1 x 1 convolution with a stride: it takes only the positions that count, then has none.

    With 8 channels, 64 px and channels last, the gradient of PyTorch's own convolution of stride 2 writes
    outside of its memory on a CPU (torch 2.14.1; `free(): invalid next size`).
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return the convolved map, [B, c', h / stride, w / stride]."""
        rows, columns = map(int, self.stride)
        return F.conv2d(x[..., ::rows, ::columns], self.weight, self.bias, groups=self.groups)


class _Block(nn.Module):
    """A residual block: torchvision's `BasicBlock` to the bit, without the seconds that its import takes."""

    def __init__(
        self, before: int, after: int, stride: int, shortcut: nn.Module, norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        self.conv1, self.bn1, self.relu = _convolution(before, after, stride, norm)
        self.conv2, self.bn2, _ = _convolution(after, after, 1, norm)
        self.downsample = shortcut

    def forward(self, x: Tensor) -> Tensor:
        """Return the map, [B, c', h / stride, w / stride]."""
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += self.downsample(x)
        return self.relu(out)


def _cnn(width: int, norm: Callable[[int], nn.Module]) -> ConvBackbone:
    """Build four convolutions of stride 2."""
    channels = (width, 2 * width, 4 * width, 4 * width)
    stages = [
        nn.Sequential(*_convolution(before, after, 2, norm)) for before, after in pairwise((3, *channels))
    ]
    return ConvBackbone(stages, channels, 16)


def _small_resnet(width: int, norm: Callable[[int], nn.Module]) -> ConvBackbone:
    """Build a stem at full resolution, because images are small, then basic blocks at strides 2, 4 and 8."""
    channels = (width, 2 * width, 4 * width)
    stages = []
    for before, after in pairwise((width, *channels)):
        shortcut = nn.Sequential(_Shortcut(before, after, 1, stride=2, bias=False), norm(after))
        stages.append(nn.Sequential(_Block(before, after, 2, shortcut, norm)))
    stages[0] = nn.Sequential(*_convolution(3, width, 1, norm), *stages[0])
    return ConvBackbone(stages, channels, 8)


def _small_mobilenet(width: int, norm: Callable[[int], nn.Module]) -> ConvBackbone:
    """Build a stem at stride 2, then pairs of inverted residual blocks (expansion 4) at strides 4 and 8.

    The stem has one depthwise block.
    """
    from torchvision.models.mobilenetv2 import InvertedResidual

    channels = (width, 2 * width, 4 * width)
    stages: list[nn.Module] = [
        nn.Sequential(*_convolution(3, width, 2, norm), InvertedResidual(width, width, 1, 1, norm))
    ]
    for before, after in pairwise(channels):
        stages.append(
            nn.Sequential(
                InvertedResidual(before, after, 2, 4, norm), InvertedResidual(after, after, 1, 4, norm)
            )
        )
    return ConvBackbone(stages, channels, 8)


def _torchvision(name: str, norm: Norm, pretrained: bool) -> ConvBackbone:
    """Build one of torchvision's networks without its classifier, cut into four stages."""
    from torchvision import models

    options = {"norm_layer": _group_norm} if norm == "group" else {}
    whole = models.get_model(name, weights=None, **options)
    if not pretrained:
        for module in whole.modules():
            if isinstance(module, nn.BatchNorm2d):
                # MobileNetV3's 0.01 is for millions of steps; after the few steps of a federation the
                # statistics would still be near their first values, 0 and 1
                module.momentum = 0.1
    else:
        _load(whole, name)
    if name.startswith("resnet"):
        layers = [whole.layer1, whole.layer2, whole.layer3, whole.layer4]
        stem = [whole.conv1, whole.bn1, whole.relu, whole.maxpool]
        expansion = layers[0][0].expansion
        return ConvBackbone(
            [nn.Sequential(*stem, layers[0]), *layers[1:]],
            tuple(expansion * c for c in (64, 128, 256, 512)),
            32,
        )
    parts = [whole.features[start:end] for start, end in ((0, 2), (2, 4), (4, 9), (9, 13))]
    return ConvBackbone(parts, (16, 24, 48, 576), 32)


def _load(whole: nn.Module, name: str) -> None:
    """Load the ImageNet weights of torchvision's first version, from torch's cache or from its site."""
    from torchvision import models

    weights = models.get_model_weights(name)["IMAGENET1K_V1"]
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    try:
        loaded = weights.get_state_dict(progress=False, check_hash=True)
        fitting = {
            key: loaded[key]
            for key, value in whole.state_dict().items()
            if key in loaded and loaded[key].shape == value.shape
        }
        missing = [
            key
            for key in whole.state_dict()
            if key not in fitting and not key.endswith("num_batches_tracked")
        ]
        if missing:
            raise ValueError(f"it has no {missing[0]} of this shape")
    except Exception as error:  # no connection, a damaged file, another network's file: the same advice
        raise UserError(
            f"pretrained = true: no weights of '{name}' ({type(error).__name__}: {error}). Put "
            f"{weights.url} at {file}, "
            "or set TORCH_HOME to a folder that has it in hub/checkpoints"
        ) from error
    whole.load_state_dict(fitting, strict=False)


def _small(name: str, build: Callable[[int, Callable[[int], nn.Module]], ConvBackbone]) -> Builder:
    """Return the builder of a small network from scratch."""

    def built(*, width: int, norm: Norm, pretrained: bool) -> ConvBackbone:
        if pretrained:
            raise UserError(
                f"pretrained = true: there are no pretrained weights of '{name}'; "
                f"{', '.join(PRETRAINED_NETWORKS)} have them"
            )
        if width % 8:
            raise UserError(f"width = {width} is not allowed: it should be a multiple of 8")
        return build(width, _group_norm if norm == "group" else nn.BatchNorm2d)

    return built


def _of_torchvision(name: str) -> Builder:
    """Return the builder of one of torchvision's networks; its widths are its own."""
    return lambda *, width, norm, pretrained: _torchvision(name, norm, pretrained)


def _lite0(*, width: int, norm: Norm, pretrained: bool) -> ConvBackbone:
    """Build EfficientNet-Lite0; its widths are its own."""
    stages = efficientnet.stages(group_norm=norm == "group", pretrained=pretrained, groups=GROUPS)
    return ConvBackbone(stages, efficientnet.CHANNELS, efficientnet.STRIDE)


def _check(name: str, thing: object) -> None:
    """Raise UserError where a thing cannot build a network."""
    wanted = {"width", "norm", "pretrained"}
    if not callable(thing) or not wanted <= set(inspect.signature(thing).parameters):
        raise UserError(
            f"network '{name}' is {thing!r}; it should be a function of (*, width, norm, pretrained) that "
            "returns a ConvBackbone"
        )


NETWORKS: Registry[Builder] = Registry(
    "network",
    {
        **{
            name: _small(name, build)
            for name, build in zip(SMALL_NETWORKS, (_cnn, _small_resnet, _small_mobilenet), strict=True)
        },
        **{name: _of_torchvision(name) for name in TORCHVISION_NETWORKS},
        efficientnet.NAME: _lite0,
    },
    _check,
)
