"""SAFE: its limits, what is sent and kept, and its failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import MicroCohort, nbytes
from raysim.methods import signatures
from raysim.methods.networks.safe.ace import CLIENT_CONTEXT
from raysim.methods.networks.safe.method import SAFE
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from raysim.storage.vault import fetch
from tests.experiments import four_clients, small


def test_without_its_mechanisms_safe_is_fedavg(simulate: Any) -> None:
    plain = simulate(four_clients("fedavg"))
    bare = simulate(four_clients(method__cro=False, method__fau=False, method__ace=False))
    for name, tensor in plain.state.shared.items():
        assert torch.equal(tensor, bare.state.shared[name]), name


def test_each_mechanism_changes_the_outcome(simulate: Any) -> None:
    everything = {"method__cro": False, "method__fau": False, "method__ace": False}
    digests = {simulate(four_clients(**everything)).result()["state_sha256"]}
    for name in everything:
        digests.add(simulate(four_clients(**{**everything, name: True})).result()["state_sha256"])
    assert len(digests) == 4


@pytest.mark.parametrize("reference", ["own", "all"])
def test_what_is_sent_is_counted_to_the_byte(reference: str, simulate: Any, tmp_path: Path) -> None:
    simulation = simulate(
        four_clients(method__reference=reference, rounds=2, evaluation__every=2), folder=tmp_path / "run"
    )
    rows = simulation.store.rounds()
    clients, samples = 4, len(simulation.federation.samples)
    weights = nbytes(simulation.state.shared) * clients
    beside = 4 * (1 + 4 + samples * 32 + clients * 8) * clients  # progress, CR, A_g of 4 x 8 channels, E
    assert rows[1]["bytes_weights_up"] == rows[1]["bytes_weights_down"] == weights
    assert rows[1]["bytes_down"] == weights + beside
    assert rows[1]["bytes_up"] == weights + 4 * 8 * clients  # e_i
    assert simulation.result()["bytes_setup"] == samples * 32 * 32 * 3 * clients


def test_the_servers_samples_belong_to_nobody_else() -> None:
    federation = Federation.of(four_clients(task__ses=5))
    labels = federation.images.labels[federation.samples]
    assert np.bincount(labels).tolist() == [5, 5, 5, 5]
    assert not set(federation.samples) & {image for shard in federation.shards for image in shard}
    assert set(federation.images.parts[federation.samples]) == {0}  # of the training side
    same = Federation.of(four_clients("fedavg", task__ses=5))
    assert all(np.array_equal(one, other) for one, other in zip(federation.shards, same.shards, strict=True))
    skewed = Federation.of(four_clients(task__ses=10, task__ses_imbalance=10.0))
    assert sorted(np.bincount(skewed.images.labels[skewed.samples]).tolist()) == [1, 2, 5, 10]


def test_samples_are_needed() -> None:
    with pytest.raises(UserError, match=r"task.ses = 0 is not allowed: 'safe' needs samples"):
        four_clients(task__ses=0)
    assert four_clients(task__ses=0, method__cro=False, method__fau=False).samples_per_class == 0
    assert four_clients(task__ses=None).samples_per_class == 10
    with pytest.raises(
        UserError, match=r"method: d = 10 is not allowed: it should be a multiple of heads = 4"
    ):
        four_clients(method__d=10)
    with pytest.raises(UserError, match="cannot classify the pixels of 'scene_masks'"):
        small(task__dataset="scene_masks")


def rounds(**columns: list[float]) -> list[dict[str, Any]]:
    length = len(next(iter(columns.values())))
    return [
        {"round": index, **{name: values[index] for name, values in columns.items()}}
        for index in range(length)
    ]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"cr_spearman": [0.0, 0.9, 0.5, -0.4, -0.2]}, ["cr_inverse"]),
        ({"cr_spearman": [0.0, -0.9, 0.5, 0.4, 0.2]}, []),
        ({"cr_jump": [0.0, 0.1, 0.1, 0.5, 0.4]}, ["cr_erratic"]),
        ({"cr_jump": [0.0, 0.9, 0.9, 0.1, 0.1]}, []),
        ({"d_cka": [0.5, 0.5, 0.0, 0.001, 0.002]}, ["d_cka_zero"]),
        ({"d_cka": [0.5, 0.5, 1.0, 0.999, 0.998]}, ["d_cka_one"]),
        ({"d_cka": [0.5, 0.0, 0.1, 0.2, 0.2]}, []),
        ({"mask_empty": [0.0, 0.0, 0.0, 0.9, 0.8], "mask_full": [0.0] * 5}, ["mask_empty"]),
        ({"mask_full": [0.0, 1.0, 1.0, 1.0, 1.0], "mask_empty": [0.0] * 5}, ["mask_full"]),
        ({"mask_full": [0.0, 1.0, 1.0, 0.1, 0.1]}, []),
    ],
)
def test_failures_are_seen_in_the_second_half(columns: dict[str, list[float]], found: list[str]) -> None:
    assert [signature.name for signature in SAFE().diagnosis.failures(rounds(**columns))] == found
    assert set(found) <= set(SAFE().diagnosis.watched) and set(SAFE().diagnosis.watched) <= set(
        signatures.MEANINGS
    )


def test_private_networks_never_enter_what_is_sent(tmp_path: Path) -> None:
    worker = Worker(Federation.of(four_clients()))
    state = worker.initial().state
    sent = worker.train(state, MicroCohort(0, (0,), (None,), str(tmp_path)))
    assert set(sent.sums) == set(state.shared)
    assert set(sent.aside[0]) == {CLIENT_CONTEXT}
    assert all(name.startswith("own/") for name in fetch(sent.private[0], tmp_path))
