"""A network of two weights and a bias, for numbers on paper, and helpers of tests of network methods."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from raysim.core.types import Batch, MicroCohort, Tensors, Update
from raysim.methods.base import weighted_sum
from raysim.methods.networks.model import NetworkModel
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.vault import digest_of

Run = Callable[..., Simulation]


W, B = "small_resnet/weight", "small_resnet/bias"


def toy() -> NetworkModel:
    """Return a network of two weights and a bias, for numbers on paper."""
    return NetworkModel(None, {"small_resnet": nn.Linear(2, 1)}, False, {})  # type: ignore[arg-type]


def row(w0: float, w1: float, b: float = 0.0) -> Tensors:
    return {W: torch.tensor([[w0, w1]]), B: torch.tensor([b])}


def update(client: int, up: Tensors, examples: int = 1, aside: Tensors | None = None) -> Update:
    sums = weighted_sum({name: tensor[None] for name, tensor in up.items()}, np.array([examples]))
    return Update(
        index=client,
        clients=(client,),
        examples=np.array([examples]),
        sums=sums,
        aside=(aside or {},),
        client_tensors=(up,),
        private=({},),
        metrics={},
    )


def same(one: Simulation, other: Simulation) -> bool:
    return digest_of(one.state.shared) == digest_of(other.state.shared)


def trained(worker: Worker, method: str = "") -> tuple[Tensors, Tensors, Batch]:
    """A client's stacked row a little away from what it received, what it received, and a batch."""
    state = worker.initial().state
    start = worker.training.start(state, MicroCohort(0, (0,), (None,)))
    params = {name: tensor[None].clone() + 0.01 for name, tensor in start.rows[0].items()}
    return (
        params,
        start.received,
        worker.batches.stack(
            worker.batches.plan(0, 0, 1, "batches")[:1], (torch.Generator().manual_seed(0),)
        ),
    )
