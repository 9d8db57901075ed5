"""Methods that train networks: each merge and each aggregation by hand, their limits, architectures side by side, a resume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from raysim.core.types import Batch, MicroCohort, ServerState, Tensors, Update
from raysim.methods.base import weighted_sum
from raysim.methods.networks import fedcac, scaffold
from raysim.methods.networks.base import Model
from raysim.methods.networks.fedavg import FedAvg
from raysim.methods.networks.fedcac import FedCAC
from raysim.methods.networks.fedema import LAST, ROUND, SCALE, FedEMA
from raysim.methods.networks.moon import contrast
from raysim.methods.networks.personal import kept, merge, own
from raysim.methods.networks.scaffold import Scaffold
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.vault import digest_of, fetch
from tests.experiments import smallest

Run = Callable[..., Simulation]
W, B = "small_resnet/weight", "small_resnet/bias"


def toy() -> Model:
    """A "network" of two weights and a bias, for numbers on paper."""
    return Model(None, {"small_resnet": nn.Linear(2, 1)}, False, (0.0,) * 3, (1.0,) * 3)  # type: ignore[arg-type]


def row(w0: float, w1: float, b: float = 0.0) -> Tensors:
    return {W: torch.tensor([[w0, w1]]), B: torch.tensor([b])}


def update(client: int, up: Tensors, examples: int = 1, aside: Tensors | None = None) -> Update:
    sums = weighted_sum({name: tensor[None] for name, tensor in up.items()}, np.array([examples]))
    return Update(
        client, (client,), np.array([examples]), sums, (aside or {},), (up,), ({},), {}, 0, 0, 0, 0, 0.0
    )


def same(one: Simulation, other: Simulation) -> bool:
    return digest_of(one.state.shared) == digest_of(other.state.shared)


# A client's own network


def test_a_kept_network_comes_back_and_merges_exactly() -> None:
    mine, received = row(1.0, -3.0, 0.1), row(2.0, 5.0, 0.7) | {"small_resnet/new": torch.ones(1)}
    private = kept(mine) | {"other": torch.zeros(1)}
    assert set(private) == {f"own/{W}", f"own/{B}", "other"}
    assert own({"other": torch.zeros(1)}) is None and kept(private).keys() == {"own/other"}
    back = own(private)
    assert back is not None and back.keys() == mine.keys()
    assert digest_of(merge(back, received, 0.0, set())) == digest_of(received)
    assert digest_of(merge(back, received, 1.0, {B})) == digest_of({**received, W: mine[W]})
    mixed = merge(back, received, 0.25, {B})
    assert (
        mixed[W].tolist() == [[1.75, 3.0]]
        and mixed[B] is received[B]
        and mixed["small_resnet/new"].item() == 1
    )


# FedProx


def trained(worker: Worker, method: str = "") -> tuple[Tensors, Tensors, Batch]:
    """A client's stacked row a little away from what it received, what it received, and a batch."""
    state = worker.initial().state
    rows, received, _, _ = worker._received(state, MicroCohort(0, (0,), (None,)))
    params = {name: tensor[None].clone() + 0.01 for name, tensor in rows[0].items()}
    return (
        params,
        received,
        worker._batch(worker._plan(0, 0, 1, "batches")[:1], (torch.Generator().manual_seed(0),)),
    )


@pytest.mark.parametrize("norms", ["global", "local"])
def test_the_proximal_term_counts_trained_and_shared_weights(norms: str) -> None:
    worker = Worker(Federation.of(smallest("fedprox", method__mu=3.0, method__batchnorm=norms)))
    params, received, batch = trained(worker)
    loss, metrics = worker.method.loss(worker.model, params, received, batch)
    counted = [
        name
        for name in received
        if "running" not in name
        and not (norms == "local" and any(part in name for part in ("bn1", "bn2", "0.1.", "downsample.1")))
    ]
    expected = 1.5 * sum(
        float((params[name][0].double() - received[name].double()).square().sum()) for name in counted
    )
    assert metrics["loss_prox"].item() == pytest.approx(expected, rel=1e-5) and expected > 0.5
    torch.testing.assert_close(loss.detach(), metrics["loss_ce"] + metrics["loss_prox"])


def test_fedprox_with_mu_zero_is_fedavg_and_a_large_one_holds_clients_back(simulate: Run) -> None:
    work = {"rounds": 2, "training__epochs": 4, "training__momentum": 0.0}
    plain = simulate(smallest("fedavg", **work))
    assert same(simulate(smallest("fedprox", **work, method__mu=0.0)), plain)
    strong = simulate(smallest("fedprox", **work, method__mu=10.0))
    start, weights = plain.first.state.shared, plain.state.shared.keys() - plain.first.buffers
    moved = [
        sum(float((run.state.shared[name] - start[name]).square().sum()) for name in weights)
        for run in (plain, strong)
    ]
    assert moved[1] < 0.5 * moved[0]


