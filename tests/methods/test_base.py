"""The methods: exact numbers on two clients, references that run, and a contract that every method keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import ot as pot
import pytest
import torch

from raysim.core.types import POOLED, Batch, MicroCohort, ServerState, Tensors, Update, nbytes
from raysim.engines.serial import Serial
from raysim.experiment import Experiment
from raysim.experiment.records import identity
from raysim.methods import METHODS
from raysim.methods.base import cross_entropy, weighted_sum
from raysim.methods.prompts.base import PRIVATE, SHARED, normalise
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.cohorts import micro_cohorts
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store, state_sha256
from raysim.storage.vault import digest_of, fetch
from tests.experiments import small, smallest

TRAINING = [name for name, cls in METHODS.items() if cls.trains]


def update(examples: int, value: list[float]) -> Update:
    shared = {"p": torch.tensor(value)[None]}
    sums = weighted_sum(shared, np.array([examples]))
    return Update(0, (0,), np.array([examples]), sums, ({},), (), ({},), {}, 0, 0, 0, 0, 0.0)


def test_two_clients_average_by_their_images() -> None:
    state = METHODS["promptfl"]().aggregate(
        ServerState(0, {"p": torch.zeros(2)}), [update(1, [0.0, 4.0]), update(3, [4.0, 0.0])]
    )
    assert state.round == 1
    assert state.shared["p"].tolist() == [3.0, 1.0]


def test_cross_entropy_counts_real_images_only() -> None:
    logits = torch.zeros(1, 3, 4)
    logits[0, 2, 0] = 100.0
    batch = Batch(torch.zeros(1, 3, 1), torch.tensor([[0, 1, 3]]), torch.tensor([[1.0, 1.0, 0.0]]))
    assert cross_entropy(logits, batch).item() == pytest.approx(np.log(4.0))


@pytest.fixture(scope="module")
def worker() -> Worker:
    return Worker(Federation.of(small()))


@pytest.fixture(scope="module")
def batch(worker: Worker) -> Batch:
    return worker._batch([worker._plan(client, 0, 1, "batches")[0] for client in range(2)])


def parameters(method: FedRSCLIP, worker: Worker, clients: int = 2) -> Tensors:
    rng = torch.Generator().manual_seed(3)
    width = worker.model.tower.width
    shared = torch.randn(1, method.h, width, generator=rng).expand(clients, -1, -1) * 0.1
    private = {PRIVATE: torch.randn(clients, method.h_p, width, generator=rng) * 0.1} if method.h_p else {}
    return {SHARED: shared.clone(), **private}


def texts(method: FedRSCLIP, worker: Worker, params: Tensors) -> dict[str, np.ndarray]:
    model = worker.model
    made = {
        "s": model.text(params[SHARED]),
        "p": model.text(params[PRIVATE]),
        "sp": model.text(torch.cat([params[SHARED], params[PRIVATE]], 1)),
    }
    return {name: text.double().numpy() for name, text in made.items()}


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


@pytest.mark.parametrize("form", ["softmax", "cosine", "token"])
def test_alignment_is_its_formula(form: str, worker: Worker, batch: Batch) -> None:
    method = FedRSCLIP(dpa_form=form, s=20.0, w_dpa=0.7, w_ot=0)
    params = parameters(method, worker)
    text = texts(method, worker, params)
    if form == "softmax":
        sim = np.einsum("kcd,ked->kce", text["p"], text["s"])
        expected = -np.stack([np.diag(log_softmax(20.0 * sim[k])).mean() for k in range(2)])
    elif form == "cosine":
        expected = 20.0 * (1 - (text["p"] * text["s"]).sum(-1)).mean(-1)
    else:
        p, s = params[PRIVATE].flatten(1).numpy(), params[SHARED].flatten(1).numpy()
        expected = 20.0 * (1 - (p * s).sum(1) / np.linalg.norm(p, axis=1) / np.linalg.norm(s, axis=1))
    loss, metrics = method.loss(worker.model, params, {}, batch)
    np.testing.assert_allclose(metrics["loss_dpa"].numpy(), expected, rtol=2e-5)
    np.testing.assert_allclose(
        loss.numpy(), (metrics["loss_ce"] + 0.7 * metrics["loss_dpa"]).numpy(), rtol=1e-6
    )


@pytest.mark.parametrize("marginal", ["label_hist", "uniform"])
def test_transport_is_pots(marginal: str, worker: Worker, batch: Batch) -> None:
    method = FedRSCLIP(ot_b=marginal, lam=0.02, w_dpa=0, ot_tolerance=5e-5, ot_iterations=20_000)
    params = parameters(method, worker)
    text = texts(method, worker, params)["sp"]
    _, metrics = method.loss(worker.model, params, {}, batch)
    for k in range(2):
        real = batch.weight[k] > 0
        x, y = batch.x[k][real].double().numpy(), batch.y[k][real].numpy()
        classes = np.unique(y) if marginal == "label_hist" else np.arange(text.shape[1])
        b = (
            np.array([(y == c).mean() for c in classes])
            if marginal == "label_hist"
            else np.full(len(classes), 1 / len(classes))
        )
        cost = 1 - x @ text[k][classes].T
        plan = pot.sinkhorn(
            np.full(len(y), 1 / len(y)),
            b,
            cost,
            0.02,
            method="sinkhorn_log",
            numItermax=20_000,
            stopThr=1e-12,
        )
        assert metrics["loss_ot"][k].item() == pytest.approx(float((plan * cost).sum()), rel=1e-4)
        assert metrics["ot_marginal_error"][k] <= method.ot_tolerance


def test_the_plan_is_detached(worker: Worker, batch: Batch) -> None:
    """d<Pi, C>/dX with Pi held is -(Pi T): the gradient of the features is linear in the plan."""
    method = FedRSCLIP(w_dpa=0, w_ot=1.0)
    text = normalise(
        torch.randn(
            2,
            len(worker.images.class_names),
            worker.model.tower.embed_dim,
            generator=torch.Generator().manual_seed(0),
        )
    )
    x = batch.x.clone().requires_grad_()
    loss, _ = method._transport(Batch(x, batch.y, batch.weight), {"fused": text})
    loss.sum().backward()
    cost = 1 - torch.bmm(batch.x, text.transpose(1, 2))
    a = batch.weight / batch.weight.sum(1, keepdim=True)
    plan, _, _ = method._plan(cost, a.log(), method._class_marginal(batch, text.shape[1]))
    torch.testing.assert_close(x.grad, -torch.bmm(plan, text))


def test_patches_couple_with_the_two_prompts_of_their_class(worker: Worker) -> None:
    patchy = Worker(Federation.of(small(method__ot_level="patch", method__w_dpa=0, method__lam=0.1)))
    images = patchy._batch([patchy._plan(0, 0, 1, "batches")[0][:3]])
    params = parameters(FedRSCLIP(), worker, clients=1)
    text = texts(FedRSCLIP(), worker, params)
    _, metrics = patchy.method.loss(patchy.model, params, {}, images)
    expected = []
    for row, label in zip(images.x[0].double().numpy(), images.y[0].tolist(), strict=True):
        cost = 1 - row[1:] @ np.stack([text["s"][0, label], text["p"][0, label]]).T
        a, b = np.full(len(cost), 1 / len(cost)), np.full(2, 0.5)
        expected.append(
            float((pot.sinkhorn(a, b, cost, 0.1, method="sinkhorn_log", stopThr=1e-12) * cost).sum())
        )
    assert metrics["loss_ot"].item() == pytest.approx(np.mean(expected), rel=1e-3)


def test_a_mixture_and_a_pair_reach_their_limits(worker: Worker, batch: Batch) -> None:
    params = parameters(FedRSCLIP(), worker)
    text = texts(FedRSCLIP(), worker, params)
    only_shared = FedRSCLIP(fusion="mix", theta=0.0).predict(worker.model, params, batch.x[0], "personal")
    np.testing.assert_allclose(
        only_shared.numpy(),
        worker.model.logit_scale * batch.x[0].numpy() @ text["s"].transpose(0, 2, 1),
        rtol=1e-4,
        atol=1e-4,
    )
    x = torch.cat([batch.x[0][:, None]] * 3, dim=1)  # equal patches: any plan has the same value
    pair = FedRSCLIP(fusion="pair").predict(worker.model, params, x, "personal")
    mean = (text["s"] + text["p"]) / 2
    np.testing.assert_allclose(
        pair.numpy(),
        worker.model.logit_scale * batch.x[0].numpy() @ mean.transpose(0, 2, 1),
        rtol=2e-3,
        atol=2e-3,
    )


def test_without_private_tokens_and_terms_fedrsclip_is_promptfl(tmp_path: Path, simulate: Any) -> None:
    bare = simulate(small(method__h_p=0, method__w_ot=0.0))
    promptfl = simulate(small(method="promptfl"))
    assert torch.equal(bare.state.shared[SHARED], promptfl.state.shared[SHARED])


def test_promptfl_prox_with_mu_zero_is_promptfl(simulate: Any) -> None:
    prox, plain = simulate(small(method="promptfl_prox", method__mu=0.0)), simulate(small(method="promptfl"))
    assert torch.equal(prox.state.shared[SHARED], plain.state.shared[SHARED])
    strong = simulate(small(method="promptfl_prox", method__mu=5.0))
    first = plain.first.state.shared[SHARED]
    assert (strong.state.shared[SHARED] - first).norm() < (plain.state.shared[SHARED] - first).norm()


def test_one_client_with_everything_learns_what_centralized_learns(simulate: Any) -> None:
    """METHODS: the centralized sanity check. One client holds all data; only the batches' order differs in name."""
    one = simulate(small(method="promptfl", scenario="even", scenario__clients=1))
    pooled = simulate(small(method="centralized", scenario="even", scenario__clients=1))
    assert one.totals["flops"] == pooled.totals["flops"]
    assert one.last["acc_personal_global"] == pytest.approx(pooled.last["acc_personal_global"], abs=0.03)


