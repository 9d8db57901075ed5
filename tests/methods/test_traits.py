"""The traits of a method agree with what it does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import POOLED, MicroCohort, ServerState, Tensors, Update
from raysim.experiment import Experiment
from raysim.methods import METHODS
from raysim.methods.traits import Traits
from raysim.simulation.cohorts import micro_cohorts
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from raysim.storage.vault import fetch
from tests.experiments import small, smallest

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name, cls in METHODS.items() if cls().traits.trains),
    ("fedrsclip", {"method__h_p": 0}),
    ("fedrsclip", {"method__fusion": "pair"}),
    ("fedavg", {"method__batchnorm": "local"}),
    ("fedavg", {"method__network": "cnn+small_resnet"}),
    ("safe", {"method__fau": False}),
    ("safe", {"method__ace": False}),
]


def sizes(name: str) -> dict[str, Any]:
    return {"method__d": 16, "method__d_e": 8} if name == "safe" else {}


def trained(worker: Worker, vault: Path) -> tuple[ServerState, Update, Tensors]:
    """The server's state after a round of all clients, the first client's update, and what it kept."""
    state = worker.initial().state
    clients = (POOLED,) if worker.method.traits.pooled else range(5)
    updates = [worker.train(state, MicroCohort(0, (client,), (None,), str(vault))) for client in clients]
    after = worker.method.aggregate(state, iter(updates))
    return after, updates[0], fetch(updates[0].private[0], vault)


@pytest.mark.parametrize(("name", "changes"), VARIANTS, ids=str)
def test_what_is_sent_and_kept_is_what_the_traits_say(
    name: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    worker = Worker(Federation.of(smallest(name, rounds=3, **sizes(name), **changes)))
    method, traits = worker.method, worker.method.traits
    state, update, private = trained(worker, tmp_path)
    assert bool(update.sums) == (traits.averages or traits.pooled)
    assert any(update.aside) == traits.sends_aside
    assert bool(update.client_tensors) == traits.needs_updates
    assert (worker.initial().setup > 0) == traits.sends_samples
    assert worker.initial().personal == (bool(worker.training.first_private(0)) or traits.personal)
    batch = worker.batches.stack([worker.batches.plan(0, 0, 1, "batches")[0]])
    assert batch.x.dim() == {"features": 3, "patches": 4, "pixels": 5}[traits.inputs]
    if traits.serves:
        state = worker.serve(state).state
    if traits.placement == "federated" and not traits.tuning_epochs and len(method.architectures) == 1:
        samples = worker.batches.server_samples if traits.needs_samples else None
        start, _ = method.receive(worker.model, method.broadcast(state, 0), private, 0, samples)
        equal = [torch.equal(start[key].cpu(), tensor) for key, tensor in state.shared.items()]
        assert all(equal) != traits.personal  # a client's own network, or the one that all start with


def test_single_updates_are_read_by_methods_that_say_so(tmp_path: Path) -> None:
    worker = Worker(Federation.of(smallest("fedcac")))
    state, update, _ = trained(worker, tmp_path)
    assert worker.method.traits.needs_updates
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        worker.method.aggregate(state, iter([replace(update, client_tensors=())]))


@pytest.mark.parametrize("name", list(METHODS))
def test_stacks_hold_one_client_where_a_method_cannot_be_stacked(name: str) -> None:
    federation = Federation.of(smallest(name, training__micro_cohort=3))
    longest = max(len(group.clients) for group in micro_cohorts(federation, range(5), {}))
    assert longest == (3 if METHODS[name]().traits.stackable else 1)


def accepted(**changes: Any) -> Experiment | None:
    try:
        return small(**changes)
    except UserError:
        return None


@pytest.mark.parametrize("name", list(METHODS))
def test_tasks_are_accepted_where_the_traits_allow_them(name: str) -> None:
    traits = METHODS[name]().traits
    assert (accepted(method=name, task__novel=3) is not None) == traits.names_classes
    assert (accepted(method=name, task__dataset="scene_masks") is not None) == traits.segments
    assert (accepted(method=name, task__ses=0) is not None) == (not traits.needs_samples)
    assert (accepted(method=name, rounds=0) is not None) == (not traits.trains)
    assert smallest(name).total_rounds == (3 if traits.trains else 0)


def test_a_method_serves_where_it_has_a_server_step() -> None:
    for name, cls in METHODS.items():
        assert cls().traits.serves == (name in ("safe", "ratio_loss"))


def test_every_method_that_serves_needs_samples() -> None:
    for method in METHODS.values():
        assert not method().traits.serves or method().traits.needs_samples


def test_traits_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="sends_samples = True is not allowed without needs_samples"):
        Traits(sends_samples=True)
    with pytest.raises(ValueError, match="tuning_epochs = 2 is not allowed without personal"):
        Traits(tuning_epochs=2)
