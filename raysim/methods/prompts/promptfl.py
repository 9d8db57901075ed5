"""PromptFL: one text prompt, averaged by the server; and its variants that bound every other prompt method.

Reference: Guo et al., "PromptFL: Let Federated Participants Cooperatively Learn Prompts Instead of Models",
    IEEE TMC 2023. Without a server it is CoOp (Zhou et al., IJCV 2022): `centralized` on all images at once,
    `local` on each client's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch

from raysim.core.config import knob
from raysim.core.types import Batch, Scope, Tensors
from raysim.methods.base import Metrics
from raysim.methods.placement import Alone, Pooled
from raysim.methods.prompts.base import PRIVATE, SHARED, PromptModel, SharedPromptMethod, prompt_loss
from raysim.methods.traits import Traits


class PromptFL(SharedPromptMethod):
    """CoOp's prompt, trained at the clients and averaged."""

    name: ClassVar[str] = "promptfl"

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy."""
        return prompt_loss(model, params[SHARED], batch)

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor:
        """Return the class features under the one prompt: shared and personal agree."""
        return model.class_features(params[SHARED])


class PromptFLFineTuned(PromptFL):
    """PromptFL whose averaged prompt is tuned on a client's own images before it is used there."""

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
    def traits(self) -> Traits:
        """Each client evaluates a model of its own: the shared prompt after local tuning."""
        return replace(super().traits, personal=True, tuning_epochs=self.epochs_ft)


class Centralized(Pooled, PromptFL):
    """CoOp on all images in one place."""

    name: ClassVar[str] = "centralized"


class LocalOnly(Alone, PromptFL):
    """CoOp at each client, trained alone."""

    name: ClassVar[str] = "local"
    private_names: ClassVar[Mapping[str, str]] = {SHARED: PRIVATE}