# FedEMA


def ema(method: FedEMA, server: Tensors, private: Tensors, round_: int) -> tuple[Tensors, float, Tensors]:
    """The mixed row and mu of a client, and what it keeps after a round that trains nothing."""
    received = method.broadcast(ServerState(round_, server), 0)
    mixed, measured = method.receive(toy(), received, private, 0, None)
    sent = method.finish(toy(), mixed, received, private, 1, 0.1)
    assert sent.up.keys() == server.keys() and not sent.aside
    return mixed, measured["mu"], sent.private


def test_fedema_on_paper() -> None:
    """Own (3, 0) and server's (0, 4) are 5 apart: lambda = 0.7 / 5 from then on."""
    method = FedEMA()
    first, mu, private = ema(method, row(3.0, 0.0), {}, 0)
    assert (
        mu == 0
        and digest_of(first) == digest_of(row(3.0, 0.0))
        and SCALE not in private
        and int(private[LAST]) == 0
    )
    mixed, mu, private = ema(method, row(0.0, 4.0), private, 1)
    assert mu == pytest.approx(0.7) and private[SCALE].item() == pytest.approx(0.7 / 5)
    torch.testing.assert_close(mixed[W], torch.tensor([[2.1, 1.2]]))
    torch.testing.assert_close(own(private)[W], mixed[W])  # type: ignore[index]
    half = dict(private) | kept(row(0.0, 4.0))
    assert ema(method, row(2.5, 4.0), half, 2)[1] == pytest.approx(0.35)
    near, mu, after = ema(method, row(0.0, 14.0), half, 2)
    assert mu == 1.0 and digest_of(near) == digest_of(row(0.0, 4.0)) and after[SCALE] == private[SCALE]
    away, mu, after = ema(method, row(0.0, 14.0), half, 3)  # it did not take part in round 2
    assert (
        mu == 0
        and digest_of(away) == digest_of(row(0.0, 14.0))
        and after[SCALE] == private[SCALE]
        and int(after[LAST]) == 3
    )


def test_fedemas_limits() -> None:
    private = kept(row(3.0, 0.0)) | {LAST: torch.tensor(0)}
    assert ema(FedEMA(tau=0), row(0.0, 4.0), private, 1)[1] == 0
    assert digest_of(ema(FedEMA(tau=1), row(0.0, 4.0), private, 1)[0]) == digest_of(row(3.0, 0.0))
    assert ema(FedEMA(lam=0.1), row(0.0, 4.0), private, 1)[1] == pytest.approx(0.5)
    assert ema(FedEMA(lam=1), row(0.0, 4.0), private, 1)[1] == 1
    _, mu, kept_then = ema(
        FedEMA(), row(3.0, 0.0), private, 1
    )  # nothing between them: nothing to scale by yet
    assert mu == 0 and SCALE not in kept_then
    assert FedEMA().broadcast(ServerState(7, row(0.0, 0.0)), 0)[ROUND].item() == 7


def test_fedema_takes_the_servers_statistics_and_without_tau_is_fedavg(simulate: Run, tmp_path: Path) -> None:
    assert same(
        simulate(smallest("fedema", rounds=2, method__tau=0.0)), simulate(smallest("fedavg", rounds=2))
    )
    run = simulate(smallest("fedema", rounds=2), folder=tmp_path / "run")
    worker = Worker(run.federation)
    private = fetch(run.privates[0], run.store.vault)
    mixed, measured = worker.method.receive(
        worker.model, worker.method.broadcast(run.state, 0), private, 0, None
    )
    mine = own(private)
    assert mine is not None and 0 < measured["mu"] <= 1
    for name, tensor in mixed.items():
        if "running" in name:
            assert torch.equal(tensor, run.state.shared[name]) and not torch.equal(tensor, mine[name])
        else:
            torch.testing.assert_close(
                tensor, measured["mu"] * mine[name] + (1 - measured["mu"]) * run.state.shared[name]
            )


# SCAFFOLD


def test_variates_move_by_the_changes_over_all_clients() -> None:
    """Two of four clients take part; networks are averaged by images, changes of variates are not."""
    extra = {f"c/{W}": torch.tensor([[1.0, 0.0]]), f"c/{B}": torch.zeros(1), "clients": torch.tensor(4)}
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


