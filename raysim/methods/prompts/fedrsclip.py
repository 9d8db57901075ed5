r"""FedRSCLIP: a shared prompt that the server averages, a private prompt that never leaves the client.

Reference: Lin, Zhang, Hong, Dong, Wen, "FedRSClip: Federated Learning for Remote Sensing Scene Classification
    Using Vision-Language Models", arXiv 2501.02461 (IEEE GRSM 2025).

    L_k = L_CE + w_dpa L_DPA + w_ot L_CMFA

Stated by the paper (its abstract and summaries): frozen CLIP ViT-Base; shared and private prompts,
concatenated; a metric-learning alignment of the two with scaling factor s; entropic OT with coefficient
lambda between image and text features; weighted averaging of the shared prompt; 2,048 numbers sent (4 tokens
x 512). No formula and no value is public, so each of these is a named choice here:
  * L_DPA (dual prompt alignment): normalised softmax (NormFace / CosFace family, where a scaling factor s is
  usual), cosine
    pull (KgCoOp), or cosine in token space.
  * L_CMFA (cross-modal feature alignment): <Pi*, C> with C = 1 - cos, Pi* the entropic plan, detached
  (FedOTP, PLOT).
  * fusion: one concatenated sequence (the summary), a pair of prompts with OT logits (FedOTP), or a mixture
  (PromptFolio).
Results are "consistent with the description", never "the paper's configuration".

Shapes: K clients, B images, C classes, h / h_p prompt tokens, W text width, d embedding, M patches, N = 2
prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from pydantic import field_validator, model_validator

from raysim.core.config import knob
from raysim.core.types import Batch, Inputs, Scope, Signature, Tensors
from raysim.methods import signatures
from raysim.methods.base import Metrics, cross_entropy
from raysim.methods.prompts.base import (
    PRIVATE,
    RANDOM,
    SHARED,
    PromptModel,
    SharedPromptMethod,
    check_init,
    cosine_logits,
    normalise,
)
from raysim.methods.prompts.transport import Solved, logits_solved, patch_logits, quality, worse
from raysim.nn import ot

Texts = dict[str, torch.Tensor]  # "shared", "private", "fused": class features [K, C, d]


class FedRSCLIP(SharedPromptMethod):
    """Shared and private prompts, aligned with each other and, by optimal transport, with the images."""

    name: ClassVar[str] = "fedrsclip"
    watched: ClassVar[Mapping[str, str]] = signatures.WATCHED

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
        "how the two prompts meet: one sequence, OT logits of two, a mixture",
        basis="paper",
        search="{concat,pair,mix}",
    )
    theta: float = knob(
        0.2,
        "share of the private features in fusion 'mix'",
        basis="relative",
        source="PromptFolio",
        search="U [0.05, 0.95]",
        ge=0,
        le=1,
    )
    private_init: str = knob(
        RANDOM,
        "the same for the private prompt; noise has a seed per client",
        basis="guess",
    )
    dpa_form: Literal["softmax", "cosine", "token"] = knob(
        "softmax",
        "form of the alignment of the two prompts",
        basis="guess",
        search="{softmax,cosine,token}",
    )
    s: float = knob(30.0, "scaling factor of the alignment", basis="guess", search="log-U [1, 100]", gt=0)
    w_dpa: float = knob(
        0.5,
        "weight of the alignment; 0 = off",
        basis="guess",
        search="log-U [0.01, 5], and 0",
        ge=0,
    )
    dpa_detach_shared: bool = knob(
        False,
        "stop the alignment's gradient into the shared prompt",
        basis="guess",
        search="{false,true}",
    )
    lam: float = knob(
        0.02,
        "lambda, the entropic coefficient of OT; large = uniform plan",
        basis="computed",
        source="CLIP's cosines span about 0.1",
        search="log-U [0.005, 0.5]",
        ge=0.001,
        le=10,
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
    )
    ot_b: Literal["uniform", "label_hist", "semi_relaxed", "kl"] = knob(
        "label_hist",
        "marginal over classes: 1/C; the batch's histogram; at most 1/C with mass ot_mass; 1/C up to a "
        "KL penalty",
        basis="guess",
        search="{uniform,label_hist,semi_relaxed,kl}",
    )
    ot_mass: float = knob(
        0.8,
        "transported mass under 'semi_relaxed'",
        basis="relative",
        source="FedOTP's top_percent",
        search="U [0.3, 1]",
        gt=0,
        le=1,
    )
    ot_rho: float = knob(
        0.05,
        "strength of the KL penalty under 'kl'; large = exact",
        basis="guess",
        search="log-U [0.005, 1]",
        gt=0,
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
        1000,
        "most Sinkhorn iterations; the error left is logged as ot_marginal_error",
        basis="computed",
        source="100 leave up to 2e-3 at lambda 0.005",
        ge=1,
        le=100_000,
    )

    check_private_init = field_validator("private_init")(check_init)

    @model_validator(mode="after")
    def check_lengths(self) -> Self:
        """Choices that contradict each other."""
        if self.dpa_form == "token" and self.w_dpa > 0 and self.h_p not in (0, self.h):
            raise ValueError(
                f"dpa_form = 'token' compares tokens, so h_p = {self.h_p} must equal h = {self.h} (or be 0)"
            )
        if self.fusion == "pair" and self.h_p == 0:
            raise ValueError("fusion = 'pair' needs a private prompt: h_p must be at least 1")
        return self

    @property
    def inputs(self) -> Inputs:
        """Patch features where a choice needs them."""
        return (
            "patches" if self.fusion == "pair" or (self.ot_level == "patch" and self.w_ot > 0) else "features"
        )

    def init_private(self, model: PromptModel, rng: torch.Generator, client: int) -> Tensors:
        """P_p [h_p, W]; none where h_p = 0."""
        return {PRIVATE: model.start(self.private_init, self.h_p, rng)} if self.h_p else {}

    def loss(
        self, model: Any, params: Tensors, received: Tensors, batch: Batch
    ) -> tuple[torch.Tensor, Metrics]:
        """L_CE + w_dpa L_DPA + w_ot L_CMFA, and the parts of it."""
        texts = self._texts(model, params)
        logits, solved = self._logits(model, batch.x, texts)
        ce_K = cross_entropy(logits, batch)
        loss_K, metrics = (
            ce_K,
            {
                "loss_ce": ce_K.detach(),
                **({} if solved is None else logits_solved(solved, batch, self.ot_tolerance)),
            },
        )
        if self.w_dpa and self.h_p:
            dpa_K = self._alignment(params, texts)
            loss_K = loss_K + self.w_dpa * dpa_K
            metrics["loss_dpa"] = dpa_K.detach()
        if self.w_ot:
            ot_K, ot_metrics = self._transport(batch, texts)
            loss_K = loss_K + self.w_ot * ot_K
            metrics |= worse(metrics, ot_metrics)
        return loss_K, metrics

    def predict(self, model: Any, params: Tensors, x: torch.Tensor, scope: Scope) -> torch.Tensor:
        """Logits [K, N, C]; `shared` uses P_s alone."""
        if scope == "shared" or PRIVATE not in params:
            texts = {"fused": model.text(params[SHARED])}
        else:
            texts = self._texts(model, params, training=False)
        clients = next(iter(texts.values())).shape[0]
        parts = x.split(
            len(x) if "fused" in texts else 64
        )  # a pair of prompts solves one OT problem per image and class
        return torch.cat(
            [self._logits(model, part.expand(clients, *part.shape), texts)[0] for part in parts], dim=1
        )

    def observe(self, model: Any, params: Tensors) -> Metrics:
        """How far each private prompt is from the shared one: L_DPA unweighted, and how far it moves the class features (1 - cos)."""
        if PRIVATE not in params:
            return {}
        shared, private = _each(model, params[SHARED], params[PRIVATE])
        texts = {"shared": shared, "private": private}
        fused = self._texts(model, params, training=False).get("fused", normalise(shared + private))
        found = {"private_shift": 1 - (fused * shared).sum(-1).mean(-1)}
        if self.dpa_form != "token" or self.h_p == self.h:
            found["alignment_loss"] = self._alignment(params, texts)
        return found

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """Semantic drift, a transport that does not converge, a private prompt without use."""
        unconverged = signatures.ot_not_converged(rounds, self.ot_tolerance, self.ot_iterations)
        unused = signatures.private_unused(rounds) if self.h_p else []
        return [*signatures.semantic_drift(rounds), *unconverged, *unused]

    def _texts(self, model: PromptModel, params: Tensors, training: bool = True) -> Texts:
        """The class features that the chosen form needs, and no others."""
        shared, private = params[SHARED], params.get(PRIVATE)
        if private is None:
            return {"shared": (text := model.text(shared)), "fused": text}
        texts: Texts = {}
        aligned = training and self.w_dpa > 0 and self.dpa_form != "token"
        coupled = training and self.w_ot > 0 and self.ot_level == "patch"
        if self.fusion != "concat" or aligned or coupled:
            texts["shared"], texts["private"] = _each(model, shared, private)
        if self.fusion == "concat":
            texts["fused"] = model.text(torch.cat([shared, private], dim=1))
        elif self.fusion == "mix":
            texts["fused"] = normalise((1 - self.theta) * texts["shared"] + self.theta * texts["private"])
        return texts

    def _logits(
        self, model: PromptModel, x: torch.Tensor, texts: Texts
    ) -> tuple[torch.Tensor, Solved | None]:
        """[K, B, C]: cosine logits, or for a pair of prompts the transported similarity of patches (FedOTP), with the plans behind it."""
        if "fused" in texts:
            return cosine_logits(model, _pooled(x), texts["fused"]), None

        def solve(cost: torch.Tensor) -> Solved:
            return self._plan(cost, _uniform(cost, -2), _uniform(cost, -1))

        return patch_logits(model.logit_scale, x, [texts["shared"], texts["private"]], solve)

    def _alignment(self, params: Tensors, texts: Texts) -> torch.Tensor:
        """L_DPA [K]."""
        if self.dpa_form == "token":
            shared, private = params[SHARED].flatten(1), params[PRIVATE].flatten(1)
            return self.s * (
                1 - F.cosine_similarity(private, shared.detach() if self.dpa_detach_shared else shared)
            )
        shared, private = texts["shared"], texts["private"]
        shared = shared.detach() if self.dpa_detach_shared else shared
        if self.dpa_form == "cosine":
            return self.s * (1 - (private * shared).sum(-1)).mean(-1)
        sim_KCC = torch.bmm(private, shared.transpose(1, 2))
        return -F.log_softmax(self.s * sim_KCC, dim=-1).diagonal(dim1=1, dim2=2).mean(-1)

    def _transport(self, batch: Batch, texts: Texts) -> tuple[torch.Tensor, Metrics]:
        """L_CMFA [K] = <Pi*, C>, Pi* detached; with the error of its marginals and its FLOPs."""
        if self.ot_level == "patch":
            cost_KBMN = self._patch_cost(batch, texts)
            plan, error, iterations = self._plan(
                cost_KBMN.detach(), _uniform(cost_KBMN, -2), _uniform(cost_KBMN, -1)
            )
            weight_KB = batch.weight / batch.weight.sum(1, keepdim=True)
            loss_K = (ot.transport_cost(plan, cost_KBMN) * weight_KB).sum(1)
            solved = quality(error, iterations, weight_KB, self.ot_tolerance)
            flops_K = ot.flops(cost_KBMN.shape[-2], cost_KBMN.shape[-1], iterations).sum(1)
        else:
            text_KCD = texts["fused"] if "fused" in texts else normalise(texts["shared"] + texts["private"])
            cost_KBC = 1 - torch.bmm(_pooled(batch.x), text_KCD.transpose(1, 2))
            a_KB = batch.weight / batch.weight.sum(1, keepdim=True)
            plan, error, iterations = self._plan(
                cost_KBC.detach(), a_KB.log(), self._class_marginal(batch, text_KCD.shape[1])
            )
            loss_K = ot.transport_cost(plan, cost_KBC)
            solved = quality(
                error[:, None], iterations[:, None], torch.ones_like(error)[:, None], self.ot_tolerance
            )
            flops_K = ot.flops(cost_KBC.shape[-2], cost_KBC.shape[-1], iterations)
        return loss_K, {"loss_ot": loss_K.detach(), **solved, "flops_ot": flops_K}

    def _patch_cost(self, batch: Batch, texts: Texts) -> torch.Tensor:
        """1 - cos of each image's patches with the prompts' features of its own class: [K, B, M, N]."""
        prompts = [texts[name] for name in ("shared", "private") if name in texts]
        own = batch.y[..., None].expand(-1, -1, prompts[0].shape[-1])
        pair_KBND = torch.stack([text.gather(1, own) for text in prompts], dim=2)
        return 1 - torch.einsum("kbmd,kbnd->kbmn", batch.x[:, :, 1:], pair_KBND)

    def _class_marginal(self, batch: Batch, classes: int) -> torch.Tensor:
        """Log b [K, C]: uniform, or the histogram of the batch's labels (absent classes have no mass)."""
        if self.ot_b == "label_hist":
            histogram = torch.zeros(len(batch.y), classes, device=batch.y.device).scatter_add_(
                1, batch.y, batch.weight
            )
            return (histogram / histogram.sum(1, keepdim=True)).log()
        return -torch.full((len(batch.y), classes), float(classes), device=batch.y.device).log()

    def _plan(
        self, cost: torch.Tensor, log_a: torch.Tensor, log_b: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The entropic plan under the chosen marginals, its marginal error and its number of iterations."""
        relaxed: dict[str, Any] = {}
        if self.ot_b == "semi_relaxed":
            log_a, relaxed = log_a + torch.tensor(self.ot_mass).log(), {"cap_b": True}
        elif self.ot_b == "kl":
            relaxed = {"rho_b": self.ot_rho}
        return ot.sinkhorn(
            cost,
            log_a,
            log_b,
            self.lam,
            tolerance=self.ot_tolerance,
            max_iterations=self.ot_iterations,
            **relaxed,
        )


def _each(
    model: PromptModel, shared: torch.Tensor, private: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each prompt alone with the class names: one pass where the lengths agree."""
    if shared.shape == private.shape:
        text = model.text(torch.cat([shared, private]))
        return text[: len(shared)], text[len(shared) :]
    return model.text(shared), model.text(private)


def _pooled(x: torch.Tensor) -> torch.Tensor:
    """The image feature [K, B, d] of pooled or patch inputs (pooled comes first)."""
    return x if x.dim() == 3 else x[:, :, 0]


def _uniform(cost: torch.Tensor, axis: int) -> torch.Tensor:
    """Log of the uniform marginal along one of the last two axes of `cost`."""
    shape = list(cost.shape)
    del shape[-1 if axis == -2 else -2]
    return torch.full(
        shape, -float(torch.tensor(float(cost.shape[axis])).log()), dtype=cost.dtype, device=cost.device
    )
