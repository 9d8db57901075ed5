"""A worker: it loads what it needs when it is needed, and failures name their round and clients."""

from __future__ import annotations

import pytest

from raysim.core.errors import ClientError, Diverged, UserError
from raysim.core.types import POOLED
from raysim.simulation import worker as module
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker, name_failures
from tests.experiments import small


def test_a_constructor_loads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "frozen_of", lambda *_: pytest.fail("loaded"))
    worker = Worker(Federation.of(small()))
    assert worker.experiment == small() and not {"frozen", "model", "training"} & vars(worker).keys()


@pytest.mark.parametrize(
    ("clients", "names"), [((3, 5), "3, 5"), ((POOLED,), "all images"), ((), r"none \(server side\)")]
)
def test_failures_name_the_round_and_the_clients(clients: tuple[int, ...], names: str) -> None:
    with (
        pytest.raises(ClientError, match=f"round 3, clients {names}: KeyError: 'x'"),
        name_failures(clients, 2),
    ):
        raise KeyError("x")


@pytest.mark.parametrize("error", [UserError("a"), Diverged("a"), ClientError("a")])
def test_errors_that_explain_themselves_pass(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, name_failures((0,), 0):
        raise error
    assert raised.value is error
