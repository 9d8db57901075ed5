"""Zero-shot CLIP: a hand-written prompt, nothing trained, nothing sent.

Reference: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch

from raysim.core.types import Scope, Tensors
from raysim.methods.prompts.base import PromptMethod, PromptModel
from raysim.methods.traits import Traits


class ZeroShot(PromptMethod):
    """CLIP as it is, with the dataset's first prompt template."""

    name: ClassVar[str] = "zeroshot"

    @property
    def traits(self) -> Traits:
        """There are no rounds."""
        return replace(super().traits, trains=False)

    def init_shared(self, model: PromptModel, rng: torch.Generator) -> Tensors:
        """Return nothing: no tensor is shared."""
        return {}

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor:
        """Return the class features [1, C, d] under the template's words; prompts end in "CLASS." (CoOp)."""
        words = model.context.templates[0].split("{")[0].strip()
        empty_PW = torch.zeros(0, model.tower.width, device=model.context.device)
        prompt_PW = model.word_embeddings(words) if words else empty_PW
        return model.class_features(prompt_PW[None])
