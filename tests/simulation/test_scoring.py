"""Pixels are classified end to end: from a folder of images and masks to mIoU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from raysim.core.errors import UserError
from raysim.core.types import (
    IGNORE,
)
from raysim.experiment import Experiment
from raysim.methods.networks.base import NetworkMethod
from raysim.simulation.federation import Federation
from raysim.simulation.worker import Worker
from tests.experiments import small


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three tiles of nine images: the right of each is bright and of class 2, the left dark and of class 1.

    A strip at the top is ignored.
    """
    rng = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / "data" / kind).mkdir(parents=True)
    for tile in range(3):
        for index in range(9):
            edge = int(rng.integers(8, 24))
            mask = np.ones((32, 32), np.uint8)
            mask[:, edge:] = 2
            image = (
                rng.integers(0, 60, (32, 32, 3)).astype(np.uint8)
                + (150 * (mask == 2)).astype(np.uint8)[..., None]
            )
            mask[:2] = 0
            Image.fromarray(image).save(tmp_path / "data" / "images" / f"tile{tile}_{index}.png")
            Image.fromarray(mask).save(tmp_path / "data" / "masks" / f"tile{tile}_{index}.png")
    return tmp_path / "data"


def experiment(folder: Path, method: str = "safe", **changes: Any) -> Experiment:
    """Three tiles as clients."""
    sizes = {"method__d": 16, "method__d_e": 8} if method == "safe" else {}
    values: dict[str, Any] = {
        "task__dataset": "image_masks",
        "task__path": str(folder),
        "task__shots": None,
        "task__image_size": 32,
        "task__ses": 2,
        "scenario": "domain",
        "scenario__clients": 3,
        "method__width": 8,
        "training__lr": 0.1,
        "training__batch": 3,
        "rounds": 4,
        "evaluation__every": 4,
    }
    return small(method=method, **{**values, **sizes, **changes})


def test_safe_learns_to_segment(folder: Path, simulate: Any, tmp_path: Path) -> None:
    simulation = simulate(experiment(folder), folder=tmp_path / "run")
    first, last = simulation.store.rounds()[0], simulation.store.rounds()[-1]
    assert last["acc_shared_global"] > 0.8 > first["acc_shared_global"]
    assert simulation.store.described()["metric"] == "mIoU"
    assert 0 < last["d_cka"] < 1 and 0 <= last["mask_ratio"] <= 1 and last["cr_max"] >= 1
    # one pixel class everywhere is the floor; zero-shot and contributions of images do not exist here
    assert 0 < last["acc_majority_own"] < last["acc_shared_own"] and last["acc_zeroshot_own"] is None
    assert last["acc_majority_own"] == first["acc_majority_own"]
    assert not (tmp_path / "run" / "tables" / "images").exists()
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "run" / "tables" / "classes").to_pylist()
    own = [row for row in rows if row["round"] == 4 and row["scope"] == "shared"]
    assert {row["class_name"] for row in own} == {"class 1", "class 2"}
    iou = {
        name: sum(r["correct"] for r in own if r["class_name"] == name)
        / sum(r["total"] for r in own if r["class_name"] == name)
        for name in ("class 1", "class 2")
    }
    assert np.mean(list(iou.values())) == pytest.approx(
        last["acc_shared_global"]
    )  # the table gives the number


def test_a_tile_per_client_and_images_stay_whole(folder: Path) -> None:
    whole, cut = Federation.of(experiment(folder)), Federation.of(experiment(folder, task__crop=16))
    assert [len(shard) for shard in whole.shards] != [0, 0, 0] and whole.clients == 3
    assert all(len(np.unique(whole.images.domains[shard])) == 1 for shard in whole.shards)
    assert len(cut.images.labels) == 4 * len(whole.images.labels)


def test_too_few_images_are_refused(folder: Path) -> None:
    for file in [*(folder / "images").iterdir(), *(folder / "masks").iterdir()]:
        if not file.stem.endswith(("_0", "_1", "_2")) or not file.stem.startswith("tile0"):
            file.unlink()
    with pytest.raises(
        UserError, match=r"task.dataset = 'image_masks': 3 images leave 2 to train and 0 to validate"
    ):
        Federation.of(experiment(folder, scenario="even", scenario__clients=1))


def test_pixels_are_counted_for_the_log(folder: Path) -> None:
    worker = Worker(Federation.of(experiment(folder)))
    totals = worker.initial().totals
    images = np.concatenate(worker.federation.shards)
    masks = worker.frozen.masks
    assert masks is not None
    assert totals.tolist() == [int((masks[images] == label).sum()) for label in range(2)]


def test_ignored_pixels_count_nowhere() -> None:
    logits, y = torch.randn(1, 2, 4, 4, requires_grad=True), torch.full((1, 4, 4), IGNORE)
    assert NetworkMethod.cross_entropy(logits, y, None).item() == 0.0  # a batch without a labelled pixel
    y[0, 0, 0] = 1
    expected = torch.nn.functional.cross_entropy(logits[:, :, 0, 0], torch.tensor([1]))
    torch.testing.assert_close(NetworkMethod.cross_entropy(logits, y, None)[0], expected)
    torch.testing.assert_close(
        NetworkMethod.cross_entropy(logits, y, torch.tensor([1.0, 3.0]))[0], 3 * expected
    )


@pytest.mark.parametrize("method", ["fedavg", "local_network", "ratio_loss"])
def test_other_methods_segment_too(method: str, folder: Path, simulate: Any) -> None:
    changes = {"task__ses": 2} if method == "ratio_loss" else {}
    row = simulate(experiment(folder, method, rounds=1, evaluation__every=1, **changes)).last_measures
    assert 0 <= row["acc_personal_own"] <= 1


def test_what_segmentation_does_not_know_is_refused(folder: Path) -> None:
    with pytest.raises(UserError, match=r"classes = 2 is not allowed: 'image_masks' classifies pixels"):
        experiment(folder, task__classes=2)
    with pytest.raises(UserError, match=r"views = 4 is not allowed"):
        experiment(folder, task__views=4)
    with pytest.raises(UserError, match=r"crop = 32 is not allowed: 'scenes' classifies whole images"):
        small(task__crop=32)
    with pytest.raises(
        UserError, match="cannot classify the pixels of 'image_masks'; methods that can: safe"
    ):
        small(task__dataset="image_masks", task__path=str(folder))
