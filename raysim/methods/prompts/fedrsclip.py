"""FedRSCLIP: a shared prompt that the server averages, and a private prompt that never leaves its client.

Reference: Lin, Zhang, Hong, Dong, Wen, "FedRSClip: Federated Learning for Remote Sensing Scene Classification
    Using Vision-Language Models", arXiv 2501.02461 (IEEE GRSM 2025).

    L_k = L_CE + w_dpa L_DPA + w_ot L_CMFA

The paper (its abstract and summaries) states: frozen CLIP ViT-Base; a shared and a private prompt,
concatenated; a metric-learning alignment of the two with scaling factor s; entropic optimal transport (OT)
with coefficient lambda between image and text features; weighted averaging of the shared prompt; 2,048
numbers sent (4 tokens x 512).

No formula and no value is public. So each of these is a named choice here:
  * L_DPA (dual prompt alignment): normalised softmax (the NormFace and CosFace family, where a scaling factor
    s is usual), a cosine distance (KgCoOp), or a cosine distance in token space.
  * L_CMFA (cross-modal feature alignment): <Pi*, C> with C = 1 - cos, where Pi* is the entropic plan without
    gradient (as in FedOTP and PLOT).
  * fusion: one concatenated sequence (the paper's summary), a pair of prompts with OT logits (FedOTP), or a
    mixture of features (PromptFolio).
Results are "consistent with the description", never "the paper's configuration".

Shapes: K clients, B images of a batch, N images to predict, C classes, P prompt tokens (h or h_p), W text
width, d embedding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import field_validator, model_validator

from raysim.core.config import knob
from raysim.core.types import Batch, Scope, Signature, Tensors
from raysim.methods import signatures
from raysim.methods.base import Metrics, cross_entropy
from raysim.methods.diagnosis import Diagnosis
from raysim.methods.prompts.alignment import DualPromptAlignment
from raysim.methods.prompts.base import (
    PRIVATE,
    RANDOM,
    SHARED,
    ClassFeatures,
    PromptModel,
    check_init,
    cosine_logits,
    normalise,
)
from raysim.methods.prompts.cross_modal import CrossModalAlignment, pooled_features
from raysim.methods.prompts.transport import joint_metrics, logits_metrics, patch_logits
from raysim.methods.traits import Traits
from raysim.nn import ot

PAIR_IMAGES_PER_CALL = 64  # images whose transport is solved together, in prediction with a pair of prompts


class FedRSCLIP(DualPromptAlignment, CrossModalAlignment):
    """Shared and private prompts, aligned with each other and, by optimal transport, with the images."""

    name: ClassVar[str] = "fedrsclip"

    h: int = knob(
        4,
        "length of the shared prompt P_s; h x width numbers are sent",
        basis="computed",
        source="2,048 / 512",
        search="{1,2,4,8,16}",
        ge=1,
        le=64,
    )
    h_p: int = knob(
        4,
        "length of the private prompt P_p; 0 = none",
        basis="guess",
        search="{0,1,2,4,8,16}",
        ge=0,
        le=64,
    )
    fusion: Literal["concat", "pair", "mix"] = knob(
        "concat",
        "how the two prompts are combined: one sequence, OT logits of two, a mixture",
        basis="paper",
        search="{concat,pair,mix}",
        used_when=("h_p of 1 or more", lambda self: self.h_p > 0),
    )
    theta: float = knob(
        0.2,
        "share of the private features in fusion 'mix'",
        basis="relative",
        source="PromptFolio",
        search="U [0.05, 0.95]",
        ge=0,
        le=1,
        used_when=("fusion=mix and h_p of 1 or more", lambda self: self.fusion == "mix" and self.h_p > 0),
    )
    private_init: str = knob(
        RANDOM,
        "'random' (each client has a seed of its own), or words from which the private prompt starts",
        basis="guess",
        used_when=("h_p of 1 or more", lambda self: self.h_p > 0),
    )

    check_private_init = field_validator("private_init")(check_init)

    @model_validator(mode="after")
    def check_lengths(self) -> Self:
        """Check that the lengths of the prompts allow the chosen forms."""
        if self.dpa_form == "token" and self.w_dpa > 0 and self.h_p not in (0, self.h):
            raise ValueError(
                f"dpa_form = 'token' compares tokens, so h_p = {self.h_p} must equal h = {self.h} (or be 0)"
            )
        if self.fusion == "pair" and self.h_p == 0:
            raise ValueError("fusion = 'pair' needs a private prompt: h_p must be at least 1")
        return self

    @property
    def traits(self) -> Traits:
        """Patch features where the fusion or the transport needs them, else pooled features."""
        patches = self.fusion == "pair" or (self.ot_level == "patch" and self.w_ot > 0)
        return replace(super().traits, inputs="patches" if patches else "features")

    @property
    def has_private(self) -> bool:
        """Whether there is a private prompt to align."""
        return self.h_p > 0

    @property
    def transports(self) -> bool:
        """Whether any transport problem is solved: in the loss, or in the logits of a pair of prompts."""
        return super().transports or self.fusion == "pair"

    @property
    def diagnosis(self) -> FedRSCLIPDiagnosis:
        """Diagnosis of the alignment, the transport and the private prompt."""
        return FedRSCLIPDiagnosis(self)

    def init_private(self, model: PromptModel, rng: torch.Generator, client: int) -> Tensors:
        """Return P_p [h_p, W]; nothing where h_p = 0."""
        return {PRIVATE: model.first_prompt(self.private_init, self.h_p, rng)} if self.h_p else {}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Return L_CE + w_dpa L_DPA + w_ot L_CMFA, [K], and its terms."""
        features = self.prompt_features(model, params)
        logits_KBC, solution = self.logits(model, batch.x, features)
        loss_K = cross_entropy(logits_KBC, batch)
        metrics = {"loss_ce": loss_K.detach()}
        if solution is not None:
            metrics |= logits_metrics(solution, batch, self.ot_tolerance)
        if self.w_dpa and self.h_p:
            dpa_K = self.alignment(params, features)
            loss_K = loss_K + self.w_dpa * dpa_K
            metrics["loss_dpa"] = dpa_K.detach()
        if self.w_ot:
            ot_K, ot_metrics = self.transport(batch, features)
            loss_K = loss_K + self.w_ot * ot_K
            metrics |= joint_metrics(metrics, ot_metrics)
        return loss_K, metrics

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor:
        """Return logits [K, N, C] of pooled or patch features `x` [N, ...]; scope "shared" uses P_s alone."""
        if scope == "shared" or PRIVATE not in params:
            # a pair classifies by the transport of patches; so does its shared prompt alone
            form = "shared" if self.fusion == "pair" and self.h_p else "fused"
            features = {form: model.class_features(params[SHARED])}
        else:
            features = self.prompt_features(model, params, training=False)
        clients = len(next(iter(features.values())))
        parts = [x] if "fused" in features else x.split(PAIR_IMAGES_PER_CALL)
        return torch.cat(
            [self.logits(model, part.expand(clients, *part.shape), features)[0] for part in parts], dim=1
        )

    def prompt_features(self, model: PromptModel, params: Tensors, training: bool = True) -> ClassFeatures:
        """Return the class features that the chosen forms need, and no others; "fused" classifies.

        Fusion "pair" has no fused features: it classifies by transport to the shared and the private ones.

        Args:
            model: The frozen text tower and class names.
            params: The clients' prompts, stacked.
            training: Whether the features of the alignment and the transport are needed too.
        """
        if PRIVATE not in params:
            text_KCd = model.class_features(params[SHARED])
            return {"shared": text_KCd, "fused": text_KCd}
        shared_KPW, private_KPW = params[SHARED], params[PRIVATE]
        features: ClassFeatures = {}
        alignment_reads = training and self.w_dpa > 0 and self.dpa_form != "token"
        transport_reads = training and self.w_ot > 0 and self.ot_level == "patch"
        if self.fusion != "concat" or alignment_reads or transport_reads:
            features["shared"], features["private"] = separate_features(model, shared_KPW, private_KPW)
        if self.fusion == "concat":
            features["fused"] = model.class_features(torch.cat([shared_KPW, private_KPW], dim=1))
        elif self.fusion == "mix":
            mixture_KCd = (1 - self.theta) * features["shared"] + self.theta * features["private"]
            features["fused"] = normalise(mixture_KCd)
        return features

    def logits(
        self, model: PromptModel, x: torch.Tensor, features: ClassFeatures
    ) -> tuple[torch.Tensor, ot.Transport | None]:
        """Return the logits [K, B, C] of images `x`.

        They are cosines with the fused features. For a pair of prompts they are the transported similarities
        of patches (FedOTP), and the solution of this transport is returned too.
        """
        if "fused" in features:
            return cosine_logits(model, pooled_features(x), features["fused"]), None
        texts = [features[name] for name in ("shared", "private") if name in features]
        return patch_logits(model.logit_scale, x, texts, self.uniform_plan)


