"""Updates of one tensor, for aggregation on paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from raysim.core.types import ServerState, Update
from raysim.methods import METHODS
from raysim.methods.aggregation import ServerOptimiser, robust_updates
from raysim.methods.base import weighted_sum


def update(examples: int, value: list[float]) -> Update:
    shared = {"p": torch.tensor(value)[None]}
    sums = weighted_sum(shared, np.array([examples]))
    return Update(
        index=0,
        clients=(0,),
        examples=np.array([examples]),
        sums=sums,
        aside=({},),
        client_tensors=(),
        private=({},),
        metrics={},
    )


def sent(clients: list[int], images: list[int], values: list[list[float]]) -> Update:
    """A micro-cohort's update of one tensor."""
    rows = torch.tensor(values)
    examples, count = np.array(images), len(clients)
    each = tuple({"p": row} for row in rows)
    sums = weighted_sum({"p": rows}, examples)
    return Update(
        index=0,
        clients=tuple(clients),
        examples=examples,
        sums=sums,
        aside=({},) * count,
        client_tensors=each,
        private=({},) * count,
        metrics={},
    )


def aggregate(updates: list[Update], start: list[float], **config: Any) -> tuple[list[float], int]:
    """What a FedAvg-like method makes of updates, and how many were left out."""
    state = ServerState(0, {"p": torch.tensor(start)})
    server, rejected = ServerOptimiser(**config), 0
    if server.robust:
        updates, rejected = robust_updates(server, state.shared, updates)
    return METHODS["promptfl"]().aggregate(state, updates).shared["p"].tolist(), rejected
