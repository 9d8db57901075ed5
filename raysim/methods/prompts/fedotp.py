r"""FedOTP: a shared and a private prompt that divide an image's patches among them by optimal transport.

Reference: Li, Huang, Wang, Shi, "Global and Local Prompts Cooperation via Optimal Transport for Federated
    Learning", CVPR 2024 (arXiv 2403.00041). Formulas and defaults were checked against the authors'
    repository (HongxiaLee/FedOTP).

    logit[b, c] = exp(logit_scale) sum_mn T_mn sim_mn
    T = argmin <T, 1 - sim> + lam sum T (log T - 1)    over T >= 0, sum_n T_mn <= 1/M, sum_m T_mn = gamma/N

The loss is cross-entropy, and only the shared prompt is averaged. sim holds the cosines of M patches (without
the pooled feature) with the N = 2 prompts' features of class c. T has no gradient. The patches' marginal has
an upper bound only: with gamma < 1 the prompts may leave patches out.

The authors' loop is an entropic partial transport in the manner of Dykstra. With K = exp(-(1 - sim)/lam),
a = 1/M and b = gamma/N it repeats, from v = 1,
    u <- min(a / K v, 1),    v <- b / K^T u,    T = diag(u) K diag(v)
`ot.sinkhorn` with `cap_a` takes the same two steps on f = log u and g = log v from g = 0, so fixed point and
iterates agree.

What differs from the repository, or had to be filled in:
  * Stopping. Theirs: the mean change of v over the whole batch below 1e-3, at most 100 iterations. Ours: each
    problem by itself, when the L1 error of its marginals is at most `ot_tolerance`, same limit. So an image's
    logits do not depend on its batch.
  * gamma = 1 is solved with both marginals exact (their option "Sinkhorn"): all upper bounds must then be
    reached, so the plan is the same and takes fewer iterations. Their program's default is 1, their scripts
    use 0.8.
  * A plan that is not finite makes the loss so, and the run stops with the round and the client. Theirs skips
    the batch.
  * Private prompts start from noise of their own (theirs start all clients from one copy), and either prompt
    may start from words.
  * Scope "shared", which they do not evaluate: the shared prompt alone under the same transport, N = 1.

Shapes: K clients, B images, C classes, h prompt tokens, W text width, d embedding, M patches, N prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from pydantic import field_validator

from raysim.core.config import knob
from raysim.core.types import Batch, Scope, Signature, Tensors
from raysim.methods import signatures
from raysim.methods.base import Metrics, cross_entropy
from raysim.methods.diagnosis import Diagnosis
from raysim.methods.prompts.base import PRIVATE, RANDOM, SHARED, PromptModel, SharedPromptMethod, check_init
from raysim.methods.prompts.transport import image_parts, logits_metrics, patch_logits
from raysim.methods.traits import Traits
from raysim.nn import ot


class FedOTP(SharedPromptMethod):
    """Two prompts that divide an image's patches by partial optimal transport."""

    name: ClassVar[str] = "fedotp"

    private_init: str = knob(
        RANDOM,
        "'random' (each client has a seed of its own), or words from which the private prompt starts",
        basis="relative",
        source="FedOTP",
    )
    lam: float = knob(
        0.1,
        "lambda, the entropic coefficient of OT (their eps); large = uniform plan",
        basis="relative",
        source="FedOTP; 0.01 in its few-shot script",
        search="log-U [0.01, 1]",
        ge=0.001,
        le=10,
    )
    gamma: float = knob(
        0.8,
        "mass that is transported (their top_percent): small = few patches count; 1 = all patches alike",
        basis="relative",
        source="FedOTP's scripts",
        search="U [0.3, 1]",
        gt=0,
        le=1,
    )
    ot_tolerance: float = knob(
        1e-3,
        "L1 error of the marginals at which Sinkhorn stops",
        basis="relative",
        source="FedOTP",
        gt=0,
        lt=1,
    )
    ot_iterations: int = knob(
        100,
        "most Sinkhorn iterations; the error left is logged as ot_marginal_error",
        basis="relative",
        source="FedOTP",
        ge=1,
        le=100_000,
    )

    check_private_init = field_validator("private_init")(check_init)

    @property
    def traits(self) -> Traits:
        """Patch features."""
        return replace(super().traits, inputs="patches")

    @property
    def diagnosis(self) -> FedOTPDiagnosis:
        """The transport and the private prompt."""
        return FedOTPDiagnosis(self)

    def init_private(self, model: PromptModel, rng: torch.Generator, client: int) -> Tensors:
        """Return the client's prompt [h, W]."""
        return {PRIVATE: model.first_prompt(self.private_init, self.h, rng)}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy [K], and how well the transport behind it was solved."""
        texts = self.prompt_features(model, params)
        logits_KBC, solution = patch_logits(model.logit_scale, batch.x, texts, self.solve)
        ce_K = cross_entropy(logits_KBC, batch)
        return ce_K, {"loss_ce": ce_K.detach(), **logits_metrics(solution, batch, self.ot_tolerance)}

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor:
        """Logits [K, N, C] of patch features `x`; the scope "shared" uses the shared prompt alone."""
        if scope == "shared":
            texts = [model.class_features(params[SHARED])]
        else:
            texts = self.prompt_features(model, params)
        parts = image_parts(x, len(texts[0]), texts)
        return torch.cat(
            [patch_logits(model.logit_scale, part[None], texts, self.solve)[0] for part in parts], dim=1
        )

    def prompt_features(self, model: PromptModel, params: Tensors) -> list[torch.Tensor]:
        """Return the class features under the shared and under the private prompt, each [K, C, d]."""
        return list(model.class_features(torch.cat([params[SHARED], params[PRIVATE]])).chunk(2))

    def solve(self, cost_KBCMN: torch.Tensor) -> ot.Transport:
        """Return plans with at most 1/M of each patch and gamma/N of each prompt."""
        patches, prompts = cost_KBCMN.shape[-2:]
        return ot.sinkhorn(
            cost_KBCMN,
            cost_KBCMN.new_full((patches,), -math.log(patches)),
            cost_KBCMN.new_full((prompts,), math.log(self.gamma / prompts)),
            self.lam,
            cap_a=self.gamma < 1,
            tolerance=self.ot_tolerance,
            max_iterations=self.ot_iterations,
        )


@dataclass(frozen=True)
class FedOTPDiagnosis(Diagnosis):
    """Failures of the transport, and of the private prompt."""

    method: FedOTP

    @property
    def watched(self) -> Mapping[str, str]:
        """The transport and the private prompt."""
        return signatures.meanings("ot_not_converged", "private_unused")

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """Return a transport that does not converge, and a private prompt without use."""
        unconverged = signatures.ot_not_converged(rounds, self.method.ot_tolerance, self.method.ot_iterations)
        return [*unconverged, *signatures.private_unused(rounds)]
