"""The server's step: late updates in checkpoints."""

from __future__ import annotations

import torch

from raysim.clients.faults import LATE_PREFIX
from raysim.core.types import ServerState
from raysim.simulation.server import with_late, without_late


def test_late_updates_go_into_a_checkpoint_and_come_back() -> None:
    state = ServerState(2, {"p": torch.zeros(1)}, {"moment": torch.ones(1)})
    late = {f"{LATE_PREFIX}1/4": torch.ones(2), f"{LATE_PREFIX}1/4/p": torch.ones(1)}
    packed = with_late(state, late)
    assert set(packed.extra) == {"moment", *late} and set(state.extra) == {"moment"}
    again, waiting = without_late(packed)
    assert set(again.extra) == {"moment"} and set(waiting) == set(late)
    assert (again.round, again.shared) == (state.round, state.shared)
