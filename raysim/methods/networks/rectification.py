"""CRO's estimators: from gradients on the server's samples to a weight for every class.

    g_c  = || grad_theta (1 / |SES_c|) sum over SES_c of CE ||                              norm of a class's mean gradient
    proportion    GP_c = g_c^p / sum_j g_j^p;                       CR_c = C GP_c
    composition   R_c = exp(b / q_c) / sum_j exp(b / q_j), q_c = g_c^2 / max g^2;   CR_c proportional to 1 / R_c       (CUCB)
    ratio         R_c = | sum over N_c of dW^c_c | / | sum over N_c of mean_{j != c} dW^j_c |;   CR_c = a + b R_c      (ratio loss)
Here dW^j_c is what class j's samples do to class c's row of the last layer, and N_c are the inputs of that
row on which class c's own samples clearly dominate. Then CR is clipped, and divided by its mean.

No formula of SAFE's is public: "proportion" is a reconstruction, the others are published relatives.

Shapes: n samples, C classes, d inputs of the last layer.

Reference: Wang et al., "Addressing Class Imbalance in Federated Learning", AAAI 2021 (ratio); Yang et al.,
    "Federated Learning with Class Imbalance Reduction" (CUCB), EUSIPCO 2021 (composition; written from
    memory, with gradients scaled to a largest of 1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F

from raysim.core.types import IGNORE, Tensors
from raysim.nn.networks import Output

Scope = Literal["head", "row", "all"]
HEAD = ("head.weight", "head.bias")
DOMINATED = 0.8  # Wang et al.: an input counts where the next largest class moves it less than this share
MOST = 5000.0  # Wang et al.: cap of the ratio


def head_gradients(parts: Iterable[tuple[Output, torch.Tensor]], weights: Tensors) -> torch.Tensor:
    """Each class's mean gradient on the last layer, [C, C, d + 1] (bias last): [c] is that of class c's samples.

    Args:
        parts: What the network said about some samples (of segmentation `pooled` is a map), and their
            classes: [n], or of segmentation [n, S, S] with `IGNORE`. Read one after the other.
        weights: The network's tensors by their own names.

    Returns:
        Zero for a class without samples.
    """
    weight, bias = (weights[name].detach().requires_grad_() for name in HEAD)
    total = torch.zeros(len(bias), len(bias), weight[0].numel() + 1, dtype=weight.dtype, device=weight.device)
    seen = torch.zeros(len(bias), device=weight.device)
    for output, y in parts:
        if y.dim() > 1:
            logits = F.interpolate(
                F.conv2d(output.pooled.detach(), weight, bias),
                y.shape[-2:],
                mode="bilinear",
                align_corners=False,
            )
        else:
            logits = F.linear(output.pooled.detach(), weight, bias)
        loss = F.cross_entropy(logits, y, ignore_index=IGNORE, reduction="none")
        for label in y[y != IGNORE].unique().tolist():
            d_weight, d_bias = torch.autograd.grad(loss[y == label].sum(), [weight, bias], retain_graph=True)
            total[label] += torch.cat([d_weight.flatten(1), d_bias[:, None]], dim=1)
            seen[label] += (y == label).sum()
    return total / seen.clamp_min(1)[:, None, None]


def whole_norms(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    parameters: Sequence[torch.Tensor],
    classes: int,
    at_once: int,
) -> torch.Tensor:
    """Norm of each class's mean gradient over all parameters, [C]; 0 for a class without samples.

    Args:
        logits_of: The network, with gradients.
        x: Samples [n, ...].
        y: Their classes, [n] or [n, S, S].
        parameters: What gradients are taken of.
        classes: C.
        at_once: Samples whose graph is held at a time.
    """
    norms = torch.zeros(classes, device=y.device)
    for label in y[y != IGNORE].unique().tolist():
        where = (y == label).flatten(1).any(1) if y.dim() > 1 else y == label
        total, seen = [torch.zeros_like(parameter) for parameter in parameters], 0
        for some_x, some_y in zip(x[where].split(at_once), y[where].split(at_once), strict=True):
            mine = some_y == label
            loss = F.cross_entropy(logits_of(some_x), some_y, ignore_index=IGNORE, reduction="none")[
                mine
            ].sum()
            for sum_, part in zip(
                total, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True
            ):
                if part is not None:
                    sum_ += part
            seen += int(mine.sum())
        norms[label] = torch.stack([sum_.square().sum() for sum_ in total]).sum().sqrt() / seen
    return norms


def head_norms(gradients_CCd: torch.Tensor, scope: Scope) -> torch.Tensor:
    """Norms [C] over the whole last layer ("head"), or over the class's own row ("row")."""
    if scope == "head":
        return gradients_CCd.flatten(1).norm(dim=1)
    return gradients_CCd.diagonal().T.norm(dim=1)


def proportion(norm_C: torch.Tensor, p: float) -> torch.Tensor:
    """CR [C] from gradient proportions: large gradients mean rare classes."""
    power_C = _known(norm_C).double() ** p
    return len(norm_C) * power_C / power_C.sum().clamp_min(1e-30)


def composition(norm_C: torch.Tensor, b: float) -> torch.Tensor:
    """CR [C], the inverse of CUCB's estimated class composition."""
    known_C = _known(norm_C).double()
    share_C = (known_C / known_C.max().clamp_min(1e-30)).square().clamp_min(1e-6)
    inverse_C = (-torch.log_softmax(b / share_C, dim=0)).clamp(max=50.0).exp()
    return len(norm_C) * inverse_C / inverse_C.sum()


def ratio(gradients_CCd: torch.Tensor, most: float = MOST) -> torch.Tensor:
    """R [C] of the ratio loss, in (0, most]; 1 where no input is clearly dominated by the class's own samples."""
    classes = len(gradients_CCd)
    found = torch.ones(classes, dtype=torch.float64)
    for label in range(classes):
        own_d = gradients_CCd[label, label, :-1].double()
        others_Jd = torch.cat(
            [gradients_CCd[:label, label, :-1], gradients_CCd[label + 1 :, label, :-1]]
        ).double()
        clear_d = (own_d.abs() > 0) & (others_Jd.abs().amax(0) < DOMINATED * own_d.abs())
        if clear_d.any():
            below = others_Jd.mean(0)[clear_d].sum().abs().clamp_min(1e-30)
            found[label] = (own_d[clear_d].sum().abs() / below).clamp(max=most).cpu()
    return found


def rectified(cr_C: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """CR [C] clipped to [low, high], then divided by its mean."""
    clipped_C = cr_C.clamp(low, high)
    return (clipped_C / clipped_C.mean()).float()


def _known(norm_C: torch.Tensor) -> torch.Tensor:
    """A class without samples (norm 0) gets the mean of the others: nothing is known of it."""
    seen_C = norm_C > 0
    return torch.where(seen_C, norm_C, norm_C[seen_C].mean() if seen_C.any() else torch.ones_like(norm_C))
