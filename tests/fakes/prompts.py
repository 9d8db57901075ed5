"""Prompts of two clients, and the features of the class names under them, for numbers by other libraries."""

from __future__ import annotations

import numpy as np
import torch

from raysim.core.types import Tensors
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.worker import Worker


def parameters(method: FedRSCLIP, worker: Worker, clients: int = 2) -> Tensors:
    rng = torch.Generator().manual_seed(3)
    width = worker.model.tower.width
    shared = torch.randn(1, method.h, width, generator=rng).expand(clients, -1, -1) * 0.1
    private = {PRIVATE: torch.randn(clients, method.h_p, width, generator=rng) * 0.1} if method.h_p else {}
    return {SHARED: shared.clone(), **private}


def texts(method: FedRSCLIP, worker: Worker, params: Tensors) -> dict[str, np.ndarray]:
    model = worker.model
    made = {
        "s": model.class_features(params[SHARED]),
        "p": model.class_features(params[PRIVATE]),
        "sp": model.class_features(torch.cat([params[SHARED], params[PRIVATE]], 1)),
    }
    return {name: text.double().numpy() for name, text in made.items()}
