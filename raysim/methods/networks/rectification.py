"""Class ratios CR: estimators that turn gradients on the server's samples (SES) into a weight per class.

    proportion    CR_c = C g_c^p / sum_j g_j^p
    composition   CR_c ~ 1 / R_c,    R_c = exp(b / q_c) / sum_j exp(b / q_j),    q_c = g_c^2 / max g^2
    ratio         CR_c = 1 + b R_c,  R_c = |sum over N_c of dW^c_c| / |sum over N_c of mean of dW^j_c, j != c|

g_c = || grad_theta (1 / |SES_c|) sum over SES_c of CE || is the norm of a class's mean gradient. dW^j_c is
the gradient of class j's samples on class c's row of the last layer. N_c are the inputs of that row on which
class c's own samples clearly dominate.

Each estimator has a scale of its own, on which an ordinary class has about 1: the first two have a mean of 1,
the last starts at 1. There CR is clipped, and then brought to a mean of 1 within the same bounds
(`rectified`).

SAFE publishes no formula: "proportion" is a reconstruction, the others are published relatives.

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
LARGEST_RATIO = 5000.0  # Wang et al.
SMALLEST = 1e-30  # keeps divisions by sums of gradients finite


def head_gradients(outputs: Iterable[tuple[Output, torch.Tensor]], weights: Tensors) -> torch.Tensor:
    """Mean gradient of each class's samples on the last layer, [C, C, d + 1], the bias last.

    Args:
        outputs: The network's outputs for some samples (of segmentation `pooled` is a map), and their
            classes: [n], or of segmentation [n, S, S] with `IGNORE`. Read one after the other.
        weights: The network's tensors by their own names.

    Returns:
        Zero for a class without samples.
    """
    weight, bias = (weights[name].detach().requires_grad_() for name in HEAD)
    total = torch.zeros(len(bias), len(bias), weight[0].numel() + 1, dtype=weight.dtype, device=weight.device)
    count_C = torch.zeros(len(bias), device=weight.device)
    for output, y in outputs:
        if y.dim() == 1:
            total += _linear_gradients(output, y)
            count_C += F.one_hot(y, len(bias)).sum(0)
            continue
        loss = F.cross_entropy(
            _map_logits(output.pooled, y, weight, bias), y, ignore_index=IGNORE, reduction="none"
        )
        for label in y[y != IGNORE].unique().tolist():
            d_weight, d_bias = torch.autograd.grad(loss[y == label].sum(), [weight, bias], retain_graph=True)
            total[label] += torch.cat([d_weight.flatten(1), d_bias[:, None]], dim=1)
            count_C[label] += (y == label).sum()
    return total / count_C.clamp_min(1)[:, None, None]


def _linear_gradients(output: Output, y: torch.Tensor) -> torch.Tensor:
    """Gradient of the sum over each class's samples on a linear last layer, [C, C, d + 1].

    One product for all classes: a sample's gradient is (softmax - one-hot of its class) times (inputs, 1).
    """
    own_nC = F.one_hot(y, output.logits.shape[1]).to(output.logits)
    error_nC = output.logits.detach().softmax(1) - own_nC
    inputs_nd = F.pad(output.pooled.detach(), (0, 1), value=1.0)
    return torch.einsum("na,nb,nd->abd", own_nC, error_nC, inputs_nd)


def _map_logits(
    pooled: torch.Tensor, y: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor
) -> torch.Tensor:
    """Logits of the last layer in the shape of the classes `y`, without a gradient into the features."""
    logits = F.conv2d(pooled.detach(), weight, bias)
    return F.interpolate(logits, y.shape[-2:], mode="bilinear", align_corners=False)


def whole_norms(
    logits_of: Callable[[torch.Tensor], torch.Tensor],
    x: torch.Tensor,
    y: torch.Tensor,
    parameters: Sequence[torch.Tensor],
    classes: int,
    images_per_call: int,
) -> torch.Tensor:
    """Norm of each class's mean gradient over all parameters, [C]; 0 for a class without samples.

    Args:
        logits_of: The network, with gradients.
        x: Samples [n, ...].
        y: Their classes, [n] or [n, S, S].
        parameters: Tensors whose gradients are taken.
        classes: C.
        images_per_call: Samples whose graph is held at a time.
    """
    norm_C = torch.zeros(classes, device=y.device, dtype=torch.float64)
    for label in y[y != IGNORE].unique().tolist():
        selected = (y == label).flatten(1).any(1) if y.dim() > 1 else y == label
        sums, count = [torch.zeros_like(parameter) for parameter in parameters], 0
        parts = zip(x[selected].split(images_per_call), y[selected].split(images_per_call), strict=True)
        for x_part, y_part in parts:
            of_label = y_part == label
            loss = F.cross_entropy(logits_of(x_part), y_part, ignore_index=IGNORE, reduction="none")
            gradients = torch.autograd.grad(loss[of_label].sum(), parameters, allow_unused=True)
            for total, gradient in zip(sums, gradients, strict=True):
                if gradient is not None:
                    total += gradient
            count += int(of_label.sum())
        norm_C[label] = torch.stack([total.double().square().sum() for total in sums]).sum().sqrt() / count
    return norm_C


def head_norms(gradients_CCd: torch.Tensor, scope: Scope) -> torch.Tensor:
    """Norms [C] of gradients over the whole last layer ("head"), or over the class's own row ("row")."""
    if scope == "head":
        return gradients_CCd.double().flatten(1).norm(dim=1)  # in float32 squares of small ones are zero
    return gradients_CCd.double().diagonal().T.norm(dim=1)


