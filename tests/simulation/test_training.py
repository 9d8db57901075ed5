"""The local training loop."""

from __future__ import annotations

import subprocess
import sys
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


TRAINS = """
import sys
from raysim.experiment import Experiment, identity, override
from raysim.simulation.cohorts import micro_cohorts
from raysim.simulation.device import CPU
from raysim.simulation.worker import worker_of

worker = worker_of(identity(override(Experiment(), dict(word.split("=") for word in sys.argv[1:]))), CPU)
cohorts = micro_cohorts(worker.federation, range(worker.federation.clients), {})
print(len(worker.train(worker.initial().state, cohorts[0]).clients) > 0)
print({"open_clip", "torchvision", "torch._dynamo"} & set(sys.modules))
"""


@pytest.mark.parametrize("method", ["promptfl", "fedrsclip", "fedavg", "safe"])
def test_a_process_that_trains_loads_nothing_that_it_does_not_use(method: str) -> None:
    """open_clip takes two seconds of CPU, torchvision and PyTorch's compiler more than one each."""
    words = [f"method={method}", "task.shots=12", "scenario.clients=4", "training.epochs=1"]
    done = subprocess.run(
        [sys.executable, "-c", TRAINS, *words], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split("\n")[:2] == ["True", "set()"]
