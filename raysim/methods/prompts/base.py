"""Prompt learning on a frozen CLIP: what every prompt method shares.

Shapes: K clients, B images, C classes, P prompt tokens, W text width, d embedding, M patches.

References:
    Zhou et al., "Learning to Prompt for Vision-Language Models" (CoOp), IJCV 2022.
    Guo et al., "PromptFL", IEEE TMC 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import field_validator

from raysim.core.config import knob
from raysim.core.errors import UserError
from raysim.core.types import Batch, Context, Scope, Tensors
from raysim.methods.base import Method, Metrics, cross_entropy
from raysim.nn.text import Suffixes, TextTower

RANDOM = "random"
SHARED = "prompt.shared"
PRIVATE = "prompt.private"


@dataclass(frozen=True)
class PromptModel:
    """The frozen CLIP as prompt methods see it: the text tower, the class names, the logit scale."""

    tower: TextTower
    class_tokens: list[list[int]]
    logit_scale: float
    context: Context
    _suffixes: dict[int, Suffixes] = field(default_factory=dict)

    @classmethod
    @lru_cache(maxsize=2)
    def from_context(cls, context: Context) -> PromptModel:
        """Take the tower out of the backbone and tokenise the class names: once per process, for all its experiments."""
        backbone = context.backbone
        tower = TextTower.from_clip(backbone.clip).to(context.device)
        tokens = tower.strip(backbone.tokenize([f"{name}." for name in context.classes]))
        return cls(tower, tokens, backbone.logit_scale, context)

    def suffixes(self, length: int) -> Suffixes:
        """The class names behind a prefix of `length` prompt tokens: constants, prepared once."""
        if length not in self._suffixes:
            self._suffixes[length] = self.tower.prepare(self.class_tokens, length)
        return self._suffixes[length]

    def text(self, prompts_KPW: torch.Tensor) -> torch.Tensor:
        """Class features [K, C, d], unit length."""
        return self.tower.encode(prompts_KPW, self.suffixes(prompts_KPW.shape[1]))

    def words(self, text: str) -> torch.Tensor:
        """Token embeddings [T, W] of some words."""
        [tokens] = self.tower.strip(self.context.backbone.tokenize([text]))
        return self.tower.embed(tokens[:-1])

    def start(self, init: str, length: int, rng: torch.Generator) -> torch.Tensor:
        """A first prompt [length, W]: N(0, 0.02^2) as in CoOp, or words; more tokens than words are filled with noise."""
        prompt_PW = torch.randn(length, self.tower.width, generator=rng) * 0.02
        if init != RANDOM:
            words_TW = self.words(init)[:length].cpu()
            prompt_PW[: len(words_TW)] = words_TW
        return prompt_PW.to(self.context.device)


def check_init(value: str) -> str:
    """A validator's body: words must be words."""
    if not value.strip():
        raise ValueError("'random' or some words, for example 'a photo of a'")
    return value


class PromptMethod(Method):
    """A method that learns text prompts on cached image features."""

    @property
    def names_classes(self) -> bool:
        """Class features are text features of names."""
        return True

    def build(self, context: Context) -> PromptModel:
        """The frozen text tower and class names."""
        if context.backbone is None:
            raise UserError(f"method.name = {self.name}: prompt methods need a CLIP backbone (task.backbone)")
        return PromptModel.from_context(context)

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor | None:
        """The class features [K, C, d] that classify in this scope."""
        raise NotImplementedError

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Cosine logits [K, N, C] of pooled features `x` [N, d]."""
        text_KCD = self.text_features(model, params, scope)
        return None if text_KCD is None else model.logit_scale * torch.einsum("nd,kcd->knc", x, text_KCD)


class SharedPromptMethod(PromptMethod):
    """A prompt method whose server averages one prompt P_s [h, W]."""

    h: int = knob(
        4,
        "length of the shared prompt P_s in tokens; h x width numbers are sent",
        basis="relative",
        source="FedOTP's CIFAR-100 script; 16 in CoOp's, FedOTP's and FedPGP's programs",
        search="{1,2,4,8,16}",
        ge=1,
        le=64,
    )
    shared_init: str = knob(
        RANDOM,
        "'random' = N(0, 0.02^2), or words to start from",
        basis="relative",
        source="CoOp, FedOTP, FedPGP",
    )

    check_shared_init = field_validator("shared_init")(check_init)

    def init_shared(self, model: PromptModel, rng: torch.Generator) -> Tensors:
        """P_s [h, W]."""
        return {SHARED: model.start(self.shared_init, self.h, rng)}


def cosine_logits(model: PromptModel, x_KBD: torch.Tensor, text_KCD: torch.Tensor) -> torch.Tensor:
    """Logits [K, B, C] of each client's own batch under its own class features."""
    return model.logit_scale * torch.bmm(x_KBD, text_KCD.transpose(1, 2))


def shared_prompt_loss(
    model: PromptModel, prompt_KPW: torch.Tensor, batch: Batch
) -> tuple[torch.Tensor, Metrics]:
    """CoOp's loss: cross-entropy over cosine logits, [K]."""
    ce_K = cross_entropy(cosine_logits(model, batch.x, model.text(prompt_KPW)), batch)
    return ce_K, {"loss_ce": ce_K.detach()}


def normalise(x: torch.Tensor) -> torch.Tensor:
    """Unit length along the last axis."""
    return F.normalize(x, dim=-1)
