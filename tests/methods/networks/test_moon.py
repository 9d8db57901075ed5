"""MOON: its contrast in NumPy, the three networks that its loss looks at, and its limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from raysim.methods.networks.fedavg import FedAvg
from raysim.methods.networks.moon import contrast
from raysim.methods.networks.stored import store_network, stored_network
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from raysim.storage.vault import fetch
from tests.experiments import smallest
from tests.fakes.networks import Run, same, trained


def test_the_contrast_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    z, near, away = rng.normal(size=(3, 6, 10))

    def similarity(other: np.ndarray) -> np.ndarray:
        return np.exp((z * other).sum(1) / np.linalg.norm(z, axis=1) / np.linalg.norm(other, axis=1) / 0.3)

    expected = -np.log(similarity(near) / (similarity(near) + similarity(away))).mean()
    value = contrast(*(torch.from_numpy(part) for part in (z, near, away)), 0.3)
    assert value.item() == pytest.approx(expected, rel=1e-12)
    assert contrast(*(torch.from_numpy(part) for part in (z, near, near)), 0.3).item() == pytest.approx(
        np.log(2)
    )


def test_moons_loss_looks_at_three_networks() -> None:
    worker = Worker(Federation.of(smallest("moon", method__mu=0.6, method__temperature=0.4)))
    params, received, batch = trained(worker)
    previous = {name: tensor + 0.05 for name, tensor in received.items()}
    params |= {name: tensor[None] for name, tensor in store_network(previous).items()}
    copies = [{name: tensor.clone() for name, tensor in part.items()} for part in (params, received)]
    loss, metrics = worker.method.loss(worker.model, params, received, batch)
    for now, then in zip((params, received), copies, strict=True):
        for name, tensor in now.items():  # only the client's own statistics follow its batches
            follows = now is params and "running" in name and not name.startswith("own/")
            assert torch.equal(tensor, then[name]) != follows
    method, model, params = FedAvg(width=8), worker.model, copies[0]
    with torch.no_grad():
        z = method.forward(model, {name: params[name][0] for name in received}, batch.x[0], batch.rngs[0])
        near, away = (method.forward(model, network, batch.x[0]).features for network in (received, previous))
    expected = contrast(z.features, near, away, 0.4)
    assert metrics["loss_contrast"].item() == pytest.approx(expected.item(), rel=1e-5)
    ce = nn.functional.cross_entropy(z.logits, batch.y[0])
    assert loss.item() == pytest.approx(float(ce + 0.6 * expected), rel=1e-5)


def test_moon_is_fedavg_without_its_term_and_in_the_first_round(simulate: Run) -> None:
    plain = {
        rounds: simulate(
            smallest("fedavg", rounds=rounds, training__schedule="constant", training__micro_cohort=1)
        )
        for rounds in (1, 2)  # alone, as MOON's clients train
    }
    first = simulate(smallest("moon", rounds=1, training__schedule="constant"))
    assert same(first, plain[1])
    for client, private in first.privates.items():
        client_network = stored_network(fetch(private, first.store.vault))
        assert (
            client_network is not None
            and client_network.keys() == first.state.shared.keys()
            and client in range(5)
        )
    assert same(simulate(smallest("moon", rounds=2, training__schedule="constant", method__mu=0.0)), plain[2])
    assert not same(simulate(smallest("moon", rounds=2, training__schedule="constant")), plain[2])