def proportion(norm_C: torch.Tensor, p: float) -> torch.Tensor:
    """CR [C] from gradient proportions: large gradients mean rare classes."""
    power_C = _without_gaps(norm_C).double() ** p
    return len(norm_C) * power_C / power_C.sum().clamp_min(SMALLEST)


def composition(norm_C: torch.Tensor, b: float) -> torch.Tensor:
    """CR [C], the inverse of CUCB's estimated class composition."""
    norm_C = _without_gaps(norm_C).double()
    share_C = (norm_C / norm_C.max().clamp_min(SMALLEST)).square().clamp_min(1e-6)
    return len(norm_C) * torch.softmax(-b / share_C, dim=0)  # 1 / R_c is exp(-b / q_c) times a constant


def ratio(gradients_CCd: torch.Tensor, largest: float = LARGEST_RATIO) -> torch.Tensor:
    """R [C] of the ratio loss, in (0, largest]; 1 where the class's own samples clearly dominate no input."""
    classes = len(gradients_CCd)
    ratio_C = torch.ones(classes, dtype=torch.float64)
    for label in range(classes):
        same_d = gradients_CCd[label, label, :-1].double()
        others_Jd = torch.cat(
            [gradients_CCd[:label, label, :-1], gradients_CCd[label + 1 :, label, :-1]]
        ).double()
        dominated_d = (same_d.abs() > 0) & (others_Jd.abs().amax(0) < DOMINATED * same_d.abs())
        if dominated_d.any():
            denominator = others_Jd.mean(0)[dominated_d].sum().abs().clamp_min(SMALLEST)
            ratio_C[label] = (same_d[dominated_d].sum().abs() / denominator).clamp(max=largest).cpu()
    return ratio_C


def rectified(cr_C: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """CR [C] clipped to [low, high], then brought to a mean of 1 within the same bounds.

    A plain division by the mean would break the bounds again. So the clipped ratios are multiplied by the one
    factor at which they, clipped once more, have a mean of 1. What is returned has the mean of 1 and keeps
    the bounds, to float32's rounding.

    Args:
        cr_C: Estimated ratios, not negative; an ordinary class has about 1.
        low: Smallest ratio, in (0, 1].
        high: Largest ratio, at least 1.
    """
    cr_C = cr_C.double().clamp(low, high)
    # the mean of the clipped ratios rises with the factor, in straight pieces between these places
    places = torch.cat([low / cr_C, high / cr_C]).sort().values
    means = (places[:, None] * cr_C).clamp(low, high).mean(1)
    above = int(torch.searchsorted(means, 1.0).clamp(1, len(places) - 1))
    rise = means[above] - means[above - 1]
    share = ((1.0 - means[above - 1]) / rise).clamp(0, 1) if rise > 0 else 0.0
    factor = torch.lerp(places[above - 1], places[above], share)
    return (factor * cr_C).clamp(low, high).float()


def _without_gaps(norm_C: torch.Tensor) -> torch.Tensor:
    """Norms [C] in which a class without samples (norm 0), of which nothing is known, has the mean."""
    seen_C = norm_C > 0
    return torch.where(seen_C, norm_C, norm_C[seen_C].mean() if seen_C.any() else torch.ones_like(norm_C))
