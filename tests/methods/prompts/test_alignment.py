"""FedRSCLIP's alignment: its forms in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from raysim.core.types import Batch
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.worker import Worker
from tests.fakes.prompts import parameters, texts


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
