"""Layers of CLIP's text tower as frozen records of tensors, and their conversion from open_clip's weights.

Frozen weights need no gradients, so these layers are functions of plain tensors and not modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from raysim.core.errors import UserError

QUICK, QUICK_GELU = "quick_gelu", 1.702  # x sigmoid(1.702 x)


@dataclass(frozen=True)
class TensorRecord:
    """Frozen record of tensors that moves between devices as a whole."""

    def to(self, device: str | torch.device) -> Self:
        """Return the record on another device."""
        moved = {
            f.name: getattr(self, f.name).to(device)
            for f in fields(self)
            if isinstance(getattr(self, f.name), Tensor)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Norm(TensorRecord):
    """Layer normalisation."""

    weight: Tensor
    bias: Tensor
    eps: float

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str, eps: float) -> Norm:
        """Copy the weights of the `torch.nn.LayerNorm` of this name."""
        return cls(frozen_copy(tensors[f"{name}.weight"]), frozen_copy(tensors[f"{name}.bias"]), eps)

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise the last dimension."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.eps)


@dataclass(frozen=True)
class Linear(TensorRecord):
    """Affine map."""

    weight: Tensor
    bias: Tensor | None

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str, scale: float = 1.0) -> Linear:
        """Copy the weights of the `torch.nn.Linear` of this name, multiplied by `scale`."""
        bias = tensors.get(f"{name}.bias")
        weight = frozen_copy(tensors[f"{name}.weight"]) * scale
        return cls(weight, None if bias is None else frozen_copy(bias) * scale)

    def __call__(self, x: Tensor) -> Tensor:
        """Map the last dimension."""
        return F.linear(x, self.weight, self.bias)

    def rows(self, start: int, stop: int | None = None) -> Linear:
        """Return some of the outputs."""
        return Linear(self.weight[start:stop], None if self.bias is None else self.bias[start:stop])


@dataclass(frozen=True)
class Block:
    """One transformer block: attention and MLP, each behind a layer norm and with a residual connection."""

    norm_1: Norm
    qkv: Linear
    out: Linear
    norm_2: Norm
    fc: Linear
    act: str  # "silu", or the approximation of GELU: "none", "tanh"
    proj: Linear

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str, act: str, eps: float) -> Block:
        """Copy the weights of the open_clip `ResidualAttentionBlock` of this name.

        Args:
            tensors: Weights of the CLIP by name.
            name: Name of the block.
            act: "quick_gelu", or the approximation of GELU: "none", "tanh".
            eps: What layer norms add to the variance.
        """
        quick = act == QUICK
        # x sigmoid(1.702 x) = silu(1.702 x) / 1.702: one kernel instead of three; the factors go into the
        # weights of the layers before and after it
        proj = Linear.of(tensors, f"{name}.mlp.c_proj")
        weight, bias = (tensors[f"{name}.attn.in_proj_{part}"] for part in ("weight", "bias"))
        return cls(
            norm_1=Norm.of(tensors, f"{name}.ln_1", eps),
            qkv=Linear(frozen_copy(weight), frozen_copy(bias)),
            out=Linear.of(tensors, f"{name}.attn.out_proj"),
            norm_2=Norm.of(tensors, f"{name}.ln_2", eps),
            fc=Linear.of(tensors, f"{name}.mlp.c_fc", QUICK_GELU if quick else 1.0),
            act="silu" if quick else act,
            proj=Linear(proj.weight / QUICK_GELU, proj.bias) if quick else proj,
        )

    def to(self, device: str | torch.device) -> Block:
        """Return the block on another device."""
        return replace(
            self, **{f.name: getattr(self, f.name).to(device) for f in fields(self) if f.name != "act"}
        )

    def mlp(self, x: Tensor) -> Tensor:
        """Apply the second half of the block."""
        hidden = self.fc(self.norm_2(x))
        if self.act == "silu":
            return x + self.proj(F.silu(hidden))
        return x + self.proj(F.gelu(hidden, approximate=self.act))


def frozen_copy(weight: Tensor) -> Tensor:
    """Copy a weight without gradient; half precision becomes float32."""
    copy = weight.detach().clone()
    return copy if copy.dtype in (torch.float32, torch.float64) else copy.float()


def check_tower(clip: Any) -> tuple[str, float]:
    """Refuse a CLIP whose text tower these layers would not reproduce exactly.

    Returns:
        The activation of its blocks, as `Block.of` takes it, and the epsilon of its layer norms.

    Raises:
        UserError: The tower is not causal, not CLIP's own transformer, or pools elsewhere than at [EOT].
    """
    from open_clip.transformer import QuickGELU, ResidualAttentionBlock

    if not all(
        hasattr(clip, name)
        for name in ("transformer", "token_embedding", "positional_embedding", "ln_final", "attn_mask")
    ):
        raise UserError(
            f"{type(clip).__name__} has no CLIP text tower of its own (a Hugging Face or custom text "
            "tower): use a CLIP"
        )
    if clip.text_pool_type not in ("argmax", "eos"):
        raise UserError(
            f"the text tower pools by '{clip.text_pool_type}', not at the end-of-text token: it cannot be "
            "used exactly"
        )
    length = clip.positional_embedding.shape[0]
    causal = torch.full((length, length), float("-inf")).triu_(1)
    if clip.attn_mask is None or not torch.equal(clip.attn_mask.detach().float().cpu(), causal):
        raise UserError(
            "the text tower is not causal: the class names would change the prompt's features, so it "
            "cannot be used exactly"
        )
    blocks = clip.transformer.resblocks
    gelu = blocks[0].mlp.gelu
    act = QUICK if isinstance(gelu, QuickGELU) else getattr(gelu, "approximate", "")
    for block in blocks:
        plain = (
            type(block) is ResidualAttentionBlock
            and isinstance(block.ls_1, torch.nn.Identity)
            and isinstance(block.ls_2, torch.nn.Identity)
            and not hasattr(block, "ln_1_kv")
            and type(block.mlp.gelu) in (torch.nn.GELU, QuickGELU)
            and type(block.mlp.gelu) is type(gelu)
            and block.attn.in_proj_weight is not None
            and block.attn.in_proj_bias is not None
            and block.attn.bias_k is None
            and not block.attn.add_zero_attn
            and block.ln_1.eps == block.ln_2.eps == clip.ln_final.eps
        )
        if not plain:
            raise UserError(
                "the text tower's blocks are not CLIP's (layer scale, head scale or another activation): "
                "use a plain CLIP"
            )
    return act, clip.ln_final.eps
