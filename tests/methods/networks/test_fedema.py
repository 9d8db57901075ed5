"""FedEMA: its merge on paper, and its limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raysim.core.types import ServerState, Tensors
from raysim.methods.networks.fedema import LAMBDA, LAST_ROUND, ROUND, FedEMA
from raysim.methods.networks.stored import store_network, stored_network
from raysim.simulation.worker import Worker
from raysim.storage.vault import digest_of, fetch
from tests.experiments import smallest
from tests.fakes.networks import Run, W, row, same, toy


def ema(method: FedEMA, server: Tensors, private: Tensors, round_: int) -> tuple[Tensors, float, Tensors]:
    """The mixed row and mu of a client, and what it keeps after a round that trains nothing."""
    received = method.broadcast(ServerState(round_, server), 0)
    mixed, measured = method.receive(toy(), received, private, 0, None)
    sent = method.finish(toy(), mixed, received, private, 1)
    assert sent.up.keys() == server.keys() and not sent.aside
    return mixed, measured["mu"], sent.private


def test_fedema_on_paper() -> None:
    """Own (3, 0) and server's (0, 4) are 5 apart: lambda = 0.7 / 5 from then on."""
    method = FedEMA()
    first, mu, private = ema(method, row(3.0, 0.0), {}, 0)
    assert (
        mu == 0
        and digest_of(first) == digest_of(row(3.0, 0.0))
        and LAMBDA not in private
        and int(private[LAST_ROUND]) == 0
    )
    mixed, mu, private = ema(method, row(0.0, 4.0), private, 1)
    assert mu == pytest.approx(0.7) and private[LAMBDA].item() == pytest.approx(0.7 / 5)
    torch.testing.assert_close(mixed[W], torch.tensor([[2.1, 1.2]]))
    torch.testing.assert_close(stored_network(private)[W], mixed[W])  # type: ignore[index]
    half = dict(private) | store_network(row(0.0, 4.0))
    assert ema(method, row(2.5, 4.0), half, 2)[1] == pytest.approx(0.35)
    near, mu, after = ema(method, row(0.0, 14.0), half, 2)
    assert mu == 1.0 and digest_of(near) == digest_of(row(0.0, 4.0)) and after[LAMBDA] == private[LAMBDA]
    away, mu, after = ema(method, row(0.0, 14.0), half, 3)  # it did not take part in round 2
    assert (
        mu == 0
        and digest_of(away) == digest_of(row(0.0, 14.0))
        and after[LAMBDA] == private[LAMBDA]
        and int(after[LAST_ROUND]) == 3
    )


def test_fedemas_limits() -> None:
    private = store_network(row(3.0, 0.0)) | {LAST_ROUND: torch.tensor(0)}
    assert ema(FedEMA(tau=0), row(0.0, 4.0), private, 1)[1] == 0
    assert digest_of(ema(FedEMA(tau=1), row(0.0, 4.0), private, 1)[0]) == digest_of(row(3.0, 0.0))
    assert ema(FedEMA(lam=0.1), row(0.0, 4.0), private, 1)[1] == pytest.approx(0.5)
    assert ema(FedEMA(lam=1), row(0.0, 4.0), private, 1)[1] == 1
    _, mu, kept_then = ema(
        FedEMA(), row(3.0, 0.0), private, 1
    )  # nothing between them: nothing to scale by yet
    assert mu == 0 and LAMBDA not in kept_then
    assert FedEMA().broadcast(ServerState(7, row(0.0, 0.0)), 0)[ROUND].item() == 7


def test_fedema_takes_the_servers_statistics_and_without_tau_is_fedavg(simulate: Run, tmp_path: Path) -> None:
    assert same(
        simulate(smallest("fedema", rounds=2, method__tau=0.0)), simulate(smallest("fedavg", rounds=2))
    )
    run = simulate(smallest("fedema", rounds=2), folder=tmp_path / "run")
    worker = Worker(run.federation)
    private = fetch(run.privates[0], run.store.vault)
    mixed, measured = worker.method.receive(
        worker.model, worker.method.broadcast(run.state, 0), private, 0, None
    )
    client_network = stored_network(private)
    assert client_network is not None and 0 < measured["mu"] <= 1
    for name, tensor in mixed.items():
        if "running" in name:
            assert torch.equal(tensor, run.state.shared[name]) and not torch.equal(
                tensor, client_network[name]
            )
        else:
            torch.testing.assert_close(
                tensor, measured["mu"] * client_network[name] + (1 - measured["mu"]) * run.state.shared[name]
            )
