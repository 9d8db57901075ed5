"""Server optimisers: their closed forms, what they leave alone, and that any method can have one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from raysim.core.types import ServerState
from raysim.methods.aggregation import ServerOptimiser, server_update
from raysim.simulation.rounds import Simulation
from raysim.storage.vault import digest_of
from tests.experiments import smallest


def test_no_server_optimiser_is_no_change() -> None:
    before, after = (
        ServerState(0, {"w": torch.zeros(2)}),
        ServerState(1, {"w": torch.ones(2)}, {"kept": torch.ones(1)}),
    )
    assert server_update(ServerOptimiser(lr=0.1), before, after, set()) is after


@pytest.mark.parametrize("optimiser", ["momentum", "adam"])
def test_server_optimisers_are_their_closed_forms(optimiser: str) -> None:
    """Three rounds with deltas of our choice, in float64; statistics stay as averaged."""
    config = ServerOptimiser(optimiser=optimiser, lr=0.3, beta1=0.8, beta2=0.95, tau=0.02)
    deltas = np.array([[1.0, -0.5], [0.2, 0.0], [-0.4, 3.0]])
    state = ServerState(
        0, {"w": torch.zeros(2, dtype=torch.float64), "s": torch.zeros(1)}, {"kept": torch.ones(1)}
    )
    for round_, delta in enumerate(deltas):
        averaged = ServerState(
            round_ + 1,
            {"w": state.shared["w"] + torch.from_numpy(delta), "s": torch.tensor([round_ + 5.0])},
            state.extra,
        )
        state = server_update(config, state, averaged, {"s"})
        assert state.shared["s"].item() == round_ + 5.0
    powers = (
        0.8 ** np.array([[2, 1, 0], [1, 0, np.inf], [0, np.inf, np.inf]])[::-1]
    )  # rows: rounds 1, 2, 3; columns: deltas
    first = powers @ deltas
    if optimiser == "momentum":
        expected = 0.3 * first.sum(0)
    else:
        second = 0.05 * 0.95 ** np.array([[0, np.inf, np.inf], [1, 0, np.inf], [2, 1, 0]]) @ deltas**2
        second += 0.02**2 * 0.95 ** np.array([[1], [2], [3]])  # from tau^2
        expected = (0.3 * 0.2 * first / (np.sqrt(second) + 0.02)).sum(0)
    np.testing.assert_allclose(state.shared["w"], expected, rtol=1e-12)
    moments = {"moment1/w", "moment2/w"} if optimiser == "adam" else {"moment1/w"}
    assert state.round == 3 and state.extra.keys() == {"kept", *moments}


@pytest.mark.parametrize("name", ["promptfl", "fedavg", "scaffold"])
@pytest.mark.parametrize("optimiser", ["momentum", "adam"])
def test_server_optimisers_serve_any_method(
    name: str, optimiser: str, simulate: Callable[..., Simulation]
) -> None:
    plain, moved = (
        simulate(smallest(name, rounds=1)),
        simulate(smallest(name, rounds=1, server__optimiser=optimiser, server__lr=0.5)),
    )
    start = plain.initial.state.shared
    assert digest_of(plain.state.shared) != digest_of(moved.state.shared)
    for tensor_name, tensor in moved.state.shared.items():
        delta = plain.state.shared[tensor_name] - start[tensor_name]
        if tensor_name in plain.initial.buffers:
            expected = plain.state.shared[tensor_name]
        elif optimiser == "momentum":
            expected = start[tensor_name] + 0.5 * delta
        else:
            second = 0.99e-6 + 0.01 * delta.square()
            expected = start[tensor_name] + 0.5 * 0.1 * delta / (second.sqrt() + 1e-3)
        torch.testing.assert_close(tensor, expected, rtol=1e-5, atol=1e-7)
    still = {key: tensor for key, tensor in moved.state.extra.items() if not key.startswith("moment")}
    assert digest_of(still) == digest_of(plain.state.extra)
