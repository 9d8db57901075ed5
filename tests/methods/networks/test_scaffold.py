"""SCAFFOLD: its variates on paper, at clients and server, and its limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raysim.core.types import MicroCohort, ServerState
from raysim.methods.networks.scaffold import Scaffold
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from raysim.storage.vault import fetch
from tests.experiments import smallest
from tests.fakes.networks import B, Run, W, row, same, toy, update


def test_variates_move_by_the_changes_over_all_clients() -> None:
    """Two of four clients take part; networks are averaged by images, changes of variates are not."""
    extra = {f"c/{W}": torch.tensor([[1.0, 0.0]]), f"c/{B}": torch.zeros(1), "trainers": torch.arange(4)}
    changes = [
        {f"change/{W}": torch.tensor([[value, 4.0]]), f"change/{B}": torch.ones(1)} for value in (2.0, 6.0)
    ]
    state = Scaffold().aggregate(
        ServerState(0, row(9.0, 9.0), extra),
        iter([update(0, row(0.0, 4.0), 1, changes[0]), update(2, row(4.0, 0.0), 3, changes[1])]),
    )
    assert state.shared[W].tolist() == [[3.0, 1.0]]
    assert state.extra[f"c/{W}"].tolist() == [[3.0, 2.0]] and state.extra[f"c/{B}"].item() == 0.5
    assert extra[f"c/{W}"].tolist() == [[1.0, 0.0]]  # the state before is not touched


def test_newcomers_do_not_count(simulate: Run) -> None:
    """They never have a variate, so the mean is over those that train."""
    run = simulate(smallest("scaffold", rounds=2, scenario__clients=5, evaluation__newcomers=0.4))
    trainers = run.state.extra["trainers"].tolist()
    assert len(trainers) == 3 and sorted(run.privates) == trainers
    for key in [key for key in run.state.extra if key.startswith("c/")]:
        name = key.replace("c/", "c_i/", 1)
        theirs = [fetch(run.privates[client], run.store.vault)[name] for client in trainers]
        mean = torch.stack(theirs).double().mean(0)
        torch.testing.assert_close(run.state.extra[key].double(), mean, rtol=1e-4, atol=1e-6)


def test_variates_of_one_architecture_are_shared_among_its_clients() -> None:
    method = Scaffold(network="small_resnet+small_mobilenet", projection=8)
    names = (W, "small_mobilenet/weight", "common/head.weight")
    extra = {f"c/{name}": torch.zeros(1) for name in names} | {"trainers": torch.arange(5)}
    changes = [
        {f"change/{names[0]}": torch.ones(1), f"change/{names[2]}": torch.ones(1)},
        {f"change/{names[1]}": torch.ones(1)},
    ]
    shared = dict.fromkeys(names, torch.zeros(1))
    state = method.aggregate(
        ServerState(0, shared, extra), iter([update(0, {}, 1, changes[0]), update(1, {}, 1, changes[1])])
    )
    assert [state.extra[f"c/{name}"].item() for name in names] == pytest.approx([1 / 3, 1 / 2, 1 / 5])


def test_a_scaffold_step_is_corrected_and_its_own_gradient_noted() -> None:
    method, model = Scaffold(), toy()
    received = {**row(1.0, 1.0), f"c/{W}": torch.tensor([[0.5, 0.0]]), f"c/{B}": torch.zeros(1)}
    private = {f"c_i/{W}": torch.tensor([[0.0, 2.0]]), f"c_i/{B}": torch.tensor([1.0])}
    start, _ = method.receive(model, received, private, 0, None)
    params = {
        name: tensor[None].clone().requires_grad_(name not in method.buffers(model))
        for name, tensor in start.items()
    }
    assert [name for name in params if params[name].requires_grad] == [W, B]
    for gradient in (1.0, 3.0):
        params[W].grad, params[B].grad = torch.full((1, 1, 2), gradient), torch.zeros(1, 1)
        method.adjust(params, received)
        assert (
            params[W].grad.tolist() == [[[gradient + 0.5, gradient - 2.0]]] and params[B].grad.item() == -1.0
        )
    sent = method.finish(
        model, {name: tensor[0].detach() for name, tensor in params.items()}, received, private, 2
    )
    assert sent.private[f"c_i/{W}"].tolist() == [[2.0, 2.0]] and sent.private[f"c_i/{B}"].item() == 0.0
    assert sent.aside[f"change/{W}"].tolist() == [[2.0, 0.0]] and sent.aside[f"change/{B}"].item() == -1.0
    assert sent.up.keys() == {W, B}


def test_scaffolds_first_round_is_fedavg_and_its_second_is_not(simulate: Run) -> None:
    for rounds in (1, 2):
        runs = [
            simulate(smallest(name, rounds=rounds, training__schedule="constant"))
            for name in ("scaffold", "fedavg")
        ]
        assert same(*runs) == (rounds == 1)


def test_the_mean_of_the_clients_variates_is_the_servers(simulate: Run) -> None:
    run = simulate(smallest("scaffold", rounds=3))
    privates = [fetch(run.privates[client], run.store.vault) for client in range(5)]
    names = [key.removeprefix("c/") for key in run.state.extra if key.startswith("c/")]
    assert len(names) > 20 and not any("running" in name for name in names)
    for name in names:
        mean = torch.stack([private[f"c_i/{name}"] for private in privates]).double().mean(0)
        torch.testing.assert_close(run.state.extra[f"c/{name}"].double(), mean, rtol=1e-4, atol=1e-6)


def test_under_plain_sgd_the_variates_are_option_two(tmp_path: Path) -> None:
    plain = {
        "training__momentum": 0.0,
        "training__weight_decay": 0.0,
        "training__lr": 0.05,
        "training__schedule": "constant",
    }
    worker = Worker(Federation.of(smallest("scaffold", **plain)))
    state = worker.initial().state
    rng = torch.Generator().manual_seed(0)
    server = {
        key: 0.1 * torch.randn(value.shape, generator=rng) if key.startswith("c/") else value
        for key, value in state.extra.items()
    }
    before = {
        key.replace("c/", "c_i/", 1): 0.1 * torch.randn(value.shape, generator=rng)
        for key, value in server.items()
        if key[:2] == "c/"
    }
    sent = worker.train(ServerState(0, state.shared, server), MicroCohort(0, (0,), (before,), str(tmp_path)))
    steps, images, after = (
        len(worker.batches.plan(0, 0, 1, "batches")),
        float(sent.examples[0]),
        fetch(sent.private[0], tmp_path),
    )
    assert steps > 1
    for key, old in before.items():
        name = key.removeprefix("c_i/")
        moved = (state.shared[name].double() - sent.sums[name] / images) / (steps * 0.05)
        torch.testing.assert_close(
            after[key].double(), old - server[f"c/{name}"] + moved, rtol=1e-3, atol=2e-5
        )