def test_2048_parameters_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, miniature: Path) -> None:
    """ViT-B-32 has text width 512: 4 tokens are 2,048 numbers, 8,192 bytes in fp32, measured on the payload of a round."""
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "cache"))
    changes = {
        "task__dataset": "folder",
        "task__path": str(miniature),
        "task__backbone": "ViT-B-32/random",
        "task__shots": None,
        "scenario": "even",
        "scenario__clients": 2,
    }
    experiment = small(**changes, rounds=1, method__w_dpa=0)
    simulation = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment))
    [_, record] = list(simulation.rounds())
    assert sum(tensor.numel() for tensor in simulation.state.shared.values()) == 2048
    assert record.row["bytes_up"] == record.row["bytes_down"] == 2 * 8192


# The contract: every method in the registry keeps it.


@pytest.mark.parametrize("name", list(METHODS))
def test_contract_private_tensors_never_enter_what_is_sent(name: str, tmp_path: Path) -> None:
    experiment = smallest(name)
    if "shared_init" in METHODS[name].model_fields:
        experiment = smallest(name, method__shared_init="random")
    worker = Worker(Federation.of(experiment))
    method, state = worker.method, worker.initial().state
    private = worker._first_private(0)
    assert not set(state.shared) & set(private)
    if not method.trains:
        return
    sent = worker.train(
        state, MicroCohort(0, (0, 1)[: 2 if method.stackable else 1], (None, None), str(tmp_path))
    )
    assert set(sent.sums) == set(state.shared)
    kept = [set(fetch(row, tmp_path)) for row in sent.private]
    if method.stackable:
        assert all(names == set(private) for names in kept)
    assert not any(names & set(state.shared) for names in kept)
    count = 0 if method.pooled else len(sent.clients)
    assert sent.bytes_weights_up == sent.bytes_weights_down == count * nbytes(state.shared)
    assert sent.bytes_up == sent.bytes_weights_up + (
        0 if method.pooled else sum(nbytes(aside) for aside in sent.aside)
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
    "name", [name for name in TRAINING if METHODS[name].stackable and not METHODS[name].pooled]
)
def test_contract_stacked_clients_train_as_they_would_alone(name: str, tmp_path: Path) -> None:
    """K = 1 against K = 5, clients of different size: equal to rounding."""
    experiment = small(method=name)
    federation = Federation.of(experiment)
    [cohort] = [
        group
        for group in micro_cohorts(Federation.of(small(method=name, training__micro_cohort=8)), range(5), {})
    ]
    together = one_round(experiment, cohort.clients, tmp_path)
    assert len({len(federation.shard(client)) for client in cohort.clients}) > 1
    alone = [one_round(experiment, (client,), tmp_path) for client in cohort.clients]
    for key in together.sums:
        torch.testing.assert_close(
            together.sums[key], sum(update.sums[key] for update in alone), rtol=1e-4, atol=1e-5
        )
    for ours, theirs in zip(together.private, alone, strict=True):
        for key in ours:
            torch.testing.assert_close(ours[key], theirs.private[0][key], rtol=1e-4, atol=1e-6)
    assert together.flops == pytest.approx(sum(update.flops for update in alone), rel=0.2)


