"""All prompt methods: private tensors per client, what is sent, and that they learn."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from raysim.core.types import MicroCohort
from raysim.engines.serial import Serial
from raysim.methods.prompts.base import PRIVATE, SHARED
from raysim.methods.prompts.fedpgp import U, V
from raysim.simulation.federation import Federation
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from raysim.storage.store import Store
from tests.experiments import small


@pytest.fixture(scope="module")
def otp() -> Worker:
    return Worker(Federation.of(small(method="fedotp")))


@pytest.fixture(scope="module")
def pgp() -> Worker:
    return Worker(Federation.of(small(method="fedpgp")))


def test_clients_get_private_tensors_of_their_own(otp: Worker, pgp: Worker) -> None:
    random = Worker(Federation.of(small(method="fedotp", method__private_init="random")))
    for worker, name in ((random, PRIVATE), (pgp, U), (pgp, V)):
        first, second = (worker.training.first_private(client)[name] for client in (0, 1))
        assert not torch.equal(first, second) and first.std().item() == pytest.approx(0.02, rel=0.5)


@pytest.mark.parametrize(
    "name, private",
    [("fedotp", {PRIVATE: (4, 0)}), ("fedpgp", {U: (4, 3), V: (3, 0)})],
    ids=["fedotp", "fedpgp"],
)  # 0 stands for the text width
def test_only_the_shared_prompt_is_sent(name: str, private: dict[str, tuple[int, int]], otp: Worker) -> None:
    worker = Worker(
        Federation.of(small(method=name, **({"method__bottleneck": 3} if name == "fedpgp" else {})))
    )
    width = worker.model.tower.width
    sent = worker.train(worker.initial().state, MicroCohort(0, (0, 1), (None, None)))
    assert {key: tuple(tensor.shape) for key, tensor in sent.sums.items()} == {SHARED: (4, width)}
    for row in sent.private:
        assert {key: tuple(tensor.shape) for key, tensor in row.items()} == {
            key: (a, b or width) for key, (a, b) in private.items()
        }
    assert sent.bytes_up == 2 * 4 * width * 4 and sent.client_tensors == () and sent.aside == ({}, {})


@pytest.mark.parametrize("name", ["fedotp", "fedpgp"])
def test_rivals_learn(name: str, tmp_path: Path) -> None:
    experiment = small(method=name, rounds=4, evaluation__every=4, training__epochs=2)
    records = list(Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open().rounds())
    start, end = records[0].row, records[-1].row
    assert end["acc_personal_own"] > start["acc_personal_own"] + 0.04
    assert end["acc_shared_global"] > start["acc_shared_global"]
