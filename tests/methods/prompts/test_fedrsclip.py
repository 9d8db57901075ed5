"""FedRSCLIP: the limits of its fusions and terms, and the numbers that it sends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raysim.core.types import Batch
from raysim.engines.serial import Serial
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedrsclip import FedRSCLIP
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from tests.experiments import small
from tests.fakes.prompts import parameters, texts


def test_the_shared_prompt_of_a_pair_classifies_as_the_pair_does(worker: Worker, batch: Batch) -> None:
    """By the transport of patches: a private prompt that is the shared one changes nothing."""
    method, one = FedRSCLIP(fusion="pair"), batch.x[0]
    x = torch.stack([one, one.roll(1, 0), one.roll(2, 0), one.roll(3, 0)], dim=1)  # the pooled feature first
    shared = {SHARED: parameters(FedRSCLIP(), worker)[SHARED]}
    alone = method.predict(worker.model, shared, x, "shared")
    twice = method.predict(worker.model, {**shared, PRIVATE: shared[SHARED]}, x, "personal")
    torch.testing.assert_close(alone, twice, rtol=1e-3, atol=1e-3)
    x[:, 0] = one.flip(0)  # not looked at
    assert torch.equal(alone, method.predict(worker.model, shared, x, "shared"))


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


def test_2048_parameters_are_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, miniature: Path) -> None:
    """ViT-B-32 has text width 512: the payload of a round is 4 tokens, 2,048 numbers, 8,192 bytes in fp32."""
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
    simulation = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open()
    [_, record] = list(simulation.rounds())
    assert sum(tensor.numel() for tensor in simulation.state.shared.values()) == 2048
    assert record.row["bytes_up"] == record.row["bytes_down"] == 2 * 8192