@pytest.mark.parametrize("name", TRAINING)
def test_contract_training_lowers_the_loss_of_a_fixed_batch(name: str) -> None:
    experiment = smallest(name, training__epochs=4, training__lr=0.02)
    worker = Worker(Federation.of(experiment))
    client = POOLED if worker.method.pooled else 0
    state, cohort = worker.initial().state, MicroCohort(0, (client,), (None,))
    plan = worker._plan(client, 0, 1, "probe")[:1]
    rows, received, _, _ = worker._received(state, cohort)

    def loss(row: Tensors) -> float:
        params = {
            key: tensor[None].clone() for key, tensor in row.items()
        }  # BatchNorm writes into what it is given
        with torch.no_grad():
            batch = worker._batch(plan, (torch.Generator().manual_seed(0),))
            return float(worker.method.loss(worker.model, params, received, batch)[0])

    assert loss(worker._fit(state, cohort, 0, 4, "batches").rows[0]) < loss(rows[0])


def test_the_digest_sees_shared_and_private_state() -> None:
    state = ServerState(1, {"p": torch.ones(2)})
    privates = {0: {"q": torch.zeros(1)}, 1: {"q": torch.ones(1)}}
    first = state_sha256(state, privates)
    assert first == state_sha256(state, dict(reversed(privates.items())))
    assert first != state_sha256(ServerState(1, {"p": torch.zeros(2)}), privates)
    assert first != state_sha256(state, {0: privates[1], 1: privates[0]})
    assert identity(small()) == identity(small(resources__workers=3))
