"""FedProx on prompts: its limits."""

from __future__ import annotations

from typing import Any

import torch

from raysim.methods.prompts.base import SHARED
from tests.experiments import small


def test_promptfl_prox_with_mu_zero_is_promptfl(simulate: Any) -> None:
    prox, plain = simulate(small(method="promptfl_prox", method__mu=0.0)), simulate(small(method="promptfl"))
    assert torch.equal(prox.state.shared[SHARED], plain.state.shared[SHARED])
    strong = simulate(small(method="promptfl_prox", method__mu=5.0))
    first = plain.initial.state.shared[SHARED]
    assert (strong.state.shared[SHARED] - first).norm() < (plain.state.shared[SHARED] - first).norm()
