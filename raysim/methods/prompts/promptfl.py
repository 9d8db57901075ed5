"""PromptFL: one text prompt, averaged by the server; and the forms of it that bound every other prompt method.

Reference: Guo et al., "PromptFL: Let Federated Participants Cooperatively Learn Prompts Instead of Models",
    IEEE TMC 2023. Without a server it is CoOp (Zhou et al., IJCV 2022): `centralized` on all images at once,
    `local` on each client's own.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, Scope, Tensors
from raysim.methods.base import Metrics
from raysim.methods.prompts.base import PRIVATE, SHARED, PromptModel, SharedPromptMethod, shared_prompt_loss


class PromptFL(SharedPromptMethod):
    """CoOp's prompt, trained at the clients and averaged."""

    name: ClassVar[str] = "promptfl"

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy."""
        return shared_prompt_loss(model, params[SHARED], batch)

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor | None:
        """One prompt for everybody: shared and personal agree."""
        return model.text(params[SHARED])


class PromptFLFineTuned(PromptFL):
    """PromptFL; before it is used at a client, the averaged prompt is tuned on the client's own images."""

    name: ClassVar[str] = "promptfl_ft"

    epochs_ft: int = knob(
        5,
        "epochs of local tuning before use",
        basis="guess",
        search="{1,2,5,10,20}",
        ge=1,
        le=1000,
    )

    @property
    def local_epochs_at_evaluation(self) -> int:
        """The tuning epochs."""
        return self.epochs_ft


class Centralized(PromptFL):
    """CoOp on all images at once: what a federation gives up."""

    name: ClassVar[str] = "centralized"
    pooled: ClassVar[bool] = True


class LocalOnly(PromptFL):
    """CoOp at each client alone: nothing is sent."""

    name: ClassVar[str] = "local"
    shares: ClassVar[bool] = False

    def init_shared(self, model: PromptModel, rng: torch.Generator) -> Tensors:
        """Nothing is shared."""
        return {}

    def init_private(self, model: PromptModel, rng: torch.Generator, client: int) -> Tensors:
        """The client's prompt [h, W]."""
        return {PRIVATE: model.start(self.shared_init, self.h, rng)}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy."""
        return shared_prompt_loss(model, params[PRIVATE], batch)

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor | None:
        """There is no shared model."""
        return model.text(params[PRIVATE]) if scope == "personal" else None
