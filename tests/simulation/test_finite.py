"""A run never ends with numbers that are infinite or NaN: they are found in the round that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from raysim.core.errors import Diverged
from raysim.core.types import ServerState
from raysim.methods import METHODS
from raysim.simulation.clock import Clock
from raysim.simulation.federation import Federation
from raysim.simulation.finite import NotFinite, finite_logits, not_finite
from raysim.simulation.rounds import Simulation
from tests.experiments import small, smallest

Run = Callable[..., Simulation]
LAST = 3  # the last round of these runs


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_the_first_tensor_that_is_not_finite_is_named(value: float) -> None:
    tensors = {
        "n": torch.tensor([3]),
        "a": torch.full((4,), 3e38),
        "b": torch.zeros(2, 3),
        "c": torch.ones(1),
    }
    assert (
        not_finite(tensors) is None and not_finite({}) is None and not_finite({"n": torch.tensor(1)}) is None
    )
    tensors["b"][1, 2] = value
    tensors["c"][0] = value
    assert not_finite(tensors) == "b"
    assert not_finite({"both": torch.tensor([torch.inf, -torch.inf])}) == "both"
    logits = torch.zeros(3, 5, 2)
    assert finite_logits(logits) is logits and finite_logits(None) is None
    logits[2, 4, 1] = value
    with pytest.raises(NotFinite) as error:
        finite_logits(logits)
    assert error.value.model == 2


def in_last_round(monkeypatch: pytest.MonkeyPatch, name: str, hook: str, spoil: Callable[..., Any]) -> None:
    """Spoil what a hook returns once the server has finished all rounds but the last."""
    cls, finished = METHODS[name], {"round": 0}
    aggregate, broadcast, original = cls.aggregate, cls.broadcast, getattr(cls, hook)

    def watched_broadcast(self: Any, state: ServerState, client: int) -> Any:
        finished["round"] = state.round
        return broadcast(self, state, client)

    def watched_aggregate(self: Any, state: ServerState, updates: Any) -> Any:
        after = aggregate(self, state, updates)
        finished["round"] = after.round
        return after

    def spoiled(self: Any, *args: Any) -> Any:
        result = original(self, *args)
        before = LAST if hook in ("aggregate", "server_step", "predict") else LAST - 1
        return spoil(result, *args) if finished["round"] == before else result

    monkeypatch.setattr(cls, "broadcast", watched_broadcast)
    monkeypatch.setattr(cls, "aggregate", watched_aggregate)
    original = getattr(cls, hook)
    monkeypatch.setattr(cls, hook, spoiled)


def nan(tensors: Any) -> dict[str, torch.Tensor]:
    return {key: torch.full_like(value, torch.nan) for key, value in tensors.items()}


def overflow(result: Any, params: Any, received: Any) -> None:
    """The last step's gradient is infinite; the loss before it was finite."""
    for tensor in params.values():
        if tensor.grad is not None:
            tensor.grad.fill_(torch.inf)


SPOILED: list[tuple[str, str, Callable[..., Any], str]] = [
    (
        "promptfl",
        "adjust",
        overflow,
        r"round 3: 'prompt.shared', which client \d sends, became infinite or NaN",
    ),
    (
        "fedrsclip",
        "finish",
        lambda result, *_: replace(result, private=nan(result.private)),
        r"round 3: 'prompt.private', which client \d keeps, became infinite or NaN",
    ),
    (
        "scaffold",
        "finish",
        lambda result, *_: replace(result, aside=nan(result.aside)),
        r"round 3: 'change/small_resnet/.*', which client \d sends, became infinite or NaN",
    ),
    (
        "promptfl",
        "aggregate",
        lambda state, *_: replace(state, shared=nan(state.shared)),
        "round 3: the server's 'prompt.shared' became infinite or NaN by the aggregation; lower training.lr",
    ),
    (
        "scaffold",
        "aggregate",
        lambda state, *_: replace(state, extra={**state.extra, "c/x": torch.tensor(torch.inf)}),
        "round 3: the server's 'c/x' became infinite or NaN by the aggregation",
    ),
    (
        "ratio_loss",
        "server_step",
        lambda state, *_: replace(state, extra=nan(state.extra)),
        "round 3: 'server/cr', by the server's own work, became infinite or NaN",
    ),
    (
        "promptfl",
        "predict",
        lambda logits, *_: logits * torch.nan,
        "round 3: the logits of the server's model on validation images became infinite or NaN",
    ),
    (
        "local",
        "predict",
        lambda logits, *_: None if logits is None else logits * torch.inf,
        r"round 3: the logits of client \d's model on validation images became infinite or NaN",
    ),
]


@pytest.mark.parametrize(("name", "hook", "spoil", "message"), SPOILED, ids=lambda value: str(value)[:12])
def test_what_overflows_in_the_last_round_ends_the_run(
    name: str, hook: str, spoil: Any, message: str, simulate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = smallest(name, rounds=LAST, evaluation__every=LAST, training__batch=512)
    assert simulate(experiment).finished
    in_last_round(monkeypatch, name, hook, spoil)
    with pytest.raises(Diverged, match=message):
        simulate(experiment)


def test_a_network_that_overflows_in_its_last_step_is_no_result(simulate: Run) -> None:
    """Every loss of this run is finite; without a check it is done, with an accuracy of one in 24 classes."""
    with pytest.raises(Diverged, match=r"round 1: '.*running_var', which client \d sends, became infinite"):
        simulate(small(method="fedavg", training__lr=100.0, training__epochs=4, rounds=1))


def test_tuned_models_are_checked_too(simulate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(METHODS["promptfl_ft"], "adjust", lambda self, *args: overflow(None, *args))
    with pytest.raises(Diverged, match=r"round 0: the logits of client \d's model"):
        simulate(small(method="promptfl_ft", rounds=1, training__batch=512, method__epochs_ft=1))


def test_a_servers_optimiser_that_overflows_is_named() -> None:
    experiment = small(method="promptfl", server__optimiser="momentum", server__lr=100.0)
    state = ServerState(2, {"p": torch.ones(1)}, {"moment1/p": torch.full((1,), torch.inf)})
    message = "round 2: the server's 'moment1/p' .* lower training.lr = 0.05 or server.lr = 100"
    with pytest.raises(Diverged, match=message):
        Clock(Federation.of(experiment), {}).check(state, {})


def test_a_servers_step_that_makes_logits_overflow_is_named(simulate: Run) -> None:
    how = {"optimiser": "adam", "lr": 100.0, "tau": 1e-30, "beta1": 0.0}
    experiment = small(method="fedavg", rounds=1, **{f"server__{name}": value for name, value in how.items()})
    with pytest.raises(Diverged, match=r"logits of the server's model .* or server.lr = 100"):
        simulate(experiment)
