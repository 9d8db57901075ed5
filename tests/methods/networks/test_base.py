"""Networks in a federation: private BatchNorm, different architectures, and a resume of every method."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import MicroCohort, nbytes
from raysim.engines.serial import Serial
from raysim.methods.networks import fedcac
from raysim.methods.networks.base import NetworkMethod
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from raysim.storage.vault import digest_of, fetch
from tests.experiments import four_clients, smallest

Run = Callable[..., Simulation]
TWO = {"method__network": "small_resnet+small_mobilenet", "method__projection": 32}


# Everybody's BatchNorm, or each client's own


def norm_names(run: Simulation) -> set[str]:
    """The row names of BatchNorm's tensors, from the network alone."""
    return set(Worker(run.federation).model.norm_names())


def test_own_norms_stay_with_their_client(simulate: Run) -> None:
    run = simulate(smallest("fedavg", rounds=2, method__batchnorm="local"))
    assert run.initial.personal
    names = norm_names(run)
    assert len(names) == 40 and set(fetch(run.privates[0], run.store.vault)) == names
    assert not names & set(run.state.shared)
    worker = Worker(run.federation)
    for client in (0, 1):
        private = fetch(run.privates[client], run.store.vault)
        start, _ = worker.method.receive(worker.model, run.state.shared, private, client, None)
        assert set(start) == names | set(run.state.shared)
        for name, tensor in start.items():
            assert torch.equal(tensor, private[name] if name in private else run.state.shared[name])
    private_norms, other = (fetch(run.privates[client], run.store.vault) for client in (0, 1))
    mean = min(name for name in names if "running_mean" in name)
    assert not torch.equal(private_norms[mean], other[mean])
    # nobody has a whole network but the clients
    assert run.last_measures["acc_shared_own"] is None and run.last_measures["acc_personal_own"] > 0
    assert simulate(smallest("fedavg", rounds=2)).initial.personal is False


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedema", "scaffold", "moon", "fedcac"])
def test_own_norms_are_in_no_message(name: str, simulate: Run, tmp_path: Path) -> None:
    """Neither tensors that are sent, in either direction, nor bytes nor what the server keeps."""
    local, everybodys = (
        Worker(Federation.of(smallest(name, method__batchnorm=kind))) for kind in ("local", "global")
    )
    names = local.model.norm_names()
    sent = []
    for worker in (local, everybodys):
        state = worker.initial().state
        sent.append(worker.train(state, MicroCohort(0, (0,), (None,), str(tmp_path))))
    state = local.initial().state
    in_messages = {*local.method.broadcast(state, 0), *sent[0].sums, *state.shared, *state.extra}
    in_messages |= {key for aside in sent[0].aside for key in aside}
    assert in_messages and not any(key.endswith(tuple(names)) for key in in_messages)
    kept = nbytes(local.training.first_private(0))
    assert kept > 0
    for direction in ("bytes_weights_up", "bytes_weights_down"):
        assert getattr(sent[1], direction) - getattr(sent[0], direction) == kept


@pytest.mark.parametrize("name", ["fedprox", "fedema", "scaffold", "moon", "fedcac"])
def test_own_norms_survive_every_merge(name: str, simulate: Run) -> None:
    """A client starts its next round with the norms of its last one, also after rounds without it."""
    run = simulate(smallest(name, rounds=3, participation=0.4, method__batchnorm="local"))
    worker, names = Worker(run.federation), norm_names(run)
    assert len(run.privates) > 2
    for client in run.privates:
        private, received = (
            fetch(run.privates[client], run.store.vault),
            worker.method.broadcast(run.state, client),
        )
        start, _ = worker.method.receive(worker.model, received, private, client, None)
        untrained = worker.training.first_private(client)
        for norm in names:
            assert torch.equal(start[norm], private[norm])
            assert not torch.equal(private[norm], untrained[norm])
        assert not any(f"c_i/{norm}" in start for norm in names)


@pytest.mark.parametrize("changes", [{"method": "ratio_loss"}, {"method": "safe"}], ids=str)
def test_a_server_that_runs_the_network_needs_its_norms(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="batchnorm = 'local' is not allowed: the server of"):
        smallest(changes["method"], method__batchnorm="local")
    assert smallest("safe", method__batchnorm="local", method__cro=False, method__fau=False).id


def test_own_norms_of_clip_and_of_one_place_are_no_exception() -> None:
    for name in ("local_network", "centralized_network"):
        method = smallest(name, method__batchnorm="local").method
        assert isinstance(method, NetworkMethod) and not method.keeps_norms
    tower = smallest("fedavg", method__batchnorm="local", method__network="image_tower").method
    assert isinstance(tower, NetworkMethod) and not tower.keeps_norms


def test_without_batchnorm_there_is_nothing_of_ones_own(simulate: Run) -> None:
    local, everybodys = (
        simulate(smallest("fedavg", rounds=1, method__norm="group", method__batchnorm=kind))
        for kind in ("local", "global")
    )
    assert (
        digest_of(local.state.shared) == digest_of(everybodys.state.shared)
        and not local.privates
        and not local.initial.buffers
    )


# Clients of different architectures


