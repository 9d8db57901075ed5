"""The local training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raysim.simulation import flops
from raysim.simulation.rounds import Simulation
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


def test_a_failing_client_is_named(simulate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from raysim.core.errors import ClientError, Diverged
    from raysim.methods import METHODS

    loss = METHODS["promptfl"].loss
    monkeypatch.setattr(
        METHODS["promptfl"], "loss", lambda *args: (loss(*args)[0] * float("nan"), loss(*args)[1])
    )
    message = r"round 1: the loss of client \d became infinite or NaN; lower training.lr = 100"
    with pytest.raises(Diverged, match=message):
        simulate(small(method="promptfl", training__lr=100.0))

    def broken(*args: Any) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(METHODS["promptfl"], "loss", broken)
    with pytest.raises(ClientError, match=r"round 1, clients \d, \d, \d: ZeroDivisionError: on purpose"):
        simulate(small(method="promptfl"))


@pytest.mark.parametrize("name", ["fedrsclip", "safe"])
def test_flops_counted_for_one_seed_are_those_of_another(name: str, simulate: Any) -> None:
    flops.STEPS.clear()
    counted = simulate(smallest(name, rounds=1, seed=1)).totals["flops"]
    simulate(smallest(name, rounds=1, seed=0))
    assert simulate(smallest(name, rounds=1, seed=1)).totals["flops"] == counted
