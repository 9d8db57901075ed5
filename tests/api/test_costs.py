"""What a run costs, measured in a few of its own rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from raysim.api.costs import CLIENTS, Costs, measure
from raysim.core import warm
from raysim.simulation.device import CPU
from raysim.simulation.images import frozen_of
from raysim.simulation.sampled import sampled_frozen, stand_in
from tests.experiments import small


def test_counts_are_those_of_the_run_and_not_of_the_measured_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path))
    experiment = small(method="promptfl", rounds=7, evaluation__every=3, scenario__clients=CLIENTS + 12)
    costs = measure(experiment, sampled_frozen(experiment, CPU, 8), process=1.5)
    assert (costs.clients, costs.rounds, costs.evaluations, costs.process) == (CLIENTS + 12, 7, 4, 1.5)
    assert min(costs.client, costs.flops, costs.server, costs.evaluation, costs.memory) > 0
    assert costs.kept > 0 and not list(tmp_path.rglob("*.arrow"))


def test_pooled_training_is_one_client() -> None:
    experiment = small(method="centralized", rounds=2)
    assert measure(experiment, sampled_frozen(experiment, CPU, 8), process=0.0).clients == 1


def test_seconds_add_up_and_only_clients_share_the_workers() -> None:
    costs = Costs(
        client=0.5, flops=1.0, server=0.25, evaluation=2.0, once=1.0, process=3.0, memory=1.0, kept=8.0,
        clients=10, rounds=4, evaluations=3, measured=10,
    )  # fmt: skip
    assert costs.training == 20 and costs.total == 20 + 1 + 6 + 1
    assert costs.wall(1) == costs.total and costs.wall(2) == (20 + 6) / 2 + 1 + 1
    assert replace(costs, rounds=8).training == 40


def test_inputs_stand_in_for_others_and_are_forgotten() -> None:
    experiment = small(method="promptfl")
    sampled = sampled_frozen(experiment, CPU, 2)
    with stand_in(experiment, CPU, sampled):
        assert frozen_of(experiment, CPU) is sampled
    assert not any(warm.sizes().values())


def test_masks_of_a_sample_stand_for_those_of_all_images() -> None:
    """Every image's pixels are counted: rows that never end would fill the memory of the machine."""
    experiment = small(
        method="fedavg", task__dataset="scene_masks", task__image_size=32, scenario__clients=2, rounds=1
    )
    sampled = sampled_frozen(experiment, CPU, 4)
    assert sampled.masks is not None
    rows = list(sampled.masks)
    assert len(rows) == len(sampled.masks) == sampled.masks.shape[0] == sampled.x.shape[0] > 4
    assert all(np.array_equal(row, rows[image % 4]) for image, row in enumerate(rows))
    costs = measure(experiment, sampled, process=0.0)
    assert costs.client > 0 and costs.evaluation > 0 and costs.measured == 2
