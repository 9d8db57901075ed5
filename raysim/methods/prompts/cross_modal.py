"""Cross-modal feature alignment (CMFA): the cost of moving images to classes, in FedRSCLIP's loss.

    L_CMFA = <Pi*, C>,    C = 1 - cos,    Pi* the entropic plan for C, without gradient

Shapes: K clients, B images, C classes, d embedding, M patches, N prompts.

Reference: Chen et al., "PLOT: Prompt Learning with Optimal Transport for Vision-Language Models", ICLR 2023;
    Li et al., "Global and Local Prompts Cooperation via Optimal Transport for Federated Learning" (FedOTP),
    CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Self

import torch
from pydantic import model_validator

from raysim.core.config import knob
from raysim.core.types import Batch
from raysim.methods.base import Metrics
from raysim.methods.prompts.base import ClassFeatures, SharedPromptMethod, normalise
from raysim.methods.prompts.transport import solution_metrics
from raysim.nn import ot
from raysim.nn.ot_solvers import Solver, solve


class CrossModalAlignment(SharedPromptMethod):
    """Transport problem (its level, marginals and solver), and the weight of its cost in the loss."""

    lam: float = knob(
        0.02,
        "lambda, the entropic coefficient of OT; large = uniform plan",
        basis="computed",
        source="CLIP's cosines span about 0.1",
        search="log-U [0.005, 0.5]",
        ge=0.001,
        le=10,
        used_when=("w_ot above 0, or fusion=pair", lambda self: self.transports),
    )
    w_ot: float = knob(
        0.5,
        "weight of the OT term; 0 = off",
        basis="guess",
        search="log-U [0.01, 5], and 0",
        ge=0,
    )
    ot_level: Literal["batch", "patch"] = knob(
        "batch",
        "couple a batch's images with the classes, or each image's patches with its class's two prompts",
        basis="guess",
        search="{batch,patch}",
        used_when=("w_ot above 0", lambda self: self.w_ot > 0),
    )
    ot_b: Literal["uniform", "label_hist", "semi_relaxed", "kl"] = knob(
        "label_hist",
        "marginal over classes: 1/C; the batch's histogram; at most 1/C with mass ot_mass; 1/C up to a "
        "KL penalty",
        basis="guess",
        search="{uniform,label_hist,semi_relaxed,kl}",
        used_when=("w_ot above 0, or fusion=pair", lambda self: self.transports),
    )
    ot_mass: float = knob(
        0.8,
        "transported mass under 'semi_relaxed'",
        basis="relative",
        source="FedOTP's top_percent",
        search="U [0.3, 1]",
        gt=0,
        le=1,
        used_when=(
            "ot_b=semi_relaxed, and w_ot above 0 or fusion=pair",
            lambda self: self.ot_b == "semi_relaxed" and self.transports,
        ),
    )
    ot_rho: float = knob(
        0.05,
        "strength of the KL penalty under 'kl'; large = exact",
        basis="guess",
        search="log-U [0.005, 1]",
        gt=0,
        used_when=(
            "ot_b=kl, and w_ot above 0 or fusion=pair",
            lambda self: self.ot_b == "kl" and self.transports,
        ),
    )
    ot_tolerance: float = knob(
        1e-3,
        "L1 error of the marginals at which the solver stops",
        basis="relative",
        source="FedOTP",
        gt=0,
        lt=1,
        used_when=("w_ot above 0, or fusion=pair", lambda self: self.transports),
    )
    ot_iterations: int = knob(
        1000,
        "most iterations of the solver; the error left is logged as ot_marginal_error",
        basis="computed",
        source="100 leave up to 2e-3 at lambda 0.005",
        ge=1,
        le=100_000,
        used_when=("w_ot above 0, or fusion=pair", lambda self: self.transports),
    )

    ot_solver: Solver = knob(
        "auto",
        "who solves the transport: raysim (Newton's method, for tiny problems Sinkhorn's), Sinkhorn's "
        "iteration, or the library POT",
        basis="computed",
        source="benchmarks/transport.py",
        used_when=("w_ot above 0, or fusion=pair", lambda self: self.transports),
        late=True,
    )

    @model_validator(mode="after")
    def check_solver(self) -> Self:
        """Check that POT can solve the problem: its batched solver knows exact marginals only."""
        if self.ot_solver == "pot" and self.transports and self.ot_b in ("semi_relaxed", "kl"):
            raise ValueError(
                f"ot_solver = 'pot' solves problems with exact marginals only, and ot_b = '{self.ot_b}' has "
                "others: use ot_b = 'uniform' or 'label_hist', or ot_solver = 'auto' or 'sinkhorn'"
            )
        return self

    @property
    def transports(self) -> bool:
        """Whether any transport problem is solved."""
        return self.w_ot > 0

    def transport(self, batch: Batch, features: ClassFeatures) -> tuple[torch.Tensor, Metrics]:
        """L_CMFA, [K], with the error of the plan's marginals and its FLOPs."""
        if self.ot_level == "patch":
            return self._patch_transport(batch, features)
        return self._batch_transport(batch, features)

    def _batch_transport(self, batch: Batch, features: ClassFeatures) -> tuple[torch.Tensor, Metrics]:
        """Couple a batch's images with the classes: one problem for each client."""
        text_KCd = features.get("fused")
        if text_KCd is None:  # a pair of prompts
            text_KCd = normalise(features["shared"] + features["private"])
        cost_KBC = image_class_cost(batch, text_KCd)
        log_a_KB, log_b_KC = image_weights(batch).log(), self.class_marginal(batch, text_KCd.shape[1])
        plan_KBC, error_K, iterations_K, flops_K = self.plan(cost_KBC.detach(), log_a_KB, log_b_KC)
        loss_K = ot.transport_cost(plan_KBC, cost_KBC)
        weight_K1 = torch.ones_like(error_K)[:, None]  # of the client's only problem
        metrics = solution_metrics(error_K[:, None], iterations_K[:, None], weight_K1, self.ot_tolerance)
        return loss_K, {"loss_ot": loss_K.detach(), **metrics, "flops_ot": flops_K}

    def _patch_transport(self, batch: Batch, features: ClassFeatures) -> tuple[torch.Tensor, Metrics]:
        """Couple each image's patches with its class's prompts: one problem for each image."""
        texts = [features[name] for name in ("shared", "private") if name in features]
        cost_KBMN = patch_prompt_cost(batch, texts)
        plan_KBMN, error_KB, iterations_KB, flops_KB = self.uniform_plan(cost_KBMN.detach())
        weight_KB = image_weights(batch)
        loss_K = (ot.transport_cost(plan_KBMN, cost_KBMN) * weight_KB).sum(1)
        metrics = solution_metrics(error_KB, iterations_KB, weight_KB, self.ot_tolerance)
        return loss_K, {"loss_ot": loss_K.detach(), **metrics, "flops_ot": flops_KB.sum(1)}

    def class_marginal(self, batch: Batch, classes: int) -> torch.Tensor:
        """Logarithm of the marginal over classes, [K, C]: the shares of the batch's labels, or 1/C.

        A class that is absent from the batch has no mass, so its logarithm is -inf.
        """
        if self.ot_b == "label_hist":
            count_KC = torch.zeros(len(batch.y), classes, device=batch.y.device)
            count_KC.scatter_add_(1, batch.y, batch.weight)
            return (count_KC / count_KC.sum(1, keepdim=True)).log()
        return -torch.full((len(batch.y), classes), float(classes), device=batch.y.device).log()

    def uniform_plan(self, cost: torch.Tensor) -> ot.Transport:
        """Return the plans between uniform marginals of the last two axes of `cost`."""
        return self.plan(cost, log_uniform(cost, -2), log_uniform(cost, -1))

    def plan(self, cost: torch.Tensor, log_a: torch.Tensor, log_b: torch.Tensor) -> ot.Transport:
        """Return the entropic plans, their marginal errors, their numbers of iterations and of FLOPs.

        Args:
            cost: Costs [..., m, n].
            log_a: Logarithm of the first marginal, [..., m].
            log_b: Logarithm of the second marginal, [..., n]; `ot_b` says how exactly it is met.
        """
        relaxation: dict[str, Any] = {}
        if self.ot_b == "semi_relaxed":
            log_a, relaxation = log_a + torch.tensor(self.ot_mass).log(), {"cap_b": True}
        elif self.ot_b == "kl":
            relaxation = {"rho_b": self.ot_rho}
        return solve(
            self.ot_solver,
            cost,
            log_a,
            log_b,
            self.lam,
            tolerance=self.ot_tolerance,
            max_iterations=self.ot_iterations,
            **relaxation,
        )