def test_variates_of_one_architecture_are_shared_among_its_clients() -> None:
    method = Scaffold(network="small_resnet+small_mobilenet", projection=8)
    names = (W, "small_mobilenet/weight", "common/head.weight")
    extra = {f"c/{name}": torch.zeros(1) for name in names} | {"clients": torch.tensor(5)}
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
        model, {name: tensor[0].detach() for name, tensor in params.items()}, received, private, 2, 0.1
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
        len(worker._plan(0, 0, 1, "batches")),
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


# MOON


def test_the_contrast_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    z, near, away = rng.normal(size=(3, 6, 10))

    def similarity(other: np.ndarray) -> np.ndarray:
        return np.exp((z * other).sum(1) / np.linalg.norm(z, axis=1) / np.linalg.norm(other, axis=1) / 0.3)

    expected = -np.log(similarity(near) / (similarity(near) + similarity(away))).mean()
    found = contrast(*(torch.from_numpy(part) for part in (z, near, away)), 0.3)
    assert found.item() == pytest.approx(expected, rel=1e-12)
    assert contrast(*(torch.from_numpy(part) for part in (z, near, near)), 0.3).item() == pytest.approx(
        np.log(2)
    )


def test_moons_loss_looks_at_three_networks() -> None:
    worker = Worker(Federation.of(smallest("moon", method__mu=0.6, method__temperature=0.4)))
    params, received, batch = trained(worker)
    previous = {name: tensor + 0.05 for name, tensor in received.items()}
    params |= {name: tensor[None] for name, tensor in kept(previous).items()}
    copies = [{name: tensor.clone() for name, tensor in part.items()} for part in (params, received)]
    loss, metrics = worker.method.loss(worker.model, params, received, batch)
    for now, then in zip((params, received), copies, strict=True):
        for name, tensor in now.items():  # only the client's own statistics follow its batches
            follows = now is params and "running" in name and not name.startswith("own/")
            assert torch.equal(tensor, then[name]) != follows
    method, model, params = FedAvg(width=8), worker.model, copies[0]
    with torch.no_grad():
        z = method.forward(model, {name: params[name][0] for name in received}, batch.x[0], batch.rngs[0])
        near, away = (method.forward(model, network, batch.x[0]).features for network in (received, previous))
    expected = contrast(z.features, near, away, 0.4)
    assert metrics["loss_contrast"].item() == pytest.approx(expected.item(), rel=1e-5)
    ce = nn.functional.cross_entropy(z.logits, batch.y[0])
    assert loss.item() == pytest.approx(float(ce + 0.6 * expected), rel=1e-5)


def test_moon_is_fedavg_without_its_term_and_in_the_first_round(simulate: Run) -> None:
    plain = {
        rounds: simulate(smallest("fedavg", rounds=rounds, training__schedule="constant"))
        for rounds in (1, 2)
    }
    first = simulate(smallest("moon", rounds=1, training__schedule="constant"))
    assert same(first, plain[1])
    for client, private in first.privates.items():
        mine = own(fetch(private, first.store.vault))
        assert mine is not None and mine.keys() == first.state.shared.keys() and client in range(5)
    assert same(simulate(smallest("moon", rounds=2, training__schedule="constant", method__mu=0.0)), plain[2])
    assert not same(simulate(smallest("moon", rounds=2, training__schedule="constant")), plain[2])


# FedCAC


def test_critical_weights_by_hand() -> None:
    """|Dw * w|: 2, 0, 3, 0.5, 8."""
    before, after = (
        torch.tensor([1.0, 5.0, 0.0, 1.0, -2.0]),
        torch.tensor([2.0, 5.0, -(3.0**0.5), 0.5**0.5 + 1, 2.0]),
    )
    after[3] = 1.0 + 0.36602540378  # 0.366 * 1.366 = 0.5
    for tau, expected in (
        (0.0, []),
        (0.2, [4]),
        (0.4, [2, 4]),
        (0.5, [2, 4]),
        (0.8, [0, 2, 3, 4]),
        (1.0, [0, 2, 3, 4]),
    ):
        assert torch.nonzero(fedcac.critical(after, before, tau)).flatten().tolist() == expected
    assert not fedcac.critical(before, before, 1.0).any()
    mask = fedcac.critical(after, before, 0.4).view(1, 5)
    bits = fedcac.packed(mask)
    assert bits.dtype == torch.uint8 and bits.tolist() == [0b00101000]
    assert torch.equal(fedcac.unpacked(bits, mask.shape), mask)