@dataclass(frozen=True)
class FedRSCLIPDiagnosis(Diagnosis):
    """Distance of the private prompts from the shared one; failures of alignment and transport."""

    method: FedRSCLIP

    @property
    def watched(self) -> Mapping[str, str]:
        """Drift and use of the private prompt where there is one; the transport where there is one."""
        private = ("semantic_drift", "private_unused") if self.method.h_p else ()
        return signatures.meanings(*private, *(("ot_not_converged",) if self.method.transports else ()))

    def observe(self, model: Any, params: Tensors) -> Metrics:
        """Measure the distance of each private prompt from the shared one.

        `alignment_loss` is L_DPA without its weight. `private_shift` is the mean of 1 - cos between the class
        features that classify and those of the shared prompt alone.
        """
        method = self.method
        if PRIVATE not in params:
            return {}
        shared_KCd, private_KCd = separate_features(model, params[SHARED], params[PRIVATE])
        fused_KCd = method.prompt_features(model, params, training=False).get("fused")
        if fused_KCd is None:  # a pair of prompts
            fused_KCd = normalise(shared_KCd + private_KCd)
        metrics = {"private_shift": 1 - (fused_KCd * shared_KCd).sum(-1).mean(-1)}
        if method.dpa_form != "token" or method.h_p == method.h:
            features = {"shared": shared_KCd, "private": private_KCd}
            metrics["alignment_loss"] = method.alignment(params, features)
        return metrics

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """Return the signatures of semantic drift, unconverged transport and an unused private prompt."""
        method = self.method
        drift = signatures.semantic_drift(rounds)
        unconverged = signatures.ot_not_converged(rounds, method.ot_tolerance, method.ot_iterations)
        unused = signatures.private_unused(rounds) if method.h_p else []
        return [*drift, *unconverged, *unused]


def separate_features(
    model: PromptModel, shared_KPW: torch.Tensor, private_KPW: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return class features [K, C, d] under each prompt alone, in one pass where the lengths agree."""
    if shared_KPW.shape == private_KPW.shape:
        shared_KCd, private_KCd = model.class_features(torch.cat([shared_KPW, private_KPW])).chunk(2)
        return shared_KCd, private_KCd
    return model.class_features(shared_KPW), model.class_features(private_KPW)
