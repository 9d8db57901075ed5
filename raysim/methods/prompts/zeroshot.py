"""Zero-shot CLIP: a hand-written prompt, nothing trained, nothing sent.

Reference: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from __future__ import annotations

from typing import ClassVar

import torch

from raysim.core.types import Scope, Tensors
from raysim.methods.prompts.base import PromptMethod, PromptModel


class ZeroShot(PromptMethod):
    """CLIP as it is, with the dataset's first prompt template."""

    name: ClassVar[str] = "zeroshot"
    trains: ClassVar[bool] = False
    shares: ClassVar[bool] = False

    def init_shared(self, model: PromptModel, rng: torch.Generator) -> Tensors:
        """Nothing is shared."""
        return {}

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor:
        """The template's words before the class name; prompts end in "CLASS." as in CoOp."""
        before = model.context.templates[0].split("{")[0].strip()
        prompt_PW = (
            model.words(before) if before else torch.zeros(0, model.tower.width, device=model.context.device)
        )
        return model.text(prompt_PW[None])
