"""ACE's gate: a binary mask over the positions of a feature map, computed from the contexts of all clients.

    Q = LN(F) Wq,  K = E Wk,  V = E Wv;    Z = softmax(Q K^T / sqrt(d / heads)) V        per head
    l = MLP([Q; Z])                                                         two logits: closed, open
    m = 1[l_1 + g_1 >= l_0 + g_0],  gradient of softmax((l + g) / tau_g)_1
    F' = m * F    or    F' = F + m * F (residual)

with Gumbel noise g in training and g = 0 in evaluation.

SAFE defines the context embeddings, the cross-attention for a soft mask, and an MLP with Gumbel-Softmax for a
binary one. Sizes, heads, the layer norm and the form of the gate are assumptions, and so is the start: an
untrained gate is mostly open, because a closed one would hide the image from the training that must open it.

Shapes: B images, f channels of the gated map, h x w = N positions, M contexts of width e, d width of the
attention, H heads of width k.

Reference: Jang et al., "Categorical Reparameterization with Gumbel-Softmax", ICLR 2017; Rao et al.,
    "DynamicViT", NeurIPS 2021 (a hard mask over positions by Gumbel-Softmax).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class GateConfig(NamedTuple):
    """Sizes and form of a gate.

    Attributes:
        d_e: Width e of a context embedding. Assumption.
        d: Width of the attention, a multiple of `heads`. Assumption.
        heads: Heads of the attention. Assumption.
        mlp_ratio: Hidden width of the MLP over `d`. Assumption.
        residual: F + m F in place of m F: closed positions pass at weight 1, open ones at 2. Assumption:
            False, because the paper's failure "all zeros suppress the entire image" needs a gate that can.
        open_bias: First bias of the logit "open": 0 starts half open, 1 mostly open (sigmoid(1) = 0.73 under
            noise), large values fully open with little gradient. Assumption.
    """

    d_e: int = 128
    d: int = 128
    heads: int = 4
    mlp_ratio: float = 1.0
    residual: bool = False
    open_bias: float = 1.0


class Gate(nn.Module):
    """Cross-attention from positions to contexts, then a binary mask over positions.

    Args:
        channels: f, channels of the map.
        config: Sizes and form.

    Raises:
        ValueError: `d` is no multiple of `heads`.
    """

    def __init__(self, channels: int, config: GateConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or GateConfig()
        if config.d % config.heads:
            raise ValueError(f"d = {config.d} is no multiple of heads = {config.heads}")
        hidden = max(1, round(config.mlp_ratio * config.d))
        self.norm = nn.LayerNorm(channels)
        self.query = nn.Linear(channels, config.d, bias=False)
        self.key = nn.Linear(config.d_e, config.d, bias=False)
        self.value = nn.Linear(config.d_e, config.d, bias=False)
        self.mlp = nn.Sequential(nn.Linear(2 * config.d, hidden), nn.GELU(), nn.Linear(hidden, 2))

    def forward(
        self, f_Bfhw: Tensor, context_Me: Tensor, noise_BN2: Tensor | None = None, tau_g: float = 1.0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gated map and its masks.

        Args:
            f_Bfhw: [B, f, h, w].
            context_Me: [M, e], one row for each client, in any order.
            noise_BN2: [B, h * w, 2] Gumbel noise (`gumbel`), for training; None for evaluation, where the
                larger logit wins.
            tau_g: Temperature > 0: small values give gradients to undecided positions only, large values
                give small gradients to all.

        Returns:
            The gated map [B, f, h, w]; the mask [B, 1, h, w], exactly 0 or 1, with the gradient of the soft
            mask under this noise; the soft mask [B, 1, h, w] in (0, 1) without noise, for figures.
        """
        height, width = f_Bfhw.shape[-2:]
        logits_BN2 = self.logits(f_Bfhw.flatten(2).transpose(1, 2), context_Me)
        margin_BN = noisy_margin_BN = _open_margin(logits_BN2)
        if noise_BN2 is not None:
            noisy_margin_BN = _open_margin(logits_BN2 + noise_BN2)
        hard_BN, under_noise_BN = (
            (noisy_margin_BN >= 0).to(noisy_margin_BN),
            torch.sigmoid(noisy_margin_BN / tau_g),
        )
        # the difference is an exact zero with a gradient, so that the mask stays binary
        mask_BN = hard_BN + (under_noise_BN - under_noise_BN.detach())
        soft_BN = torch.sigmoid(margin_BN / tau_g)
        mask, soft = (m.unflatten(-1, (height, width)).unsqueeze(1) for m in (mask_BN, soft_BN))
        return (f_Bfhw + mask * f_Bfhw if self.config.residual else mask * f_Bfhw), mask, soft

    def logits(self, f_BNf: Tensor, context_Me: Tensor) -> Tensor:
        """Return the logits of closed and open, [B, N, 2]."""
        heads = (self.config.heads, -1)
        q_BNd = self.query(self.norm(f_BNf))
        q_BNHk = q_BNd.unflatten(-1, heads)
        k_MHk, v_MHk = self.key(context_Me).unflatten(-1, heads), self.value(context_Me).unflatten(-1, heads)
        scores_BHNM = torch.einsum("bnhk,mhk->bhnm", q_BNHk, k_MHk) / q_BNHk.shape[-1] ** 0.5
        z_BNd = torch.einsum("bhnm,mhk->bnhk", scores_BHNM.softmax(-1), v_MHk).flatten(-2)
        return self.mlp(torch.cat([q_BNd, z_BNd], dim=-1))


def _open_margin(logits_BN2: Tensor) -> Tensor:
    """Return logit open minus logit closed, [B, N]: softmax(l / tau)[..., 1] = sigmoid(margin / tau)."""
    return logits_BN2[..., 1] - logits_BN2[..., 0]


def gumbel(shape: tuple[int, ...], rng: torch.Generator) -> Tensor:
    """Draw standard Gumbel noise -log(-log U), float32.

    Args:
        shape: Shape of the noise.
        rng: CPU generator, so that the noise is the same on every device.

    Returns:
        Noise of this shape, finite: U stays away from 0 and 1, which bounds it to about [-4.5, 36.7].
    """
    # float64: the float32 numbers nearest to 1 differ from it by 6e-8, which would cut the upper tail at 16.6
    uniform = torch.rand(shape, generator=rng, dtype=torch.float64).clamp(1e-38, 1 - 2**-53)
    return (-(-uniform.log()).log()).float()