@pytest.mark.parametrize("projection", [None, 32])
def test_architectures_are_averaged_apart_and_the_head_together(
    projection: int | None, simulate: Run, tmp_path: Path
) -> None:
    run = simulate(smallest("fedavg", rounds=1, **{**TWO, "method__projection": projection}))
    worker, start = Worker(run.federation), run.initial.state
    sent = [worker.train(start, MicroCohort(0, (client,), (None,), str(tmp_path))) for client in range(5)]
    places = {name.split("/")[0] for name in start.shared}
    assert places == {"small_resnet", "small_mobilenet"} | ({"common"} if projection else set())
    assert {name for name in start.shared if name.startswith("common/")} == (
        {"common/head.weight", "common/head.bias"} if projection else set()
    )
    for name, tensor in run.state.shared.items():
        place = name.split("/")[0]
        holders = [
            one
            for client, one in enumerate(sent)
            if place in ("common", ("small_resnet", "small_mobilenet")[client % 2])
        ]
        assert all((name in one.sums) == (one in holders) for one in sent)
        expected = sum(one.sums[name] for one in holders) / sum(one.images for one in holders)
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-5, atol=1e-7)
    if projection:
        assert start.shared["common/head.weight"].shape == (4, projection)
    assert len(run.method.server_models(run.state)) == 2 and run.last_measures["acc_shared_global"] > 0


@pytest.mark.parametrize("name", ["fedprox", "fedema", "scaffold", "moon", "fedcac", "local_network"])
def test_every_method_runs_with_two_architectures(name: str, simulate: Run) -> None:
    run = simulate(smallest(name, rounds=2, **TWO))
    assert all(torch.isfinite(tensor).all() for tensor in run.state.shared.values())
    assert run.last_measures["acc_personal_own" if run.initial.personal else "acc_shared_own"] > 0
    if name == "fedcac":
        known = run.state.extra[fedcac.OVERLAP] >= 0
        alike = torch.arange(5)[:, None] % 2 == torch.arange(5) % 2
        assert torch.equal(known, alike & ~torch.eye(5, dtype=torch.bool))
    if name == "scaffold":
        privates = [fetch(run.privates[client], run.store.vault) for client in range(5)]
        head = torch.stack([private["c_i/common/head.weight"] for private in privates]).mean(0)
        torch.testing.assert_close(run.state.extra["c/common/head.weight"], head, rtol=1e-4, atol=1e-6)
        assert "c_i/small_mobilenet/projection.weight" not in privates[0]


# One answer


RESUMED: list[tuple[str, dict[str, Any]]] = [
    ("fedavg", {"method__batchnorm": "local", "server__optimiser": "adam", "server__lr": 0.1}),
    ("fedprox", {}),
    ("fedema", {}),
    ("fedema", {"method__batchnorm": "local"}),
    ("scaffold", {}),
    ("scaffold", TWO),
    ("moon", {}),
    ("moon", {"method__batchnorm": "local"}),
    ("fedcac", {}),
    ("fedcac", TWO),
    ("local_network", TWO),
]


@pytest.mark.parametrize(
    ("name", "changes"),
    RESUMED,
    ids=lambda value: value if isinstance(value, str) else "+".join(value) or "plain",
)
def test_resume_equals_uninterrupted(
    name: str, changes: dict[str, Any], simulate: Run, tmp_path: Path
) -> None:
    experiment = smallest(name, rounds=3, participation=0.6, evaluation__every=3, **changes)
    whole = simulate(experiment)
    broken = Simulation(experiment, Serial(), Store(tmp_path / "broken", experiment)).open()
    for record in broken.rounds():
        if record.round == 2:
            break
    resumed = simulate(experiment, folder=tmp_path / "broken", resume=True)
    assert resumed.result()["state_sha256"] == whole.result()["state_sha256"]
    assert digest_of(resumed.state.extra) == digest_of(whole.state.extra)
    for key in ("bytes_up", "bytes_down", "flops", "acc_personal_own", "acc_shared_global"):
        assert resumed.result()[key] == whole.result()[key]


def rounds(**columns: list[float]) -> list[dict[str, Any]]:
    length = len(next(iter(columns.values())))
    return [
        {"round": index, **{name: values[index] for name, values in columns.items()}}
        for index in range(length)
    ]


def test_clients_of_two_architectures_are_measured_by_their_own(simulate: Any) -> None:
    experiment = four_clients("fedavg", method__network="cnn+small_resnet", rounds=2, evaluation__every=2)
    simulation = simulate(experiment)
    assert simulation.initial.personal
    worker = Worker(Federation.of(experiment))
    cohorts = [MicroCohort(0, (client,), (None,)) for client in (0, 1)]
    flops = [worker.train(worker.initial().state, cohort) for cohort in cohorts]
    each = [update.flops / (experiment.training.epochs * update.images) for update in flops]
    assert each[1] > 2 * each[0]  # a ResNet's step is not a CNN's
    with pytest.raises(UserError, match="one network in one place cannot be of 2 architectures"):
        four_clients("centralized_network", method__network="cnn+small_resnet")
    with pytest.raises(UserError, match="1 clients cannot be of 2 architectures"):
        four_clients("fedavg", method__network="cnn+small_resnet", scenario__clients=1)
