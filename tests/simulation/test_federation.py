"""Data of a federation: shards, server samples, noisy labels, newcomers, novel classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from raysim.core import warm
from raysim.core.errors import UserError
from raysim.core.types import (
    POOLED,
)
from raysim.simulation.accuracy import (
    training_images,
)
from raysim.simulation.device import CPU
from raysim.simulation.federation import Federation
from raysim.simulation.images import evaluation_images, images_of
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker
from tests.experiments import small, smallest

Run = Callable[..., Simulation]

COLOURS = {
    "brick": (200, 40, 40),
    "clay": (180, 50, 40),
    "dune": (150, 110, 40),
    "lake": (30, 40, 200),
    "sea": (30, 60, 160),
}
NEAREST = {"brick": "clay", "clay": "brick", "dune": "clay", "lake": "sea", "sea": "lake"}


def test_images_are_dealt_once_for_all_that_only_trains_differently() -> None:
    first, other = small(method__lam=0.1), small(method__lam=0.2, training__lr=0.3, rounds=2)
    one, two = Federation.of(first), Federation.of(other)
    assert one.shards is two.shards and (one.experiment, two.experiment) == (first, other)
    assert Federation.of(small(seed=1)).shards is not one.shards
    warm.clear()
    assert all(np.array_equal(a, b) for a, b in zip(one.shards, Federation.of(other).shards, strict=True))


def test_server_samples_of_a_method_are_not_taken_from_another() -> None:
    without, with_samples = Federation.of(smallest("fedavg")), Federation.of(smallest("safe"))
    assert len(with_samples.samples) > len(without.samples) == 0


def test_no_more_federations_are_kept_than_stated() -> None:
    most = warm.CACHES["federations"].maxsize
    for seed in range(most + 3):
        Federation.of(small(seed=seed))
    assert warm.sizes()["federations"] == most


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """Class folders of eight images each, of one colour with some noise: the nearest class is known."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        folder = tmp_path / "coloured" / name
        folder.mkdir(parents=True)
        for index in range(8):
            picture = np.clip(np.array(colour) + rng.integers(-20, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{index}.png")
    return tmp_path / "coloured"


def test_pairs_are_the_nearest_classes(coloured: Path) -> None:
    experiment = small(
        task__dataset="folder",
        task__path=str(coloured),
        task__shots=None,
        scenario="even",
        scenario__clients=2,
        scenario__label_noise=0.5,
        scenario__noise_kind="pairs",
    )
    federation = Federation.of(experiment)
    names, labels = federation.images.class_names, federation.images.labels
    wrong = np.flatnonzero(federation.training_labels != labels)
    assert len(wrong) == sum(round(0.5 * len(shard)) for shard in federation.shards) > 10
    assert {names[labels[image]]: names[federation.training_labels[image]] for image in wrong} == NEAREST


def test_only_what_clients_train_with_is_noisy() -> None:
    clean, noisy = (
        Worker(Federation.of(small(task__ses=2, scenario__label_noise=share))) for share in (0.0, 0.4)
    )
    federation = noisy.federation
    assert federation.noisy is not None and clean.federation.noisy is None
    for name in ("labels", "parts"):
        assert np.array_equal(getattr(federation.images, name), getattr(clean.images, name))
    for mine, theirs in zip(federation.shards, clean.federation.shards, strict=True):
        assert np.array_equal(mine, theirs)
    assert np.array_equal(federation.frequencies, clean.federation.frequencies)
    assert np.array_equal(noisy.initial().totals, clean.initial().totals)
    assert np.array_equal(training_images(federation), training_images(clean.federation))
    assert torch.equal(
        noisy.batches.server_samples.y, clean.batches.server_samples.y
    ) and noisy.batches.server_samples.y.shape == (1, 48)
    for split in ("validation", "test"):
        assert torch.equal(
            evaluation_images(noisy.experiment, CPU, split)[1],
            evaluation_images(clean.experiment, CPU, split)[1],
        )
    shard = federation.shards[1]
    everything = np.stack([shard, np.zeros_like(shard)], axis=1)
    assert (
        noisy.batches.stack([everything]).y[0].numpy() != clean.batches.stack([everything]).y[0].numpy()
    ).sum() == round(0.4 * len(shard))
    assert (noisy.batches.stack([everything]).y[0].numpy() == federation.training_labels[shard]).all()


def test_noise_is_on_record(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(rounds=1, scenario__label_noise=0.25), folder=tmp_path / "run")
    described = json.loads((tmp_path / "run/run.json").read_text())
    shards = simulation.federation.shards
    expected = sum(round(0.25 * len(shard)) for shard in shards) / sum(map(len, shards))
    assert described["heterogeneity"]["achieved"]["label_noise"] == pytest.approx(expected)
    assert described["scenario_label"] == "dirichlet alpha=0.3, 25 % noisy labels"
    rows = pq.read_table(tmp_path / "run/partition.parquet").to_pylist()
    assert np.mean([row["label"] != row["training_label"] for row in rows]) == pytest.approx(expected)


def test_newcomers_are_a_seeded_share() -> None:
    counts = {
        share: Federation.of(small(evaluation__newcomers=share)).newcomers.tolist()
        for share in (0.0, 0.01, 0.4, 0.6, 0.9)
    }
    assert [len(found) for found in counts.values()] == [
        0,
        1,
        2,
        3,
        4,
    ]  # of five clients: above 0 at least one, and one is left
    assert set(counts[0.4]) < set(counts[0.6]) and counts[0.6] == sorted(counts[0.6])
    others = [
        Federation.of(small(seed=seed, evaluation__newcomers=0.4)).newcomers.tolist() for seed in range(1, 6)
    ]
    assert any(found != counts[0.4] for found in others)
    federation = Federation.of(small(evaluation__newcomers=0.4))
    assert sorted([*federation.trainers, *federation.newcomers]) == [0, 1, 2, 3, 4]
    pooled = federation.shard(POOLED)
    assert not set(pooled) & {image for client in federation.newcomers for image in federation.shards[client]}
    assert (
        len(pooled)
        == sum(len(federation.shards[client]) for client in federation.trainers)
        == training_images(federation).sum()
    )


def test_novel_classes_are_nowhere_in_training() -> None:
    experiment = small(task__novel=8, task__ses=2, scenario="even")
    federation, whole = Federation.of(experiment), images_of(small())
    base, novel = federation.images, images_of(experiment, novel=True)
    assert (
        sorted(base.class_names + novel.class_names) == sorted(whole.class_names)
        and len(novel.class_names) == 8
    )
    names = np.array(whole.class_names)[whole.labels]
    for images in (base, novel):
        known = images.labels >= 0
        assert (np.array(images.class_names)[images.labels[known]] == names[known]).all() and set(
            names[known]
        ) == set(images.class_names)
    held = np.concatenate([*federation.shards, federation.samples])
    assert not set(names[held]) & set(novel.class_names) and len(set(names[held])) == 16
    assert not (novel.parts == 0).any() and (base.parts[novel.labels >= 0] == -1).all()
    for part in (1, 2):  # every held-out image is either's
        assert ((base.parts == part) ^ (novel.parts == part))[whole.parts == part].all()
    fewer = images_of(small(task__novel=4), novel=True)
    other = images_of(small(task__novel=8, task__split_seed=1), novel=True)
    assert set(fewer.class_names) < set(novel.class_names) != set(other.class_names)


def test_more_classes_than_there_are() -> None:
    with pytest.raises(UserError, match=r"task\.classes = 25 is not allowed: scenes has 24 classes"):
        Federation.of(small(task__classes=25))
