"""FedCAC: critical weights, overlaps and mixtures by hand, and its limits."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from raysim.core.types import ServerState
from raysim.methods.networks import fedcac
from raysim.methods.networks.fedcac import FedCAC
from raysim.storage.vault import digest_of
from tests.experiments import smallest
from tests.fakes.networks import Run, W, row, same, toy, update


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
    state = ServerState(0, start, method.init_server(model, 4, range(4), torch.Generator()))
    updates = []
    for client, after in enumerate([row(3.0, 1.0), row(5.0, 1.5), row(1.0, 7.0)]):
        received = method.broadcast(state, client)
        assert digest_of(received) == digest_of(start)
        sent = method.finish(model, after, received, {}, 1)
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
    alone = smallest("fedavg", rounds=2, training__micro_cohort=1)  # as FedCAC's clients train
    assert same(simulate(smallest("fedcac", rounds=2, method__tau=0.0)), simulate(alone))


def test_fedcac_sends_a_bit_per_weight(simulate: Run) -> None:
    run = simulate(smallest("fedcac", rounds=1))
    weights = {name: tensor for name, tensor in run.state.shared.items() if "running" not in name}
    bits = sum(-(-tensor.numel() // 8) for tensor in weights.values())
    assert run.totals["bytes_up"] - run.totals["bytes_weights_up"] == 5 * bits
    assert run.totals["bytes_down"] == run.totals["bytes_weights_down"]
    assert not same(run, simulate(smallest("fedavg", rounds=2))) and not run.privates
