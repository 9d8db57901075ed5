"""The contract that every method in the registry keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from raysim.core.types import POOLED, MicroCohort, ServerState, Tensors, Update, nbytes
from raysim.experiment import Experiment
from raysim.experiment.records import identity
from raysim.methods import METHODS
from raysim.methods.networks import passes
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import state_sha256
from raysim.storage.vault import digest_of, fetch
from tests.experiments import one_stack, small, smallest

TRAINING = [name for name, cls in METHODS.items() if cls().traits.trains]


@pytest.mark.parametrize("name", list(METHODS))
def test_contract_private_tensors_never_enter_what_is_sent(name: str, tmp_path: Path) -> None:
    experiment = smallest(name)
    if "shared_init" in METHODS[name].model_fields:
        experiment = smallest(name, method__shared_init="random")
    worker = Worker(Federation.of(experiment))
    method, state = worker.method, worker.initial().state
    private = worker.training.first_private(0)
    assert not set(state.shared) & set(private)
    if not method.traits.trains:
        return
    sent = worker.train(
        state, MicroCohort(0, (0, 1)[: 2 if method.traits.stackable else 1], (None, None), str(tmp_path))
    )
    assert set(sent.sums) == set(state.shared)
    kept = [set(fetch(row, tmp_path)) for row in sent.private]
    if (
        method.traits.inputs != "pixels"
    ):  # networks keep copies, variates and the like from the first round on
        assert all(names == set(private) for names in kept)
    assert not any(names & set(state.shared) for names in kept)
    count = 0 if method.traits.pooled else len(sent.clients)
    assert sent.bytes_weights_up == sent.bytes_weights_down == count * nbytes(state.shared)
    assert sent.bytes_up == sent.bytes_weights_up + (
        0 if method.traits.pooled else sum(nbytes(aside) for aside in sent.aside)
    )
    assert sent.bytes_down == count * nbytes(method.broadcast(state, 0))


def one_round(
    experiment: Experiment, cohort: tuple[int, ...], vault: Path, worker: Worker | None = None
) -> Update:
    worker = worker or Worker(Federation.of(experiment))
    return worker.train(worker.initial().state, MicroCohort(0, cohort, (None,) * len(cohort), str(vault)))


@pytest.mark.parametrize("name", TRAINING)
def test_contract_a_used_worker_equals_a_fresh_one(name: str, tmp_path: Path) -> None:
    experiment = smallest(name)
    used = Worker(Federation.of(experiment))
    one_round(experiment, (3,), tmp_path, used)
    again, fresh = one_round(experiment, (0,), tmp_path, used), one_round(experiment, (0,), tmp_path)
    assert again.sums.keys() == fresh.sums.keys() and (fresh.sums or fresh.private[0])
    for ours, theirs in zip(
        [again.sums, *again.aside, *again.private], [fresh.sums, *fresh.aside, *fresh.private], strict=True
    ):
        assert digest_of(ours) == digest_of(theirs)


@pytest.mark.parametrize(
    "name",
    [name for name in TRAINING if METHODS[name]().traits.stackable and not METHODS[name]().traits.pooled],
)
def test_contract_stacked_clients_train_as_they_would_alone(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """K = 1 against K = 5, clients of different size: equal to rounding, of networks in double precision.

    In single precision, rounding moves a pre-activation of a network over the kink of its ReLU now and then.
    """
    experiment = small(method=name)
    worker = Worker(Federation.of(experiment))
    state, precise = worker.initial().state, METHODS[name]().traits.inputs == "pixels"
    cohort = one_stack(worker.federation)
    assert len({len(worker.federation.shard(client)) for client in cohort.clients}) > 1
    first = {client: worker.training.first_private(client) for client in cohort.clients}
    if precise:
        one_round(experiment, (0,), tmp_path, worker)  # counts the FLOPs of a step, in single precision
        state = ServerState(0, in_double(state.shared), in_double(state.extra))
        first = {client: in_double(private) for client, private in first.items()}
        for function in ("standardise", "standardise_planes"):
            plain = getattr(passes, function)
            monkeypatch.setattr(passes, function, lambda *args, plain=plain: plain(*args).double())
    together, *alone = (
        worker.train(
            state, MicroCohort(0, clients, tuple(first[client] for client in clients), str(tmp_path))
        )
        for clients in (cohort.clients, *((client,) for client in cohort.clients))
    )
    exact = {"rtol": 1e-9, "atol": 1e-10} if precise else {"rtol": 1e-4, "atol": 1e-5}
    for key in together.sums:
        torch.testing.assert_close(
            together.sums[key], sum(update.sums[key] for update in alone), **exact, check_dtype=False
        )
    for kept, theirs in zip(together.private, alone, strict=True):
        ours, expected = fetch(kept, tmp_path), fetch(theirs.private[0], tmp_path)
        for key in ours:
            torch.testing.assert_close(ours[key], expected[key], **{**exact, "atol": exact["atol"] / 10})
    assert together.flops == pytest.approx(sum(update.flops for update in alone), rel=0.2)


def in_double(tensors: Tensors) -> Tensors:
    return {
        name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("name", TRAINING)
def test_contract_training_lowers_the_loss_of_a_fixed_batch(name: str) -> None:
    experiment = smallest(name, training__epochs=4, training__lr=0.02)
    worker = Worker(Federation.of(experiment))
    client = POOLED if worker.method.traits.pooled else 0
    state, cohort = worker.initial().state, MicroCohort(0, (client,), (None,))
    plan = worker.batches.plan(client, 0, 1, "probe")[:1]
    start = worker.training.start(state, cohort)

    def loss(row: Tensors) -> float:
        params = {
            key: tensor[None].clone() for key, tensor in row.items()
        }  # BatchNorm writes into what it is given
        with torch.no_grad():
            batch = worker.batches.stack(plan, (torch.Generator().manual_seed(0),))
            return float(worker.method.loss(worker.model, params, start.received, batch)[0])

    assert loss(worker.training.fit(state, cohort, 4, "batches").rows[0]) < loss(start.rows[0])


def test_the_digest_sees_all_that_decides_the_next_round_and_every_prediction() -> None:
    state = ServerState(1, {"p": torch.ones(2)}, {"c": torch.ones(1)})
    privates = {0: {"q": torch.zeros(1)}, 1: {"q": torch.ones(1)}}
    first = state_sha256(state, privates)
    assert first == state_sha256(state, dict(reversed(privates.items())))
    assert first != state_sha256(ServerState(1, {"p": torch.zeros(2)}, state.extra), privates)
    assert first != state_sha256(ServerState(1, state.shared, {"c": torch.zeros(1)}), privates)
    assert first != state_sha256(ServerState(1, state.shared, {"d": torch.ones(1)}), privates)
    assert first != state_sha256(ServerState(1, {**state.shared, **state.extra}), privates)
    assert first != state_sha256(ServerState(2, state.shared, state.extra), privates)
    assert first != state_sha256(state, {0: privates[1], 1: privates[0]})
    assert identity(small()) == identity(small(resources__workers=3))


EXTRAS = [
    ("safe", {}),
    ("scaffold", {}),
    ("fedcac", {}),
    ("ratio_loss", {}),
    ("fedavg", {"server__optimiser": "adam"}),
    ("promptfl", {"faults__deadline": 0.01, "faults__stale": "keep", "faults__step_seconds": 0.01}),
]


@pytest.mark.parametrize(("name", "changes"), EXTRAS, ids=str)
def test_every_tensor_that_the_server_keeps_is_in_the_digest(
    name: str, changes: dict[str, Any], simulate: Callable[..., Simulation]
) -> None:
    """Contexts, class ratios, variates, masks, moments, and updates that are under way."""
    run = simulate(smallest(name, rounds=2, evaluation__every=2, **changes))
    digest = run.result()["state_sha256"]
    kept = {**run.state.extra, **run.late}
    assert kept
    for key in kept:
        place = run.state.extra if key in run.state.extra else run.late
        before = place[key]
        place[key] = before + 1
        assert run.result()["state_sha256"] != digest, key
        place[key] = before
    assert run.result()["state_sha256"] == digest