def test_overlap_and_collaborators_by_hand() -> None:
    masks = [
        {"p": fedcac.packed(torch.tensor(bits, dtype=torch.bool))}
        for bits in ([1, 1, 0, 0], [1, 0, 1, 0], [1, 1, 1, 0], [0] * 4)
    ]
    assert fedcac.overlap(masks[0], masks[1]) == 0.5 and fedcac.overlap(masks[0], masks[2]) == pytest.approx(
        0.8
    )
    assert fedcac.overlap(masks[0], masks[3]) == fedcac.overlap(masks[3], masks[3]) == 0
    known = torch.tensor(
        [[-1, 0.5, 0.9, -1], [0.5, -1, 0.7, -1], [0.9, 0.7, -1, -1], [-1, -1, -1, -1]], dtype=torch.float64
    )
    assert [fedcac.collaborators(known, client, 0.0) for client in range(4)] == [
        [2],
        [2],
        [0, 1],
        [],
    ]  # the mean is 0.7
    assert [fedcac.collaborators(known, client, 1.0) for client in range(4)] == [[2], [], [0], []]
    assert [fedcac.collaborators(known, client, 1.5) for client in range(4)] == [[], [], [], []]
    assert fedcac.collaborators(torch.full((4, 4), -1.0), 0, 0.0) == []
    alike = torch.where(torch.eye(3, dtype=torch.bool), -1.0, 0.1).double()
    assert fedcac.collaborators(alike, 0, 1.0) == [1, 2]


def test_fedcac_by_hand() -> None:
    """Clients 0 and 1 have the same critical weight, client 2 the other; client 3 never takes part."""
    method, model = FedCAC(tau=0.5, beta=4), toy()
    start = row(1.0, 1.0)
    state = ServerState(0, start, method.init_server(model, 4, torch.Generator()))
    updates = []
    for client, after in enumerate([row(3.0, 1.0), row(5.0, 1.5), row(1.0, 7.0)]):
        received = method.broadcast(state, client)
        assert digest_of(received) == digest_of(start)
        sent = method.finish(model, after, received, {}, 1, 0.1)
        assert (
            sent.aside[f"critical/{W}"].tolist() == [0b10000000 if client < 2 else 0b01000000]
            and not sent.private
        )
        updates.append(update(client, sent.up, 1, sent.aside))
    first, state = state, method.aggregate(state, iter(updates))
    assert first.extra.keys() == {fedcac.OVERLAP}  # the state before is not touched
    assert state.shared[W].tolist() == [[3.0, pytest.approx(19 / 6)]]
    overlap = state.extra[fedcac.OVERLAP]
    assert (
        overlap[0, 1] == overlap[1, 0] == 1
        and overlap[0, 2] == overlap[1, 2] == 0
        and (overlap[3] == -1).all()
    )
    common = pytest.approx(19 / 6)
    assert [method.broadcast(state, client)[W].tolist() for client in range(4)] == [
        [[4.0, common]],
        [[4.0, common]],
        [[3.0, 7.0]],
        [[3.0, common]],
    ]
    late = replace(state, round=8)  # no threshold is reached any more: critical weights are the client's own
    assert [method.broadcast(late, client)[W].tolist() for client in range(3)] == [
        [[3.0, common]],
        [[5.0, common]],
        [[3.0, 7.0]],
    ]
    only = method.aggregate(
        state,
        iter([update(2, row(2.0, 2.0), 1, {f"critical/{W}": torch.tensor([0b10000000], dtype=torch.uint8)})]),
    )
    assert (
        only.extra[fedcac.OVERLAP][0, 2] == only.extra[fedcac.OVERLAP][2, 1] == 1
    )  # the others are remembered
    assert method.broadcast(only, 0)[W].tolist() == [[pytest.approx(10 / 3), 2.0]]
    assert overlap[0, 2] == 0


def test_fedcac_without_critical_weights_is_fedavg(simulate: Run) -> None:
    assert same(
        simulate(smallest("fedcac", rounds=2, method__tau=0.0)), simulate(smallest("fedavg", rounds=2))
    )


def test_fedcac_sends_a_bit_per_weight(simulate: Run) -> None:
    run = simulate(smallest("fedcac", rounds=1))
    weights = {name: tensor for name, tensor in run.state.shared.items() if "running" not in name}
    bits = sum(-(-tensor.numel() // 8) for tensor in weights.values())
    assert run.totals["bytes_up"] - run.totals["bytes_weights_up"] == 5 * bits
    assert run.totals["bytes_down"] == run.totals["bytes_weights_down"]
    assert not same(run, simulate(smallest("fedavg", rounds=2))) and not run.privates


def test_names_of_variates_cannot_be_taken_for_the_networks() -> None:
    """A row may carry more than the network; the network must still be found in it."""
    model = toy()
    extended = {
        f"{kind}{name}": tensor
        for kind in ("own/", scaffold.CLIENT, scaffold.SUM, "")
        for name, tensor in row(1.0, 2.0).items()
    }
    architecture, weights = model.weights(extended)
    assert architecture == "small_resnet" and weights.keys() == {"weight", "bias"}
