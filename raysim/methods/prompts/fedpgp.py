"""FedPGP: a shared prompt and a private term of low rank; a contrast keeps the former near zero-shot CLIP.

Reference: Cui, Li, Wang, Shi, "Harmonizing Generalization and Personalization in Federated Prompt Learning",
    ICML 2024 (arXiv 2405.09771). Formulas and defaults were checked against the authors' repository
    (TianyuCuiOvO/FedPGP).

    P_k = P_s + U_k V_k
    L_k = CE(T_p) + mu mean_c -log( z_c / (z_c + p_c) )
    z_c = exp(<T_g, T_0>_c / temp),    p_c = exp(<T_g, T_p>_c / temp)

P_s [h, W] is averaged; U_k [h, b] and V_k [b, W] stay at the client. T_p are the class features under P_k,
T_g under P_s alone, and T_0 those of zero-shot CLIP. The contrast draws T_g to T_0 and pushes it away from
T_p. Only T_0 is frozen, so the contrast moves P_s, U and V.

What differs from the repository, or had to be filled in:
  * T_0 uses the dataset's template, the words of method `zeroshot`. Their code encodes place-holders ("X X ..
    X class."), as many as the prompt has tokens.
  * U and V both start from N(0, 0.02^2), as theirs, but with a seed per client (theirs start all clients from
    one copy). Their product is then far smaller than P_s (sqrt(b) 0.0004), but not 0: from 0 neither would
    get a gradient.
  * h = 4 tokens as for the other methods here (theirs 16), and P_s may start from words.
  * Scope "shared", which they do not evaluate: P_s alone.

Shapes: K clients, B images, C classes, h prompt tokens, b bottleneck, W text width, d embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
import torch.nn.functional as F

from raysim.core.config import knob
from raysim.core.types import Batch, Context, Scope, Signature, Tensors
from raysim.methods import signatures
from raysim.methods.base import Metrics, cross_entropy
from raysim.methods.diagnosis import Diagnosis
from raysim.methods.prompts.base import (
    SHARED,
    PromptModel,
    SharedPromptMethod,
    cosine_logits,
    prompt_loss,
)
from raysim.methods.prompts.zeroshot import ZeroShot

U = "prompt.private.u"
V = "prompt.private.v"


@dataclass(frozen=True)
class GuidedModel(PromptModel):
    """The frozen CLIP with T_0, its zero-shot class features [C, d]."""

    zero_shot: torch.Tensor = field(kw_only=True)


class FedPGP(SharedPromptMethod):
    """A shared prompt with a private term of low rank."""

    name: ClassVar[str] = "fedpgp"

    bottleneck: int = knob(
        4,
        "b, rank of the private term; more than h adds nothing to the rank",
        basis="relative",
        source="FedPGP; 8 in its CIFAR-100 script",
        search="{1,2,4,8}",
        ge=1,
        le=64,
    )
    mu: float = knob(
        1.0,
        "weight of the contrast; 0 = off",
        basis="relative",
        source="FedPGP",
        search="log-U [0.01, 10], and 0",
        ge=0,
    )
    temp: float = knob(
        0.5,
        "temperature of the contrast; small = only which of T_0 and T_p is nearer counts",
        basis="relative",
        source="FedPGP",
        search="log-U [0.05, 2]",
        gt=0,
        used_when=("mu above 0", lambda self: self.mu > 0),
    )

    @property
    def diagnosis(self) -> FedPGPDiagnosis:
        """The private term."""
        return FedPGPDiagnosis()

    def build(self, context: Context) -> GuidedModel:
        """Return the frozen text tower, class names and zero-shot features."""
        plain = super().build(context)
        zero_shot = ZeroShot().text_features(plain, {}, "shared")[0]
        return GuidedModel(
            plain.tower, plain.class_tokens, plain.logit_scale, plain.context, zero_shot=zero_shot
        )

    def init_private(self, model: PromptModel, rng: torch.Generator, client: int) -> Tensors:
        """Return U [h, b] and V [b, W]."""
        u, v = (
            torch.randn(shape, generator=rng) * 0.02
            for shape in ((self.h, self.bottleneck), (self.bottleneck, model.tower.width))
        )
        return {U: u.to(model.context.device), V: v.to(model.context.device)}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy of the personal prompt and the contrast, [K]."""
        prompt_KPW = personal_prompt(params)
        if not self.mu:
            return prompt_loss(model, prompt_KPW, batch)
        features = model.class_features(torch.cat([params[SHARED], prompt_KPW]))
        shared_KCd, personal_KCd = features.chunk(2)
        ce_K = cross_entropy(cosine_logits(model, batch.x, personal_KCd), batch)
        sim_personal_KC = (shared_KCd * personal_KCd).sum(-1)
        sim_zero_shot_KC = (shared_KCd * model.zero_shot).sum(-1)
        contrast_K = F.softplus((sim_personal_KC - sim_zero_shot_KC) / self.temp).mean(1)
        return ce_K + self.mu * contrast_K, {"loss_ce": ce_K.detach(), "loss_contrast": contrast_K.detach()}

    def text_features(self, model: PromptModel, params: Tensors, scope: Scope) -> torch.Tensor:
        """Return the class features under P_s + U V, or for the shared scope under P_s alone."""
        return model.class_features(params[SHARED] if scope == "shared" else personal_prompt(params))


def personal_prompt(params: Tensors) -> torch.Tensor:
    """P_s + U V, [K, h, W]."""
    return torch.baddbmm(params[SHARED], params[U], params[V])


class FedPGPDiagnosis(Diagnosis):
    """Diagnosis of the private term: whether it is used."""

    @property
    def watched(self) -> Mapping[str, str]:
        """The private term."""
        return signatures.meanings("private_unused")

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """Return a private term without use."""
        return signatures.private_unused(rounds)
