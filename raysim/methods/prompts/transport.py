"""Logits by optimal transport between an image's patches and the prompts of a class.

    logit[b, c] = exp(logit_scale) sum_mn T_mn sim_mn

sim_mn is the cosine of patch m of image b and the feature of class c under prompt n. T is a plan for the
costs 1 - sim and has no gradient. The method chooses which plans are allowed (the marginals).

Shapes: K clients, B images, C classes, d embedding, M patches, N prompts, Q transport problems.

Reference: Chen et al., "PLOT: Prompt Learning with Optimal Transport for Vision-Language Models", ICLR 2023;
    Li et al., "Global and Local Prompts Cooperation via Optimal Transport for Federated Learning" (FedOTP),
    CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from raysim.core.types import Batch
from raysim.methods.base import Metrics
from raysim.nn import ot

COSTS_PER_CALL = 1 << 20  # costs in one call of the solver: bounds the memory; around it the speed is flat

Solver = Callable[[torch.Tensor], ot.Transport]


def patch_logits(
    scale: float, x: torch.Tensor, texts: Sequence[torch.Tensor], solver: Solver
) -> tuple[torch.Tensor, ot.Transport]:
    """Return logits [K, B, C], differentiable in the class features, and the plans that they use.

    Args:
        scale: exp(logit_scale).
        x: Patch inputs [K, B, 1 + M, d], the pooled feature first; K = 1 for images that all clients look at.
        texts: N prompts' class features, each [K, C, d].
        solver: Finds the plans for costs [K, B, C, M, N].
    """
    sim_KBCMN = torch.einsum("kbmd,kncd->kbcmn", x[:, :, 1:], torch.stack(list(texts), dim=1)).contiguous()
    solution = solver(1 - sim_KBCMN.detach())
    return scale * (solution.plan * sim_KBCMN).sum((-2, -1)), solution


def image_parts(x: torch.Tensor, clients: int, texts: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Split images `x` [B, 1 + M, d] into parts small enough to be solved for all clients at once."""
    costs_per_image = clients * texts[0].shape[1] * len(texts) * (x.shape[1] - 1)
    return x.split(max(1, COSTS_PER_CALL // costs_per_image))


def solution_metrics(
    error_KQ: torch.Tensor, iterations_KQ: torch.Tensor, weight_KQ: torch.Tensor, tolerance: float
) -> Metrics:
    """Mean error, iterations and share not converged of each client's problems, each [K].

    Args:
        error_KQ: Marginal errors. NaN counts as not converged.
        iterations_KQ: Iterations.
        weight_KQ: Weights of the problems; they sum to 1 for each client.
        tolerance: Largest error of a converged problem.
    """
    measured = {
        "ot_marginal_error": error_KQ,
        "ot_iterations": iterations_KQ,
        "ot_unconverged": ~(error_KQ <= tolerance),
    }
    return {name: (value.to(weight_KQ.dtype) * weight_KQ).sum(1) for name, value in measured.items()}


def logits_metrics(solution: ot.Transport, batch: Batch, tolerance: float) -> Metrics:
    """Return `solution_metrics` and FLOPs of the transport of patch logits, without padding, each [K]."""
    _, error_KBC, iterations_KBC, flops_KBC = solution
    weight_KB1 = (batch.weight / batch.weight.sum(1, keepdim=True) / error_KBC.shape[2])[..., None]
    weight_KBC = weight_KB1.expand_as(error_KBC)
    metrics = solution_metrics(
        error_KBC.flatten(1), iterations_KBC.flatten(1), weight_KBC.flatten(1), tolerance
    )
    return {**metrics, "flops_ot": flops_KBC.sum((1, 2))}


def joint_metrics(first: Metrics, second: Metrics) -> Metrics:
    """Return the metrics of `second`; where `first` has them too, FLOPs are added, else the larger counts."""
    joined = {
        name: value + first[name] if name == "flops_ot" else torch.maximum(value, first[name])
        for name, value in second.items()
        if name in first
    }
    return {**second, **joined}