def pooled_features(x: torch.Tensor) -> torch.Tensor:
    """Pooled features [K, B, d] of pooled inputs, or of patch inputs [K, B, 1 + M, d] (they come first)."""
    return x if x.dim() == 3 else x[:, :, 0]


def image_class_cost(batch: Batch, text_KCd: torch.Tensor) -> torch.Tensor:
    """1 - cos of a batch's images with all classes: [K, B, C]."""
    return 1 - torch.bmm(pooled_features(batch.x), text_KCd.transpose(1, 2))


def patch_prompt_cost(batch: Batch, texts: Sequence[torch.Tensor]) -> torch.Tensor:
    """1 - cos of each image's patches with the prompts' features of its own class: [K, B, M, N].

    Args:
        batch: Patch inputs, the pooled feature first.
        texts: N prompts' class features, each [K, C, d].
    """
    label_KBd = batch.y[..., None].expand(-1, -1, texts[0].shape[-1])
    text_KBNd = torch.stack([text.gather(1, label_KBd) for text in texts], dim=2)
    return 1 - torch.einsum("kbmd,kbnd->kbmn", batch.x[:, :, 1:], text_KBNd)


def image_weights(batch: Batch) -> torch.Tensor:
    """Equal weights [K, B] of a client's images, with sum 1; padding has weight 0."""
    return batch.weight / batch.weight.sum(1, keepdim=True)


def log_uniform(cost: torch.Tensor, axis: int) -> torch.Tensor:
    """Logarithm of the uniform marginal along one of the last two axes of `cost`, with its leading axes."""
    shape = list(cost.shape)
    del shape[-1 if axis == -2 else -2]
    value = -float(torch.tensor(float(cost.shape[axis])).log())
    return torch.full(shape, value, dtype=cost.dtype, device=cost.device)
