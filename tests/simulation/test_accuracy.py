"""The accuracies of one evaluation: on paper, against loops, by class frequency, from base to novel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from raysim.core.types import (
    IGNORE,
    Score,
)
from raysim.simulation.accuracy import (
    accuracies,
    base_to_novel,
    cell_totals,
    intersection_union,
    training_images,
)
from raysim.simulation.federation import Federation
from raysim.simulation.images import Images
from tests.experiments import small


def toy(
    labels: list[int],
    domains: list[int],
    parts: list[int],
    frequencies: list[list[float]],
    kind: str = "segmentation",
    classes: int = 2,
    shards: list[list[int]] | None = None,
) -> Federation:
    """What `accuracies` looks at of a federation."""
    images = Images(
        np.array(labels),
        np.array(domains),
        np.array(parts),
        tuple("abcdefghijkl"[:classes]),
        tuple(f"domain {k}" for k in range(max(domains) + 1)),
    )
    experiment = SimpleNamespace(task=SimpleNamespace(kind=kind))
    held = tuple(np.array(shard) for shard in shards or [[0]] * len(frequencies))
    return Federation(
        cast(Any, experiment), images, held, np.array([], dtype=np.int64), np.array(frequencies)
    )


def by_loops(
    predicted: np.ndarray, truth: np.ndarray, cell: np.ndarray, cells: int, classes: int
) -> np.ndarray:
    """Count by the definition.

    A pixel is in the intersection of c if both are c, in the union if either is, and nowhere where truth is
    ignored.
    """
    areas = np.zeros((cells, classes, 2))
    for image in range(len(truth)):
        for row in range(truth.shape[1]):
            for column in range(truth.shape[2]):
                guess, true = predicted[image, row, column], truth[image, row, column]
                if true == IGNORE:
                    continue
                for label in range(classes):
                    areas[cell[image], label, 0] += guess == label and true == label
                    areas[cell[image], label, 1] += guess == label or true == label
    return areas


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("ignored", [0.0, 0.3, 1.0])
def test_areas_against_loops(classes: int, ignored: float) -> None:
    rng = np.random.default_rng(classes)
    truth = rng.integers(0, classes, (6, 7, 7)).astype(np.uint8)
    truth[rng.random(truth.shape) < ignored] = IGNORE
    predicted = rng.integers(0, classes, truth.shape)
    cell = rng.integers(0, 4, 6)
    found = intersection_union(predicted, truth, cell, 4, classes)
    assert found.shape == (4, classes, 2) and found.dtype == np.float64
    assert np.array_equal(found, by_loops(predicted, truth, cell, 4, classes))
    halves = [
        intersection_union(predicted[half], truth[half], cell[half], 4, classes)
        for half in (slice(0, 2), slice(2, 6))
    ]
    assert np.array_equal(found, halves[0] + halves[1])
    assert np.array_equal(
        intersection_union(predicted.astype(np.uint8), truth, cell, 4, classes), found
    )  # no overflow of small integers


def test_miou_by_hand() -> None:
    """One image of 2 x 4 pixels; class a: 3 of a union of 5, class b: 2 of 4.

    The ignored pixel is predicted b and counts nowhere.
    """
    truth = np.array([[[0, 0, 0, 0], [1, 1, 1, IGNORE]]], np.uint8)
    predicted = np.array([[[0, 0, 0, 1], [0, 1, 1, 1]]])
    areas = intersection_union(predicted, truth, np.array([0]), 2, 2)
    assert areas[0].tolist() == [[3, 5], [2, 4]] and not areas[1].any()
    federation = toy([0], [0], [1], [[1.0, 0.0]])
    summary, clients, rows = accuracies(
        federation, "validation", np.array([0]), Score(-1, "shared", (), areas[None]), None
    )
    assert summary["acc_shared_global"] == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert clients[0]["acc_personal_own"] == pytest.approx((3 / 5 + 2 / 4) / 2)
    assert [(row["scope"], row["class_name"], row["correct"], row["total"]) for row in rows] == [
        ("shared", "a", 3, 5),
        ("shared", "b", 2, 4),
        ("personal", "a", 3, 5),
        ("personal", "b", 2, 4),
    ]
    assert not any("class_mean" in name or "head" in name for name in summary)


def test_a_perfect_prediction_is_one_and_absent_classes_are_left_out() -> None:
    truth = np.array([[[0, 2], [2, 2]]], np.uint8)
    areas = intersection_union(truth, truth, np.array([2]), 4, 4)
    federation = toy([2], [0], [1], [[0, 0, 1.0, 0]], classes=4)
    summary, _, rows = accuracies(
        federation, "validation", np.array([0]), Score(-1, "shared", (), areas[None]), None
    )
    assert summary["acc_shared_own"] == summary["acc_shared_global"] == 1.0
    assert {row["class_name"] for row in rows} == {"a", "c"}
    wrong = intersection_union(
        np.full_like(truth, 1), truth, np.array([2]), 4, 4
    )  # a false alarm of b counts against it
    summary, _, rows = accuracies(
        federation, "validation", np.array([0]), Score(-1, "shared", (), wrong[None]), None
    )
    assert summary["acc_shared_global"] == 0.0 and {row["class_name"] for row in rows} == {"a", "b", "c"}


def test_own_reweights_the_cells_of_images() -> None:
    """Cells (a, d0): 2 images, (a, d1): 1, (b, d0): 1, (b, d1): none.

    A client with d1 only sees the areas of (a, d1) alone.
    """
    federation = toy([0, 0, 0, 1], [0, 0, 1, 0], [1] * 4, [[0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]])
    areas = np.array([[[4, 8], [0, 2]], [[3, 3], [1, 2]], [[0, 4], [6, 12]], [[0, 0], [0, 0]]], float)
    personal = {k: areas for k in range(3)}
    summary, clients, rows = accuracies(
        federation, "validation", np.arange(3), Score(-1, "shared", (), areas[None]), personal
    )
    assert clients[0]["acc_shared_own"] == pytest.approx((3 / 3 + 1 / 2) / 2)
    first, second = 0.5 / 2, 0.5 / 1  # share of the client over images of the split
    iou_a, iou_b = first * 4 / (first * 8 + second * 4), second * 6 / (first * 2 + second * 12)
    assert clients[1]["acc_personal_own"] == pytest.approx((iou_a + iou_b) / 2)
    assert clients[2]["acc_shared_own"] is None  # holds what the split does not have
    assert summary["acc_shared_global"] == pytest.approx((7 / 15 + 7 / 16) / 2)
    assert summary["private_effect"] == 0.0
    assert [
        (r["class_name"], r["domain"], r["correct"], r["total"]) for r in rows if r["scope"] == "shared"
    ] == [
        ("a", 0, 4, 12),
        ("a", 1, 3, 3),
        ("b", 0, 6, 14),
        ("b", 1, 1, 2),
    ]


def test_personal_models_of_segmentation() -> None:
    federation = toy([0, 1], [0, 0], [1, 1], [[1.0, 0], [0, 1.0]])
    good, bad = (
        np.array([[[4, 4], [0, 0]], [[0, 0], [4, 4]]], float),
        np.array([[[2, 4], [0, 2]], [[0, 4], [0, 4]]], float),
    )
    summary, _, rows = accuracies(federation, "validation", np.array([0, 1]), None, {0: good, 1: bad})
    assert summary["acc_shared_own"] is None and summary["private_effect"] is None
    assert summary["acc_personal_own"] == pytest.approx((1 + 0) / 2) and summary["worst_client_accuracy"] == 0
    assert [(row["correct"], row["total"]) for row in rows] == [(3, 6), (2, 5)]


def skewed(images: list[int], correct: list[float]) -> dict[str, Any]:
    """Summary of a classification with so many training images per class and ten validation images each."""
    classes = len(images)
    labels = [label for label, number in enumerate(images) for _ in range(number)]
    shards = [list(range(0, len(labels), 2)), list(range(1, len(labels), 2))]
    held = [label for label in range(classes) for _ in range(10)]
    federation = toy(
        labels + held,
        [0] * (len(labels) + len(held)),
        [0] * len(labels) + [1] * len(held),
        [[1 / classes] * classes] * 2,
        kind="classification",
        classes=classes,
        shards=shards,
    )
    assert training_images(federation).tolist() == images
    personal = {0: np.array(correct), 1: np.zeros(classes)}
    return accuracies(
        federation, "validation", np.array([0, 1]), Score(-1, "shared", (), np.array([correct])), personal
    )[0]


def test_thirds_of_the_classes_by_frequency() -> None:
    summary = skewed([5, 40, 10, 20, 30, 2, 7], [1.0, 10, 4, 6, 8, 0, 3])  # falling: 40 30 20 | 10 7 | 5 2
    assert summary["acc_shared_class_mean"] == pytest.approx(32 / 70)
    assert summary["acc_shared_head"] == pytest.approx((1.0 + 0.8 + 0.6) / 3)
    assert summary["acc_shared_medium"] == pytest.approx((0.4 + 0.3) / 2)
    assert summary["acc_shared_tail"] == pytest.approx((0.1 + 0.0) / 2)
    assert summary["acc_personal_tail"] == pytest.approx(
        0.05 / 2
    )  # the mean of a client like the shared model and one that gets nothing
    assert summary["acc_personal_class_mean"] == pytest.approx(summary["acc_shared_class_mean"] / 2)


@pytest.mark.parametrize(
    ("images", "grouped"),
    [([10, 10, 10], False), ([14, 12, 10], False), ([15, 12, 10], True), ([9, 2], False)],
)
def test_groups_only_where_frequent_and_rare_classes_differ(images: list[int], grouped: bool) -> None:
    summary = skewed(images, [5.0] * len(images))
    assert summary["acc_shared_class_mean"] == summary["acc_shared_global"] == 0.5
    assert {name for name in summary if name.endswith(("head", "medium", "tail"))} == (
        {f"acc_{scope}_{group}" for scope in ("shared", "personal") for group in ("head", "medium", "tail")}
        if grouped
        else set()
    )


def test_class_mean_leaves_out_classes_without_held_out_images() -> None:
    federation = toy(
        [0, 0, 0, 1], [0] * 4, [1, 1, 1, 1], [[0.5, 0.5, 0.0]], kind="classification", classes=3, shards=[[0]]
    )
    summary, _, _ = accuracies(
        federation, "validation", np.array([0]), Score(-1, "shared", (), np.array([[3.0, 0.0, 0.0]])), None
    )
    assert summary["acc_shared_class_mean"] == 0.5 and summary["acc_shared_global"] == 0.75
    assert summary["acc_shared_tail"] is None


def two_classes(
    labels: list[int], parts: list[int], shards: list[list[int]], frequencies: list[list[float]]
) -> Federation:
    images = Images(np.array(labels), np.zeros(len(labels), int), np.array(parts), ("a", "b"), ("all",))
    return Federation(
        small(),
        images,
        tuple(np.array(shard) for shard in shards),
        np.array([], dtype=int),
        np.array(frequencies),
    )


def test_the_four_accuracies_on_paper() -> None:
    """Two classes, 4 and 2 validation images; the shared model gets 2 of 4 and 2 of 2.

    Client 0 holds class a only.
    """
    federation = two_classes([0, 0, 0, 0, 1, 1], [1] * 6, [[0], [1]], [[1.0, 0.0], [0.25, 0.75]])
    shared = Score(-1, "shared", (), np.array([[2.0, 2.0]]))
    personal = {0: np.array([4.0, 0.0]), 1: np.array([2.0, 2.0])}
    summary, clients, classes = accuracies(federation, "validation", np.array([0, 1]), shared, personal)
    assert clients[0] == {
        "client": 0,
        "acc_shared_own": 0.5,
        "acc_shared_global": pytest.approx(4 / 6),
        "acc_personal_own": 1.0,
        "acc_personal_global": pytest.approx(4 / 6),
    }
    assert clients[1]["acc_personal_own"] == pytest.approx(0.25 * 0.5 + 0.75 * 1.0)
    assert summary["acc_personal_own"] == pytest.approx((1 + 0.875) / 2)
    assert summary["worst_client_accuracy"] == pytest.approx(0.875)
    assert [(row["scope"], row["correct"], row["total"]) for row in classes] == [
        ("shared", 2, 4),
        ("shared", 2, 2),
        ("personal", 3, 4),
        ("personal", 1, 2),
    ]
    assert cell_totals(federation, "validation").tolist() == [4, 2]


def test_classes_without_held_out_images_are_left_out_of_own() -> None:
    federation = two_classes([0, 0], [1, 1], [[0]], [[0.5, 0.5]])
    summary, _, _ = accuracies(
        federation, "validation", np.array([0]), Score(-1, "shared", (), np.array([[1.0, 0.0]])), None
    )
    assert summary["acc_shared_own"] == 0.5


@pytest.mark.parametrize(
    ("base", "novel", "harmonic"),
    [
        (69.34, 74.22, 71.70),
        (82.69, 63.22, 71.66),
        (80.47, 71.69, 75.83),
        (56.48, 64.05, 60.03),
        (92.19, 54.74, 68.69),
        (87.49, 60.04, 71.21),
    ],
)
def test_the_harmonic_mean_is_that_of_the_paper(base: float, novel: float, harmonic: float) -> None:
    """CLIP, CoOp and CoCoOp in CoCoOp's Table 1: the mean of 11 datasets, and EuroSAT."""
    found = base_to_novel(base / 100, novel / 100)
    assert round(100 * found["acc_harmonic"], 2) == harmonic


def test_the_harmonic_mean_of_nothing() -> None:
    assert base_to_novel(0.0, 0.0)["acc_harmonic"] == 0.0 and base_to_novel(0.5, None)["acc_harmonic"] is None
    assert base_to_novel(0.5, 0.0) == {"acc_base": 0.5, "acc_novel": 0.0, "acc_harmonic": 0.0}
