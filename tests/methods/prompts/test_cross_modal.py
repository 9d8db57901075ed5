"""FedRSCLIP's transport: POT as the reference, and a plan without gradient."""

from __future__ import annotations

import numpy as np
import ot as pot
import pytest
import torch

from raysim.core.types import Batch
from raysim.methods.prompts.base import normalise
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import small
from tests.fakes.prompts import parameters, texts


@pytest.mark.parametrize("marginal", ["label_hist", "uniform"])
def test_transport_is_pots(marginal: str, worker: Worker, batch: Batch) -> None:
    method = FedRSCLIP(ot_b=marginal, lam=0.02, w_dpa=0, ot_tolerance=5e-5, ot_iterations=20_000)
    params = parameters(method, worker)
    text = texts(method, worker, params)["sp"]
    _, metrics = method.loss(worker.model, params, {}, batch)
    for k in range(2):
        real = batch.weight[k] > 0
        x, y = batch.x[k][real].double().numpy(), batch.y[k][real].numpy()
        classes = np.unique(y) if marginal == "label_hist" else np.arange(text.shape[1])
        b = (
            np.array([(y == c).mean() for c in classes])
            if marginal == "label_hist"
            else np.full(len(classes), 1 / len(classes))
        )
        cost = 1 - x @ text[k][classes].T
        plan = pot.sinkhorn(
            np.full(len(y), 1 / len(y)),
            b,
            cost,
            0.02,
            method="sinkhorn_log",
            numItermax=20_000,
            stopThr=1e-12,
        )
        assert metrics["loss_ot"][k].item() == pytest.approx(float((plan * cost).sum()), rel=1e-4)
        assert metrics["ot_marginal_error"][k] <= method.ot_tolerance


def test_the_plan_is_detached(worker: Worker, batch: Batch) -> None:
    """d<Pi, C>/dX with Pi held is -(Pi T): the gradient of the features is linear in the plan."""
    method = FedRSCLIP(w_dpa=0, w_ot=1.0)
    text = normalise(
        torch.randn(
            2,
            len(worker.images.class_names),
            worker.model.tower.embed_dim,
            generator=torch.Generator().manual_seed(0),
        )
    )
    x = batch.x.clone().requires_grad_()
    loss, _ = method.transport(Batch(x, batch.y, batch.weight), {"fused": text})
    loss.sum().backward()
    cost = 1 - torch.bmm(batch.x, text.transpose(1, 2))
    a = batch.weight / batch.weight.sum(1, keepdim=True)
    plan, *_ = method.plan(cost, a.log(), method.class_marginal(batch, text.shape[1]))
    torch.testing.assert_close(x.grad, -torch.bmm(plan, text))


def test_patches_couple_with_the_two_prompts_of_their_class(worker: Worker) -> None:
    patchy = Worker(Federation.of(small(method__ot_level="patch", method__w_dpa=0, method__lam=0.1)))
    images = patchy.batches.stack([patchy.batches.plan(0, 0, 1, "batches")[0][:3]])
    params = parameters(FedRSCLIP(), worker, clients=1)
    text = texts(FedRSCLIP(), worker, params)
    _, metrics = patchy.method.loss(patchy.model, params, {}, images)
    expected = []
    for row, label in zip(images.x[0].double().numpy(), images.y[0].tolist(), strict=True):
        cost = 1 - row[1:] @ np.stack([text["s"][0, label], text["p"][0, label]]).T
        a, b = np.full(len(cost), 1 / len(cost)), np.full(2, 0.5)
        expected.append(
            float((pot.sinkhorn(a, b, cost, 0.1, method="sinkhorn_log", stopThr=1e-12) * cost).sum())
        )
    assert metrics["loss_ot"].item() == pytest.approx(np.mean(expected), rel=1e-3)


def test_pot_solves_the_same_problems_and_refuses_others(worker: Worker, batch: Batch) -> None:
    params = parameters(FedRSCLIP(), worker)
    losses = {}
    for solver in ("auto", "pot"):
        method = FedRSCLIP(ot_solver=solver, ot_tolerance=1e-4, ot_iterations=20_000, w_dpa=0)
        losses[solver], metrics = method.loss(worker.model, params, {}, batch)
        assert (metrics["ot_marginal_error"] <= 1e-4).all() and (metrics["flops_ot"] > 0).all()
    torch.testing.assert_close(losses["pot"], losses["auto"], rtol=1e-3, atol=0)
    with pytest.raises(ValueError, match=r"'pot' solves .* exact marginals only, and ot_b = 'kl'"):
        FedRSCLIP(ot_solver="pot", ot_b="kl")
    FedRSCLIP(ot_solver="pot", ot_b="kl", w_ot=0)  # nothing is transported
