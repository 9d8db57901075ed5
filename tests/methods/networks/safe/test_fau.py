"""FAU: its merge and its divergence on paper, and what they cost."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import Batch
from raysim.methods.networks.safe.method import PROGRESS, SAFE
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import four_clients


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Federation.of(four_clients(method__ace=False)))


@pytest.mark.parametrize(
    ("kappa", "divergence", "mu"),
    [(1.0, 0.4, 0.2), (4.0, 0.4, 0.8), (20.0, 0.4, 1.0), (0.0, 0.4, 0.0), (1.0, 0.0, 0.0)],
)
def test_fau_on_paper(
    kappa: float, divergence: float, mu: float, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """mu = clip(kappa beta D, 0, 1) with beta = 0.5; BatchNorm's statistics come from the server."""
    method = SAFE(ace=False, kappa=kappa, width=8)
    monkeypatch.setattr(SAFE, "divergence", lambda *_: divergence)
    state = worker.initial().state
    received = {**method.broadcast(state, 0), PROGRESS: torch.tensor(0.5)}
    private = {f"own/{name}": tensor + 1.0 for name, tensor in state.shared.items()}
    samples = Batch(
        torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1),
    )
    row, measured = method.receive(worker.model, received, private, 0, samples)
    assert measured == {"beta": pytest.approx(0.5), "d_cka": divergence, "mu": pytest.approx(mu)}
    for name, tensor in state.shared.items():
        moved = 0.0 if "running" in name else mu
        torch.testing.assert_close(row[name], tensor + moved, msg=name)


def test_the_autoscaler_brings_the_first_divergence_to_its_value(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = SAFE(ace=False, width=8, autoscale=0.7, dmr="constant")
    state = worker.initial().state
    samples = Batch(
        torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8),
        torch.zeros(1, 1, dtype=torch.int64),
        torch.ones(1, 1),
    )
    private = {f"own/{name}": tensor for name, tensor in state.shared.items()}
    seen = []
    for divergence in (0.02, 0.01, 0.04):
        monkeypatch.setattr(SAFE, "divergence", lambda *_, value=divergence: value)
        row, measured = method.receive(worker.model, method.broadcast(state, 0), private, 0, samples)
        private = method.finish(worker.model, row, method.broadcast(state, 0), private, 1).private
        seen.append(measured["mu"])
    assert seen == pytest.approx([0.7, 0.35, 1.0])


def test_a_client_that_did_not_move_does_not_diverge(worker: Worker) -> None:
    state = worker.initial().state
    private = {f"own/{name}": tensor for name, tensor in state.shared.items()}
    method: Any = worker.method
    _, measured = method.receive(
        worker.model, method.broadcast(state, 0), private, 0, worker.batches.server_samples
    )
    assert measured["d_cka"] == pytest.approx(0.0, abs=1e-6)
    other = {
        name: torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1)) * 0.3
        if "running" not in name
        else tensor
        for name, tensor in private.items()
    }
    _, measured = method.receive(
        worker.model, method.broadcast(state, 0), other, 0, worker.batches.server_samples
    )
    assert 0.05 < measured["d_cka"] <= 1.0


def test_beta_zero_is_the_global_network(simulate: Any) -> None:
    row = simulate(four_clients(method__beta_max=0.0)).last_measures
    assert row["acc_personal_global"] == pytest.approx(row["acc_shared_global"])


def test_too_few_samples_for_cka_are_refused() -> None:
    with pytest.raises(UserError, match=r"task.ses: 3 samples are too few for CKA; at least 4"):
        Worker(Federation.of(four_clients(task__classes=3, task__ses=1))).initial()


def rounds(**columns: list[float]) -> list[dict[str, Any]]:
    length = len(next(iter(columns.values())))
    return [
        {"round": index, **{name: values[index] for name, values in columns.items()}}
        for index in range(length)
    ]


def test_fau_and_its_features_cost_flops(simulate: Any) -> None:
    rows = {
        fau: simulate(four_clients(method__fau=fau, method__ace=False)).store.rounds()
        for fau in (True, False)
    }
    assert rows[True][1]["flops"] == rows[False][1]["flops"]  # nobody has a network of its own yet
    assert rows[True][2]["flops"] > rows[False][2]["flops"]
