r"""FedOTP: a shared and a private prompt, each with its own class names, that meet in optimal transport with an image's patches.

Reference: Li, Huang, Wang, Shi, "Global and Local Prompts Cooperation via Optimal Transport for Federated
    Learning", CVPR 2024 (arXiv 2403.00041). Formulas and defaults were checked against the authors'
    repository (HongxiaLee/FedOTP).

    logit[b, c] = exp(logit_scale) sum_mn T_mn sim_mn            loss = cross-entropy            only the shared prompt is averaged
    T = argmin <T, 1 - sim> + lam sum T (log T - 1)  over T >= 0 with  sum_n T_mn <= 1/M  and  sum_m T_mn = gamma/N

sim holds the cosines of M patches (without the pooled feature) with the N = 2 prompts' features of class c; T
has no gradient. The patches' side is the capped one: with gamma < 1 the prompts may leave patches out. Their
loop (an entropic partial transport in
the manner of Dykstra, K = exp(-(1 - sim)/lam), a = 1/M, b = gamma/N) is  u <- min(a / K v, 1),  v <- b / K^T u,  T = diag(u) K diag(v),
from v = 1. `ot.sinkhorn` with `cap_a` takes the same two steps on f = log u, g = log v from g = 0, so fixed
point and iterates agree.

What differs from the repository, or had to be filled in:
  * Stopping. Theirs: the mean change of v over the whole batch below 1e-3, at most 100 iterations. Ours: each
  problem by itself, when
    the L1 error of its marginals is at most `ot_tolerance`, same limit; so an image's logits do not depend on
    its batch.
  * gamma = 1 is solved with both marginals exact (their option "Sinkhorn"): the caps must then all be
  reached, so it is the same
    plan, found in a fraction of the iterations. Their program's default is 1, their scripts use 0.8.
  * A plan that is not finite makes the loss so, and the run stops with the round and the client; theirs skips
  the batch.
  * Private prompts start from noise of their own (theirs start all clients from one copy), and either prompt
  may start from words.
  * Scope "shared", which they do not evaluate: the shared prompt alone under the same transport, N = 1.

Shapes: K clients, B images, C classes, h prompt tokens, W text width, M patches, N prompts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from pydantic import field_validator

from raysim.core.config import knob
from raysim.core.types import Batch, Inputs, Scope, Signature, Tensors
from raysim.methods import signatures
from raysim.methods.base import Metrics, cross_entropy
from raysim.methods.prompts.base import PRIVATE, RANDOM, SHARED, PromptModel, SharedPromptMethod, check_init
from raysim.methods.prompts.transport import Solved, logits_solved, parts, patch_logits
from raysim.nn import ot


class FedOTP(SharedPromptMethod):
    """Two prompts that share out an image's patches by partial optimal transport."""

    name: ClassVar[str] = "fedotp"
    watched: ClassVar[Mapping[str, str]] = signatures.watched("ot_not_converged", "private_unused")

    private_init: str = knob(
        RANDOM,
        "the same for the private prompt; noise has a seed per client",
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
    def inputs(self) -> Inputs:
        """Patch features."""
        return "patches"

    def init_private(self, model: PromptModel, rng: torch.Generator, client: int) -> Tensors:
        """The client's prompt [h, W]."""
        return {PRIVATE: model.start(self.private_init, self.h, rng)}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """Cross-entropy, and how well the transport behind it was solved."""
        logits, solved = patch_logits(model.logit_scale, batch.x, self._texts(model, params), self._solve)
        ce_K = cross_entropy(logits, batch)
        return ce_K, {"loss_ce": ce_K.detach(), **logits_solved(solved, batch, self.ot_tolerance)}

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor:
        """Logits [K, N, C]; `shared` transports to the shared prompt alone."""
        texts = [model.text(params[SHARED])] if scope == "shared" else self._texts(model, params)
        clients = len(texts[0])
        return torch.cat(
            [
                patch_logits(model.logit_scale, part[None], texts, self._solve)[0]
                for part in parts(x, clients, texts)
            ],
            dim=1,
        )

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """A transport that does not converge, a private prompt without use."""
        return [
            *signatures.ot_not_converged(rounds, self.ot_tolerance, self.ot_iterations),
            *signatures.private_unused(rounds),
        ]

    def _texts(self, model: PromptModel, params: Tensors) -> list[torch.Tensor]:
        """The class features of the shared and of the private prompt, each [K, C, d], in one pass."""
        return list(model.text(torch.cat([params[SHARED], params[PRIVATE]])).chunk(2))

    def _solve(self, cost_KBCMN: torch.Tensor) -> Solved:
        """Plans with at most 1/M of each patch and gamma/N for each prompt."""
        patches, prompts = cost_KBCMN.shape[-2:]
        log_a, log_b = (
            cost_KBCMN.new_full((patches,), -math.log(patches)),
            cost_KBCMN.new_full((prompts,), math.log(self.gamma / prompts)),
        )
        return ot.sinkhorn(
            cost_KBCMN,
            log_a,
            log_b,
            self.lam,
            cap_a=self.gamma < 1,
            tolerance=self.ot_tolerance,
            max_iterations=self.ot_iterations,
        )
