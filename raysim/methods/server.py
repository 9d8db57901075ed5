"""Server optimisers: what the server makes of the averaged update, for any method.

The average of the clients' tensors, minus what they started from, is a pseudo-gradient Delta:
    momentum (FedAvgM)   m <- beta1 m + Delta;                x <- x + lr m
    adam (FedAdam)       m <- beta1 m + (1 - beta1) Delta;  v <- beta2 v + (1 - beta2) Delta^2;  x <- x + lr m / (sqrt(v) + tau)
With "none" the average is taken as it is (FedAvg).

Reference: Hsu et al., "Measuring the Effects of Non-Identical Data Distribution for Federated Visual Classification", 2019
    (FedAvgM); Reddi et al., "Adaptive Federated Optimization", ICLR 2021 (FedAdam; no bias correction, as there).
"""

from __future__ import annotations

from collections.abc import Set
from typing import Literal

import torch

from raysim.config import Config, knob
from raysim.types import ServerState, Tensors


class ServerOptimiser(Config):
    """What the server does with the averaged update."""

    optimiser: Literal["none", "momentum", "adam"] = knob(
        "none", "server optimiser; none = plain averaging", basis="paper", source="FedAvg weighting", search="{none,momentum,adam}"
    )
    lr: float = knob(
        1.0, "server learning rate", basis="relative", source="FedAvgM 1; FedAdam 0.01 to 0.1", search="log-U [1e-2, 1]", gt=0, le=100
    )
    beta1: float = knob(0.9, "decay of the first moment", basis="relative", source="Reddi et al.", search="{0.5,0.9}", ge=0, lt=1)
    beta2: float = knob(0.99, "decay of the second moment (adam)", basis="relative", source="Reddi et al.", ge=0, lt=1)
    tau: float = knob(1e-3, "adaptivity of adam: large is like momentum", basis="relative", source="Reddi et al.", gt=0, le=1)


def server_update(config: ServerOptimiser, before: ServerState, after: ServerState, buffers: Set[str]) -> ServerState:
    """The state after the server's optimiser.

    Args:
        config: Which, and its settings.
        before: The state that was sent.
        after: The state that averaging gave.
        buffers: Shared names that are no trained weights (running statistics): they stay as averaged.

    Returns:
        `after` itself for "none"; else with moved weights, and the moments in `extra` under "moment1/" and "moment2/".
    """
    if config.optimiser == "none":
        return after
    shared, moments = dict(after.shared), Tensors()
    for name in after.shared.keys() - buffers:
        delta = after.shared[name] - before.shared[name]
        first = before.extra.get(f"moment1/{name}", torch.zeros_like(delta))
        if config.optimiser == "momentum":
            first = config.beta1 * first + delta
            step = first
        else:
            first = config.beta1 * first + (1 - config.beta1) * delta
            second = before.extra.get(f"moment2/{name}", torch.zeros_like(delta))
            second = config.beta2 * second + (1 - config.beta2) * delta.square()
            moments[f"moment2/{name}"] = second
            step = first / (second.sqrt() + config.tau)
        moments[f"moment1/{name}"] = first
        shared[name] = before.shared[name] + config.lr * step
    return ServerState(after.round, shared, {**after.extra, **dict(sorted(moments.items()))})
