"""FedRSCLIP's alignment: its forms in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raysim.core.types import Batch, Tensors
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import small


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Federation.of(small()))


@pytest.fixture(scope="module")
def batch(worker: Worker) -> Batch:
    return worker.batches.stack([worker.batches.plan(client, 0, 1, "batches")[0] for client in range(2)])


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


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("form", ["softmax", "cosine", "token"])
def test_alignment_is_its_formula(form: str, worker: Worker, batch: Batch) -> None:
    method = FedRSCLIP(dpa_form=form, s=20.0, w_dpa=0.7, w_ot=0)
    params = parameters(method, worker)
    text = texts(method, worker, params)
    if form == "softmax":
        sim = np.einsum("kcd,ked->kce", text["p"], text["s"])
        expected = -np.stack([np.diag(log_softmax(20.0 * sim[k])).mean() for k in range(2)])
    elif form == "cosine":
        expected = 20.0 * (1 - (text["p"] * text["s"]).sum(-1)).mean(-1)
    else:
        p, s = params[PRIVATE].flatten(1).numpy(), params[SHARED].flatten(1).numpy()
        expected = 20.0 * (1 - (p * s).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(s, axis=1))
    loss, metrics = method.loss(worker.model, params, {}, batch)
    np.testing.assert_allclose(metrics["loss_dpa"].numpy(), expected, rtol=2e-5)
    np.testing.assert_allclose(
        loss.numpy(), (metrics["loss_ce"] + 0.7 * metrics["loss_dpa"]).numpy(), rtol=1e-6
    )
