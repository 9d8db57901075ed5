"""Networks of federated methods: a backbone, an optional projection, an optional gate of ACE, and a head.

    maps = backbone(x);  top = projection(maps[-1]);  top = gate(top, E)
    logits = head(pool(top))                           classification
    logits = up(head(decoder(maps[:-1], top)))         segmentation

A module here is a fixed architecture: its weights are passed in with `torch.func.functional_call`, as one
dictionary of parameters and running statistics. In training mode BatchNorm writes the new running statistics
into the tensors that were passed.

Shapes: B images of S x S pixels, C classes, c channels of a map (each its own), h x w of the coarsest map, N
= h * w positions, M contexts of width e, d features (channels of the coarsest map), p channels after the
projection or the decoder.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from raysim.core.types import TaskKind
from raysim.nn.convnets import Norm, build_backbone
from raysim.nn.decoder import Decoder
from raysim.nn.gate import Gate, GateConfig

WIDEST_PYRAMID = 128  # channels of the decoder: Kirillov et al. 2019 decode at 128


class Output(NamedTuple):
    """Output of a network for a batch.

    Attributes:
        logits: [B, C], in segmentation [B, C, S, S].
        features: [B, d] last map of the backbone, averaged over positions; before projection and gate, so
            that clients with different heads or masks are compared by their backbones.
        pooled: Input of the classifier's last linear layer: [B, p], in segmentation [B, p, h', w'] at the
            finest map's size.
        mask: [B, 1, h, w] exactly 0 or 1, or None without a gate.
        soft: [B, 1, h, w] in (0, 1), without noise, or None without a gate.
    """

    logits: Tensor
    features: Tensor
    pooled: Tensor
    mask: Tensor | None = None
    soft: Tensor | None = None


class Network(nn.Module):
    """Backbone, optional projection, optional gate, and a head, for segmentation behind a decoder.

    Args:
        name: One of `NETWORKS`.
        classes: Number of classes C.
        kind: Whether each image has a class, or each pixel.
        width: Channels of the first stage of the small networks.
        norm: Normalisation of the backbone.
        pretrained: Whether to start from ImageNet weights (`initial_weights` then keeps them).
        frozen: Whether BatchNorm normalises by its running statistics in training too, and leaves them.
        projection: Channels p of a 1 x 1 convolution on the coarsest map, so that the later layers have the
            same shape with every backbone; in segmentation also the width of the decoder. None: no
            projection.
        gate: Sizes of ACE's gate on the coarsest map, before the decoder in segmentation. None: no gate.

    Raises:
        UserError: Unknown name, or pretrained weights that cannot be loaded.
    """

    def __init__(
        self,
        name: str,
        classes: int,
        *,
        kind: TaskKind = "classification",
        width: int = 16,
        norm: Norm = "batch",
        pretrained: bool = False,
        frozen: bool = False,
        projection: int | None = None,
        gate: GateConfig | None = None,
    ) -> None:
        super().__init__()
        self.name, self.classes, self.kind, self.pretrained = name, classes, kind, pretrained
        self.frozen = frozen
        self.backbone = build_backbone(name, width=width, norm=norm, pretrained=pretrained)
        *finer, last = self.backbone.channels
        top = projection or last
        self.projection = nn.Conv2d(last, projection, 1) if projection else None
        self.gate = Gate(top, gate) if gate else None
        self.decoder: Decoder | None = None
        self.head: nn.Module
        if kind == "classification":
            self.head = nn.Linear(top, classes)
        else:
            decoded = projection or min(WIDEST_PYRAMID, max(32, last // 2))
            self.decoder = Decoder((*finer, top), decoded)
            self.head = nn.Conv2d(decoded, classes, 1)
        self.train()  # a new module is in training, also where statistics are frozen

    def train(self, mode: bool = True) -> Self:
        """Bring the network into training or evaluation; frozen statistics stay in evaluation."""
        super().train(mode)
        for module in self.modules() if self.frozen else ():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    def forward(
        self,
        x_B3SS: Tensor,
        context_Me: Tensor | None = None,
        noise_BN2: Tensor | None = None,
        tau_g: float = 1.0,
        maps: tuple[Tensor, ...] | None = None,
    ) -> Output:
        """Return the logits, and the features and masks that methods use.

        Args:
            x_B3SS: [B, 3, S, S] standardised pixels (`standardise`).
            context_Me: [M, e] contexts of all clients; needed with a gate, ignored without.
            noise_BN2: [B, N, 2] Gumbel noise for training with a gate, N of `positions`; None for evaluation.
            tau_g: Temperature of the gate.
            maps: What the backbone makes of these pixels, where it is known; the backbone does not run then.

        Raises:
            ValueError: A gate without contexts.
        """
        *finer, top_Bphw = self.backbone(x_B3SS) if maps is None else maps
        features_Bd = top_Bphw.mean((-2, -1))
        mask = soft = None
        if self.projection is not None:
            top_Bphw = self.projection(top_Bphw)
        if self.gate is not None:
            if context_Me is None:
                raise ValueError("a network with a gate needs the contexts of the clients")
            top_Bphw, mask, soft = self.gate(top_Bphw, context_Me, noise_BN2, tau_g)
        if self.decoder is not None:
            decoded = self.decoder((*finer, top_Bphw))
            logits = F.interpolate(
                self.head(decoded), x_B3SS.shape[-2:], mode="bilinear", align_corners=False
            )
            return Output(logits, features_Bd, decoded, mask, soft)
        pooled_Bp = self._pool(top_Bphw, mask)
        return Output(self.head(pooled_Bp), features_Bd, pooled_Bp, mask, soft)

    def _pool(self, top_Bphw: Tensor, mask_B1hw: Tensor | None) -> Tensor:
        """Return the mean over positions; behind a hard gate over open positions, zero where none is open."""
        if mask_B1hw is None or (self.gate is not None and self.gate.config.residual):
            return top_Bphw.mean((-2, -1))
        return top_Bphw.sum((-2, -1)) / mask_B1hw.sum((-2, -1)).clamp_min(1)

    def positions(self, size: int) -> int:
        """Return N of the gated map for images of `size` px, the number of positions with Gumbel noise."""
        return math.ceil(size / self.backbone.stride) ** 2


def initial_weights(network: Network, rng: torch.Generator) -> dict[str, Tensor]:
    """Draw the first parameters and running statistics of a network.

    Kaiming normal over the inputs (with ReLU's gain for convolutions, without for linear layers and the
    classifier); norms start at 1 and 0, running statistics at 0 and 1, biases at 0 except for the gate's
    `open_bias`. The backbone of a pretrained network keeps its weights.

    Args:
        network: The module; its own values are read only where they are pretrained.
        rng: CPU generator.

    Returns:
        Tensors on the CPU by name: parameters and running statistics.
    """
    values = {}
    for prefix, module in network.named_modules():
        for name, tensor in [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]:
            full = f"{prefix}.{name}"
            if network.pretrained and full.startswith("backbone."):
                values[full] = tensor.detach().cpu().clone()
            elif tensor.dim() > 1:
                gain = 2.0 if isinstance(module, nn.Conv2d) and prefix != "head" else 1.0
                values[full] = torch.randn(tensor.shape, generator=rng) * (gain / tensor[0].numel()) ** 0.5
            else:
                values[full] = (
                    torch.ones(tensor.shape)
                    if name in ("weight", "running_var")
                    else torch.zeros(tensor.shape)
                )
    if network.gate is not None:
        values["gate.mlp.2.bias"] = torch.tensor([0.0, network.gate.config.open_bias])
    return values


def standardise(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return float [..., c, S, S] with standardised channels, from uint8 pixels [..., S, S, c]."""
    pixels = x.to(torch.float32, copy=True)
    # whole rows of S * c numbers: an inner loop over three channels takes twice as long
    shift, scale = (torch.tensor(values * x.shape[-2], device=x.device) for values in (mean, std))
    pixels.flatten(-2).div_(255).sub_(shift).div_(scale)
    return pixels.movedim(-1, -3)


def standardise_planes(x: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Return the values of `standardise`, each channel of an image in one piece of memory."""
    pixels = torch.empty(*x.shape[:-3], x.shape[-1], *x.shape[-3:-1], device=x.device)
    # a channel at a time: one permuted copy moves three numbers at a time and takes seven times as long
    for channel, (shift, scale) in enumerate(zip(mean, std, strict=True)):
        plane = pixels[..., channel, :, :]
        plane.copy_(x[..., channel]).div_(255).sub_(shift).div_(scale)
    return pixels
