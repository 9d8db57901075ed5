"""FedProx: which weights its term counts, and its limits."""

from __future__ import annotations

import pytest
import torch

from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import smallest
from tests.fakes.networks import Run, same, trained


@pytest.mark.parametrize("norms", ["global", "local"])
def test_the_proximal_term_counts_trained_and_shared_weights(norms: str) -> None:
    worker = Worker(Federation.of(smallest("fedprox", method__mu=3.0, method__batchnorm=norms)))
    params, received, batch = trained(worker)
    loss, metrics = worker.method.loss(worker.model, params, received, batch)
    counted = [
        name
        for name in received
        if "running" not in name
        and not (norms == "local" and any(part in name for part in ("bn1", "bn2", "0.1.", "downsample.1")))
    ]
    expected = 1.5 * sum(
        float((params[name][0].double() - received[name].double()).square().sum()) for name in counted
    )
    assert metrics["loss_prox"].item() == pytest.approx(expected, rel=1e-5) and expected > 0.5
    torch.testing.assert_close(loss.detach(), metrics["loss_ce"] + metrics["loss_prox"])


def test_fedprox_with_mu_zero_is_fedavg_and_a_large_one_holds_clients_back(simulate: Run) -> None:
    work = {"rounds": 2, "training__epochs": 4, "training__momentum": 0.0}
    plain = simulate(smallest("fedavg", **work))
    assert same(simulate(smallest("fedprox", **work, method__mu=0.0)), plain)
    strong = simulate(smallest("fedprox", **work, method__mu=10.0))
    start, weights = plain.initial.state.shared, plain.state.shared.keys() - plain.initial.buffers
    moved = [
        sum(float((run.state.shared[name] - start[name]).square().sum()) for name in weights)
        for run in (plain, strong)
    ]
    assert moved[1] < 0.5 * moved[0]
