"""FedProx on prompts: PromptFL with a proximal term that keeps a client's prompt near the server's.

    L_k = L_CE + (mu / 2) ||P - P_server||^2

Reference: Li et al., "Federated Optimization in Heterogeneous Networks" (FedProx), MLSys 2020.

Not as published: the amount of local work does not vary, every client takes all its steps.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, Tensors
from raysim.methods.base import Metrics
from raysim.methods.prompts.base import SHARED
from raysim.methods.prompts.promptfl import PromptFL


class PromptFLProx(PromptFL):
    """PromptFL with a proximal term; mu = 0 is PromptFL."""

    name: ClassVar[str] = "promptfl_prox"

    mu: float = knob(
        0.5,
        "strength of the proximal term; 0 = PromptFL",
        basis="relative",
        source="FedOTP's script",
        search="log-U [1e-3, 10]",
        ge=0,
    )

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy and the proximal term, [K]."""
        loss_K, metrics = super().loss(model, params, received, batch)
        prox_K = 0.5 * self.mu * (params[SHARED] - received[SHARED]).square().sum(dim=(1, 2))
        return loss_K + prox_K, {**metrics, "loss_prox": prox_K.detach()}
