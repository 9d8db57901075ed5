"""ACE, SAFE's context enhancement: embeddings of all clients decide which positions of a feature map count.

The embeddings, stacked to a matrix at the server, attend to feature positions; a Gumbel-Softmax gate opens or
closes each position (`raysim.nn.gate`). Filled in: an embedding starts at the server, as a small normal
vector.

Shapes: M clients, e width of an embedding, B images, N gated positions.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import torch
from pydantic import model_validator
from torch import nn

from raysim.core.config import knob
from raysim.core.types import Tensors
from raysim.methods.base import Metrics
from raysim.methods.networks.base import NetworkMethod
from raysim.nn.gate import GateConfig, gumbel
from raysim.nn.networks import Network, Output

CONTEXTS = "server/contexts"  # the embeddings of all clients, [M, e]
CLIENT_CONTEXT = "context/mine"  # the client's embedding, [1, e]
OTHER_CONTEXTS = "context/others"  # the others' embeddings, [M - 1, e]


class ContextEnhancement(NetworkMethod):
    """The gate's sizes, its temperature, and its term of the loss."""

    ace: bool = knob(True, "context enhancement (ACE): the gate", basis="paper")
    d_e: int = knob(
        128,
        "ACE: width of an embedding",
        basis="guess",
        search="{32,64,128,256,512}",
        ge=4,
        le=4096,
        used_when=("ace=true", lambda self: self.ace),
    )
    d: int = knob(
        128,
        "ACE: width of the attention, a multiple of the heads",
        basis="guess",
        search="{32,64,128,256,512}",
        ge=4,
        le=4096,
        used_when=("ace=true", lambda self: self.ace),
    )
    heads: int = knob(
        4,
        "ACE: heads of the attention",
        basis="guess",
        search="{1,4,8}",
        ge=1,
        le=64,
        used_when=("ace=true", lambda self: self.ace),
    )
    mlp_ratio: float = knob(
        1.0,
        "ACE: hidden width of the MLP over d",
        basis="guess",
        search="{0.5,1,2,4}",
        gt=0,
        le=16,
        used_when=("ace=true", lambda self: self.ace),
    )
    gating: Literal["hard", "residual"] = knob(
        "hard",
        "ACE: m F, or F + m F",
        basis="guess",
        search="{hard,residual}",
        used_when=("ace=true", lambda self: self.ace),
    )
    open_bias: float = knob(
        1.0,
        "ACE: first bias towards open; 0 = half open",
        basis="guess",
        search="{0,1,2}",
        ge=-10,
        le=10,
        used_when=("ace=true", lambda self: self.ace),
    )
    tau_g: float = knob(
        1.0,
        "ACE: Gumbel temperature at the start",
        basis="guess",
        search="log-U [0.1, 5]",
        gt=0,
        le=100,
        used_when=("ace=true", lambda self: self.ace),
    )
    tau_g_end: float = knob(
        0.5,
        "ACE: temperature at the end, where it is annealed",
        basis="guess",
        search="log-U [0.1, 5]",
        gt=0,
        le=100,
        used_when=(
            "ace=true and tau_g_schedule=anneal",
            lambda self: self.ace and self.tau_g_schedule == "anneal",
        ),
    )
    tau_g_schedule: Literal["constant", "anneal"] = knob(
        "anneal",
        "ACE: temperature over rounds; anneal is linear",
        basis="guess",
        source="DynamicViT keeps 1",
        search="{constant,anneal}",
        used_when=("ace=true", lambda self: self.ace),
    )
    gate_rate: float = knob(
        0.1,
        "ACE: learning rate of the gate over that of the rest; 1 often closes it on whole classes",
        basis="computed",
        source="toy with one informative position of 16",
        search="{0.1,0.3,1}",
        gt=0,
        le=10,
        used_when=("ace=true", lambda self: self.ace),
    )
    w_mask: float = knob(
        0.0,
        "ACE: weight of (mean(m) - rho)^2; 0 = off",
        basis="relative",
        source="DynamicViT",
        search="0, log-U [0.01, 2]",
        ge=0,
        le=100,
        used_when=("ace=true", lambda self: self.ace),
    )
    rho: float = knob(
        0.7,
        "ACE: wanted share of open positions",
        basis="relative",
        source="DynamicViT",
        search="U [0.5, 0.9]",
        gt=0,
        lt=1,
        used_when=("ace=true and w_mask above 0", lambda self: self.ace and self.w_mask > 0),
    )

    @model_validator(mode="after")
    def check_sizes(self) -> Self:
        """Check that the heads divide the width of the attention."""
        if self.d % self.heads:
            raise ValueError(f"d = {self.d} is not allowed: it should be a multiple of heads = {self.heads}")
        return self

    @property
    def gate_config(self) -> GateConfig | None:
        """Sizes of the gate; None without ACE."""
        if not self.ace:
            return None
        return GateConfig(
            self.d_e, self.d, self.heads, self.mlp_ratio, self.gating == "residual", self.open_bias
        )

    def temperature(self, progress: float) -> float:
        """Return tau_g after a share `progress` of the rounds."""
        if self.tau_g_schedule == "constant":
            return self.tau_g
        return self.tau_g + (self.tau_g_end - self.tau_g) * progress

    def client_contexts(self, contexts_Me: torch.Tensor, client: int) -> Tensors:
        """Split the embeddings into the client's, which it trains, and the others', which stay constant."""
        return {
            CLIENT_CONTEXT: contexts_Me[client : client + 1].clone(),
            OTHER_CONTEXTS: torch.cat([contexts_Me[:client], contexts_Me[client + 1 :]]),
        }

    def gate_inputs(
        self, module: nn.Module, row: Tensors, x: torch.Tensor, rng: torch.Generator | None, tau_g: float
    ) -> tuple[Any, ...]:
        """Return all embeddings, noise in training (None in evaluation), and the temperature."""
        if not isinstance(module, Network) or module.gate is None:
            return ()
        contexts_Me = torch.cat([row[name] for name in (CLIENT_CONTEXT, OTHER_CONTEXTS) if name in row])
        if rng is None:
            return contexts_Me, None, tau_g
        return contexts_Me, gumbel((len(x), module.positions(x.shape[1]), 2), rng).to(x.device), tau_g

    def mask_term(self, output: Output, tau_g: float) -> tuple[torch.Tensor, Metrics]:
        """Return (mean(m) - rho)^2 [1] of a batch's masks, and how open they are."""
        assert output.mask is not None and output.soft is not None
        open_B = output.mask.flatten(1).mean(1)
        term_K = (open_B.mean() - self.rho).square()[None]
        # without noise, as in evaluation: noise would hide a gate that is stuck
        decision_BN = output.soft.detach().flatten(1) >= 0.5
        return term_K, {
            "mask_ratio": open_B.detach().mean()[None],
            "mask_empty": (~decision_BN).all(1).float().mean()[None],
            "mask_full": decision_BN.all(1).float().mean()[None],
            "tau_g": torch.full_like(term_K, tau_g).detach(),
        }

    def rate_factor(self, name: str) -> float:
        """Return `gate_rate` for a tensor of the gate, else 1."""
        return self.gate_rate if "/gate." in name else 1.0
