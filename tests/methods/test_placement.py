"""Clients that train alone, and training in one place, for methods of both families."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import pytest
import torch

from raysim.methods import METHODS
from raysim.methods.networks.fedavg import FedAvg
from raysim.methods.networks.fedprox import FedProx
from raysim.methods.placement import Alone, Pooled
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedotp import FedOTP
from raysim.methods.prompts.promptfl import PromptFL
from raysim.simulation.rounds import Simulation
from raysim.storage.vault import fetch
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


def test_one_client_with_everything_learns_what_centralized_learns(simulate: Run) -> None:
    """One client holds all data; the batches' order differs only because the client's number does."""
    one = simulate(small(method="promptfl", scenario="even", scenario__clients=1))
    pooled = simulate(small(method="centralized", scenario="even", scenario__clients=1))
    assert one.totals["flops"] == pooled.totals["flops"]
    assert one.last_measures["acc_personal_global"] == pytest.approx(
        pooled.last_measures["acc_personal_global"], abs=0.03
    )


def test_a_local_network_sends_nothing(simulate: Run) -> None:
    run = simulate(smallest("local_network", rounds=2))
    assert not run.state.shared and run.initial.personal and len(run.privates) == 5
    assert all(
        run.totals[name] == 0 for name in ("bytes_up", "bytes_down", "bytes_weights_up", "bytes_weights_down")
    )
    assert (
        run.last_measures["acc_shared_own"] is None
        and run.last_measures["acc_personal_own"] > run.last_measures["acc_personal_global"]
    )


@pytest.mark.parametrize(("alone", "federated"), [("local", PromptFL), ("local_network", FedAvg)])
def test_a_client_alone_starts_from_what_a_server_would_send(alone: str, federated: type) -> None:
    method = METHODS[alone]()
    assert isinstance(method, federated) and method.traits.placement == "alone"
    assert not method.traits.averages and not method.traits.sends_aside


class FedOTPAlone(Alone, FedOTP):
    """A method with a private prompt of its own, alone."""

    name: ClassVar[str] = "fedotp_alone"


class FedProxPooled(Pooled, FedProx):
    """A method with a term of its own, in one place."""

    name: ClassVar[str] = "fedprox_pooled"


def test_any_method_can_train_alone(monkeypatch: pytest.MonkeyPatch, simulate: Run) -> None:
    monkeypatch.setitem(METHODS._things, FedOTPAlone.name, FedOTPAlone)
    run = simulate(small(method="fedotp_alone", rounds=2))
    assert not run.state.shared and run.totals["bytes_up"] == run.totals["bytes_down"] == 0
    private = fetch(run.privates[0], run.store.vault)
    assert set(private) == {SHARED, PRIVATE}
    assert not torch.equal(private[SHARED], fetch(run.privates[1], run.store.vault)[SHARED])
    assert run.last_measures["acc_shared_global"] is None
    assert run.last_measures["acc_personal_own"] > run.store.rounds()[0]["acc_personal_own"]


def test_any_method_can_train_in_one_place(monkeypatch: pytest.MonkeyPatch, simulate: Run) -> None:
    monkeypatch.setitem(METHODS._things, FedProxPooled.name, FedProxPooled)
    run = simulate(smallest("fedprox_pooled", rounds=1, method__mu=0.0))
    plain = simulate(smallest("centralized_network", rounds=1))
    assert run.totals["bytes_up"] == 0 and run.store.rounds()[-1]["clients"] == 1
    for name, tensor in plain.state.shared.items():
        assert torch.equal(run.state.shared[name], tensor)
