"""Floors: the most frequent class of each client, and zero-shot, in the measure of the accuracies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from raysim.core.columns import FLOOR_COLUMNS
from raysim.core.types import IGNORE, Score
from raysim.engines.serial import Serial
from raysim.simulation.accuracy import accuracies, intersection_union
from raysim.simulation.floors import Floors, cells_of
from raysim.simulation.rounds import Simulation
from tests.experiments import small, smallest
from tests.simulation.test_accuracy import toy, two_classes

Run = Callable[..., Simulation]


def test_the_most_frequent_class_on_paper() -> None:
    """Client 0 holds only a, client 1 a and b alike, client 2 only c, of which the split has no image."""
    federation = toy(
        [0, 0, 0, 1, 0, 1, 2],
        [0] * 7,
        [1, 1, 1, 1, 0, 0, 0],
        [[1, 0, 0], [0.5, 0.5, 0], [0, 0, 1]],
        kind="classification",
        classes=3,
        shards=[[4], [4, 5], [6]],
    )
    floors = Floors(federation, "validation", None, None)
    assert [floors.majority_class(client) for client in range(3)] == [0, 0, 2]  # of equals the first
    columns = floors.columns(range(3))
    assert columns["acc_majority_own"] == pytest.approx((1 + 0.5) / 2)  # of the two that can be measured
    assert columns["acc_majority_global"] == pytest.approx((0.75 + 0.75 + 0) / 3)
    assert columns["acc_zeroshot_own"] is None and columns["acc_zeroshot_global"] is None


def test_label_noise_moves_the_class_that_a_client_names() -> None:
    federation = two_classes([0, 1, 0, 0, 1], [1, 1, 0, 0, 0], [[2, 3, 4]], [[2 / 3, 1 / 3]])
    assert Floors(federation, "validation", None, None).columns([0])["acc_majority_own"] == pytest.approx(
        2 / 3
    )
    noisy = np.array([0, 1, 1, 0, 1])
    wrong = Floors(
        cast(Any, type(federation))(**{**vars(federation), "noisy": noisy}), "validation", None, None
    )
    assert wrong.columns([0])["acc_majority_own"] == pytest.approx(1 / 3)  # it is measured by true labels


def test_one_pixel_class_everywhere_is_its_miou() -> None:
    """Against masks that are predicted: the shortcut counts what `intersection_union` counts."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, (6, 5, 5)).astype(np.uint8)
    truth[rng.random(truth.shape) < 0.2] = IGNORE
    labels, domains = [0, 1, 2, 0, 1, 2], [0, 1, 0, 1, 0, 1]
    frequencies = [[0.2, 0.3, 0.5, 0, 0, 0], [0, 0, 0, 0.1, 0.4, 0.5]]
    federation = toy(labels, domains, [1] * 6, frequencies, classes=3, shards=[[0, 1], [2, 3]])
    pixels = np.stack([np.bincount(mask.ravel(), minlength=256)[:3] for mask in truth])
    floors = Floors(federation, "validation", None, pixels)
    cell = cells_of(federation, "validation")
    personal = {}
    for client, shard in enumerate(federation.shards):
        label = int(pixels[shard].sum(axis=0).argmax())
        assert floors.majority_class(client) == label
        personal[client] = intersection_union(np.full(truth.shape, label), truth, cell, 6, 3)
        assert np.array_equal(floors.majority_counts(label), personal[client])
    summary, _, _ = accuracies(federation, "validation", np.arange(2), None, personal)
    columns = floors.columns(range(2))
    for place in ("own", "global"):
        assert columns[f"acc_majority_{place}"] == pytest.approx(summary[f"acc_personal_{place}"])


@pytest.mark.parametrize("name", ["fedrsclip", "fedotp"])
def test_zeroshot_is_the_method_of_that_name(name: str, simulate: Run) -> None:
    """Whatever the method reads: pooled features, or patches behind them."""
    run = simulate(small(method=name, rounds=1, evaluation__every=1))
    alone = simulate(small(method="zeroshot"))
    for place in ("own", "global"):
        expected = alone.result()[f"acc_shared_{place}"]
        assert [row[f"acc_zeroshot_{place}"] for row in run.store.rounds()] == [expected, expected]
        assert alone.result()[f"acc_zeroshot_{place}"] == expected
        assert run.open_test()[f"acc_zeroshot_{place}"] == alone.open_test()[f"acc_shared_{place}"]


@pytest.mark.parametrize("name", ["fedavg", "local_network", "safe"])
def test_a_network_has_no_zeroshot(name: str, simulate: Run) -> None:
    result = simulate(smallest(name, rounds=1, evaluation__every=1)).result()
    assert result["acc_zeroshot_own"] is None and 0 < result["acc_majority_own"] <= 1


def test_the_floor_of_skewed_clients_is_high(simulate: Run) -> None:
    """At Dirichlet 0.03 the rule without any training is far above chance on own distributions only."""
    simulation = simulate(small(scenario__alpha=0.03, method="zeroshot"))
    federation, result = simulation.federation, simulation.result()
    sizes = federation.frequencies.reshape(5, len(federation.images.class_names), -1).sum(axis=2).max(axis=1)
    assert result["acc_majority_own"] == pytest.approx(sizes.mean())
    assert result["acc_majority_global"] == pytest.approx(1 / len(federation.images.class_names), abs=0.02)


def test_floors_are_asked_for_once_per_split(simulate: Run) -> None:
    asked = []

    class Asked(Serial):
        def run(self, experiment: str, function: Any, state: Any) -> Any:
            asked.append(getattr(function, "keywords", {}).get("split"))
            return super().run(experiment, function, state)

    simulation = simulate(small(rounds=2, evaluation__every=1), engine=Asked())
    for _ in range(2):
        simulation.open_test()
    assert [split for split in asked if split] == ["validation", "test"]
    assert all(row[name] is not None for row in simulation.store.rounds() for name in FLOOR_COLUMNS)


def test_a_model_that_names_one_class_stands_on_the_floor() -> None:
    federation = two_classes([0, 0, 0, 1], [1] * 4, [[0], [3]], [[0.9, 0.1], [0.2, 0.8]])
    floors = Floors(federation, "validation", None, None)
    personal = {client: floors.majority_counts(floors.majority_class(client)) for client in range(2)}
    shared = Score(-1, "shared", (), np.array([[3.0, 0.0]]))
    summary, _, _ = accuracies(federation, "validation", np.arange(2), shared, personal)
    assert floors.columns(range(2))["acc_majority_own"] == summary["acc_personal_own"]
