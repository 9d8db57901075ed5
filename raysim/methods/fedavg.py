"""FedAvg: every weight of a network is trained at the clients and averaged.

Two networks: a small CNN from scratch, and CLIP's whole image tower with the zero-shot text features as its classifier, which
is what the FedRSCLIP paper compares its 2,048 numbers with (86 million for ViT-B/16).

Reference: McMahan et al., "Communication-Efficient Learning of Deep Networks from Decentralized Data", AISTATS 2017.

Shapes: N images, B images of a batch, S x S pixels, C classes, d embedding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import nn
from torch.func import functional_call

from raysim.config import UserError, knob
from raysim.methods.base import Method, Metrics, cross_entropy
from raysim.methods.prompts import normalise
from raysim.methods.zeroshot import ZeroShot
from raysim.nn.cnn import normalised, small_cnn
from raysim.types import Batch, Context, Inputs, Scope, Tensors

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Network:
    """A frozen module (its weights are passed in), what it expects, and the text classifier of the image tower."""

    module: nn.Module
    mean: tuple[float, ...]
    std: tuple[float, ...]
    text_CD: torch.Tensor | None
    logit_scale: float

    def logits(self, weights: Tensors, x: torch.Tensor) -> torch.Tensor:
        """uint8 [N, S, S, 3] -> [N, C] under the given weights."""
        out = functional_call(self.module, weights, (normalised(x, self.mean, self.std),))
        return out if self.text_CD is None else self.logit_scale * normalise(out) @ self.text_CD.T


class FedAvg(Method):
    """Federated averaging of a whole network; clients train one at a time (K = 1)."""

    name: ClassVar[str] = "fedavg"
    stackable: ClassVar[bool] = False

    network: Literal["cnn", "image_tower"] = knob(
        "cnn", "a small CNN from scratch, or CLIP's image tower", basis="paper", source="the tower is its communication baseline"
    )
    width: int = knob(32, "channels of the CNN's first layer", basis="guess", search="{16,32,64}", ge=8, le=512, multiple_of=8)

    @property
    def inputs(self) -> Inputs:
        """Pixels: nothing about the images is frozen."""
        return "pixels"

    def build(self, context: Context) -> Network:
        """The module without weights of its own that matter."""
        if self.network == "cnn":
            return Network(small_cnn(len(context.classes), self.width).to(context.device), *IMAGENET, None, 1.0)
        backbone = context.backbone
        if context.image_size != backbone.image_size:
            raise UserError(f"task.image_size = {context.image_size}: the image tower of {backbone.name} takes {backbone.image_size}")
        zeroshot = ZeroShot()
        text_CD = zeroshot.text_features(zeroshot.build(context), {}, "shared")[0]
        return Network(backbone.clip.visual, backbone.mean, backbone.std, text_CD, backbone.logit_scale)

    def init_shared(self, model: Network, rng: torch.Generator) -> Tensors:
        """The tower's pretrained weights, or the CNN's first ones (Kaiming normal; norms at one and zero)."""
        names = dict(model.module.named_parameters())
        if self.network == "image_tower":
            return {name: tensor.detach().clone() for name, tensor in names.items()}
        return {name: _first(name, tensor, rng) for name, tensor in names.items()}

    def loss(self, model: Network, params: Tensors, received: Tensors, batch: Batch) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy of the one client, [1]."""
        logits = model.logits({name: tensor[0] for name, tensor in params.items()}, batch.x[0])
        ce_K = cross_entropy(logits[None], batch)
        return ce_K, {"loss_ce": ce_K.detach()}

    def predict(self, model: Network, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor:
        """Logits [K, N, C]; shared and personal agree."""
        clients = len(next(iter(params.values())))
        return torch.stack([self._predict_one(model, {name: tensor[k] for name, tensor in params.items()}, x) for k in range(clients)])

    @staticmethod
    def _predict_one(model: Any, weights: Tensors, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([model.logits(weights, part) for part in x.split(256)])


def _first(name: str, tensor: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    if tensor.dim() == 1:
        return torch.ones(tensor.shape) if name.endswith("weight") else torch.zeros(tensor.shape)
    return torch.randn(tensor.shape, generator=rng) * (2.0 / tensor[0].numel()) ** 0.5
