"""Base classes of methods that learn text prompts for a frozen CLIP.

Shapes: K clients, B images of a batch, N images, C classes, P prompt tokens, W text width, d embedding.

Reference: Zhou et al., "Learning to Prompt for Vision-Language Models" (CoOp), IJCV 2022; Guo et al.,
    "PromptFL", IEEE TMC 2023.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from pydantic import field_validator

from raysim.core.config import knob
from raysim.core.errors import UserError
from raysim.core.types import Batch, Context, Scope, Tensors
from raysim.core.warm import kept
from raysim.methods.base import Method, Metrics, cross_entropy
from raysim.methods.traits import Traits
from raysim.nn.text import Suffixes, TextTower

RANDOM = "random"  # a prompt that starts from noise
SHARED = "prompt.shared"  # names of a row
PRIVATE = "prompt.private"

ClassFeatures = dict[str, torch.Tensor]  # [K, C, d] of the "shared", the "private" and the "fused" prompt


@dataclass(frozen=True)
class PromptModel:
    """The frozen CLIP as prompt methods use it: the text tower, the class names, the logit scale."""

    tower: TextTower
    class_tokens: list[list[int]]
    logit_scale: float
    context: Context
    _suffixes: dict[int, Suffixes] = field(default_factory=dict)

    @classmethod
    @kept("prompt models", maxsize=2)
    def from_context(cls, context: Context) -> PromptModel:
        """Take the text tower out of the backbone and tokenise the class names, once per process."""
        backbone = context.backbone
        tower = backbone.tower
        tokens = tower.strip(backbone.tokenize([f"{name}." for name in context.classes]))
        return cls(tower, tokens, backbone.logit_scale, context)

    def suffixes(self, length: int) -> Suffixes:
        """Return the class names behind a prompt of `length` tokens: constants, prepared once."""
        if length not in self._suffixes:
            self._suffixes[length] = self.tower.prepare(self.class_tokens, length)
        return self._suffixes[length]

    def class_features(self, prompts_KPW: torch.Tensor) -> torch.Tensor:
        """Return the text features [K, C, d] of all classes under each prompt, of unit length."""
        return self.tower.encode(prompts_KPW, self.suffixes(prompts_KPW.shape[1]))

    def word_embeddings(self, text: str) -> torch.Tensor:
        """Return the token embeddings [T, W] of some words."""
        [tokens] = self.tower.strip(self.context.backbone.tokenize([text]))
        return self.tower.embed(tokens[:-1])

    def first_prompt(self, init: str, length: int, rng: torch.Generator) -> torch.Tensor:
        """Return an untrained prompt [length, W].

        Args:
            init: "random" for N(0, 0.02^2) as in CoOp, or words; tokens beyond the words are noise.
            length: Tokens of the prompt.
            rng: Generator of the noise.
        """
        prompt_PW = torch.randn(length, self.tower.width, generator=rng) * 0.02
        if init != RANDOM:
            words_TW = self.word_embeddings(init)[:length].cpu()
            prompt_PW[: len(words_TW)] = words_TW
        return prompt_PW.to(self.context.device)


def check_init(value: str) -> str:
    """Check that a prompt starts from something: the body of a validator."""
    if not value.strip():
        raise ValueError("'random' or some words, for example 'a photo of a'")
    return value


class PromptMethod(Method):
    """A method that learns text prompts on cached image features."""

    @property
    def traits(self) -> Traits:
        """Class features are text features of the classes' names."""
        return replace(super().traits, names_classes=True)

    def build(self, context: Context) -> PromptModel:
        """Return the frozen text tower and class names."""
        if context.backbone is None:
            raise UserError(f"method.name = {self.name}: prompt methods need a CLIP backbone (task.backbone)")
        return PromptModel.from_context(context)

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor:
        """Return the class features [K, C, d] that classify in this scope."""
        raise NotImplementedError

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor | None:
        """Cosine logits [K, N, C] of pooled features `x` [N, d]."""
        text_KCD = self.text_features(model, params, scope)
        return model.logit_scale * torch.einsum("nd,kcd->knc", x, text_KCD)


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
        """Return P_s [h, W]."""
        return {SHARED: model.first_prompt(self.shared_init, self.h, rng)}


def cosine_logits(model: PromptModel, x_KBD: torch.Tensor, text_KCD: torch.Tensor) -> torch.Tensor:
    """Logits [K, B, C] of each client's own batch under its own class features."""
    return model.logit_scale * torch.bmm(x_KBD, text_KCD.transpose(1, 2))


def prompt_loss(model: PromptModel, prompt_KPW: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Metrics]:
    """CoOp's loss: cross-entropy over cosine logits, [K]."""
    ce_K = cross_entropy(cosine_logits(model, batch.x, model.class_features(prompt_KPW)), batch)
    return ce_K, {"loss_ce": ce_K.detach()}


def normalise(x: torch.Tensor) -> torch.Tensor:
    """Scale to unit length along the last axis."""
    return F.normalize(x, dim=-1)
