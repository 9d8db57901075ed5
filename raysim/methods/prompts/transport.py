"""Logits by optimal transport between an image's patches and the prompts of a class.

    logit[b, c] = exp(logit_scale) * sum_mn T_mn sim_mn,   sim_mn = <patch m of image b, feature of class c under prompt n>

with T a plan for the costs 1 - sim, without gradient. Which plans are allowed (the marginals) is the method's
choice.

Shapes: K clients, B images, C classes, d embedding, M patches, N prompts, Q problems.

References:
    Chen et al., "PLOT: Prompt Learning with Optimal Transport for Vision-Language Models", ICLR 2023.
    Li et al., "Global and Local Prompts Cooperation via Optimal Transport for Federated Learning" (FedOTP),
    CVPR 2024.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from raysim.core.types import Batch
from raysim.methods.base import Metrics
from raysim.nn import ot

ENTRIES = (
    1 << 20
)  # of the costs that are solved at once in prediction: bounds the memory, the speed is flat around it

Solved = tuple[
    torch.Tensor, torch.Tensor, torch.Tensor
]  # what `ot.sinkhorn` returns: plan, marginal error, iterations


def patch_logits(
    scale: float, x: torch.Tensor, texts: Sequence[torch.Tensor], solve: Callable[[torch.Tensor], Solved]
) -> tuple[torch.Tensor, Solved]:
    """Logits [K, B, C], differentiable in the class features, and the plans [K, B, C, M, N] behind them.

    Args:
        scale: exp(logit_scale).
        x: Patch inputs [K, B, 1 + M, d], the pooled feature first; K = 1 for images that all clients look at.
        texts: N prompts' class features, each [K, C, d].
        solve: Finds the plans for costs [K, B, C, M, N].
    """
    sim_KBCMN = torch.einsum("kbmd,kncd->kbcmn", x[:, :, 1:], torch.stack(list(texts), dim=1)).contiguous()
    solved = solve(1 - sim_KBCMN.detach())
    return scale * (solved[0] * sim_KBCMN).sum((-2, -1)), solved


def parts(x: torch.Tensor, clients: int, texts: Sequence[torch.Tensor]) -> Sequence[torch.Tensor]:
    """Images `x` [B, 1 + M, d] in groups small enough to be solved for all clients at once."""
    entries = clients * texts[0].shape[1] * len(texts) * (x.shape[1] - 1)
    return x.split(max(1, ENTRIES // entries))


def quality(
    error_KQ: torch.Tensor, iterations_KQ: torch.Tensor, weight_KQ: torch.Tensor, tolerance: float
) -> Metrics:
    """How well each client's problems were solved: means [K] under weights that sum to 1. NaN is not converged."""
    found = {
        "ot_marginal_error": error_KQ,
        "ot_iterations": iterations_KQ,
        "ot_unconverged": ~(error_KQ <= tolerance),
    }
    return {name: (value.to(weight_KQ.dtype) * weight_KQ).sum(1) for name, value in found.items()}


def logits_solved(solved: Solved, batch: Batch, tolerance: float) -> Metrics:
    """How well the problems behind patch logits were solved (padding left out), and the FLOPs they took, each [K]."""
    plan, error_KBC, iterations_KBC = solved
    weight_KBC = (batch.weight / batch.weight.sum(1, keepdim=True) / error_KBC.shape[2])[..., None].expand_as(
        error_KBC
    )
    found = quality(error_KBC.flatten(1), iterations_KBC.flatten(1), weight_KBC.flatten(1), tolerance)
    return {**found, "flops_ot": ot.flops(plan.shape[-2], plan.shape[-1], iterations_KBC).sum((1, 2))}


def worse(first: Metrics, second: Metrics) -> Metrics:
    """What two sets of problems say together: FLOPs add up, of the rest the larger counts; what only `second` has is kept."""
    both = {
        name: value + first[name] if name == "flops_ot" else torch.maximum(value, first[name])
        for name, value in second.items()
        if name in first
    }
    return {**second, **both}
