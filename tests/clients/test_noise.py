"""Label noise: which labels are wrong, and how many."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.clients import noise
from raysim.clients.partition import SCENARIOS
from raysim.core.errors import UserError
from raysim.data.registry import load_dataset
from raysim.data.views import resize
from tests.fakes.encoders import Noise

COLOURS = {
    "brick": (200, 40, 40),
    "clay": (180, 50, 40),
    "dune": (150, 110, 40),
    "lake": (30, 40, 200),
    "sea": (30, 60, 160),
}


def noisy_labels(
    share: float, confused: np.ndarray | None = None, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Labels of 400 images of 5 classes, the noisy labels, and shards; 50 images have no client."""
    labels = np.arange(400) % 5
    order = np.random.default_rng(3).permutation(400)
    shards = [np.sort(part) for part in np.split(order[:350], np.cumsum([1, 5, 10, 24, 150]))]
    return labels, noise.training_labels(labels, shards, share, 5, confused, seed), shards


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.99])
@pytest.mark.parametrize("confused", [None, np.array([1, 0, 1, 4, 3])])
def test_every_client_has_exactly_its_share_of_wrong_labels(
    share: float, confused: np.ndarray | None
) -> None:
    labels, noisy, shards = noisy_labels(share, confused)
    for shard in shards:
        assert (noisy[shard] != labels[shard]).sum() == round(share * len(shard))
    nobody = np.setdiff1d(np.arange(400), np.concatenate(shards))
    assert len(nobody) == 50 and (noisy[nobody] == labels[nobody]).all() and set(noisy) <= set(range(5))
    if confused is not None:
        wrong = noisy != labels
        assert (noisy[wrong] == confused[labels[wrong]]).all()


def test_symmetric_noise_takes_every_other_class_alike() -> None:
    counts = np.zeros((5, 5))
    for seed in range(40):
        labels, noisy, shards = noisy_labels(0.5, seed=seed)
        held = np.concatenate(shards)
        np.add.at(counts, (labels[held], noisy[held]), 1)
    wrong = counts[~np.eye(5, dtype=bool)].reshape(5, 4)
    assert (wrong / wrong.sum(axis=1, keepdims=True) == pytest.approx(0.25, abs=0.035)) and wrong.sum() > 6000


def test_noise_has_an_address_and_grows() -> None:
    labels, some, _ = noisy_labels(0.2)
    _, more, _ = noisy_labels(0.4)
    _, other, _ = noisy_labels(0.2, seed=1)
    wrong = some != labels
    assert (more[wrong] != labels[wrong]).all() and (more != labels).sum() > wrong.sum()
    assert not np.array_equal(some, other) and np.array_equal(some, noisy_labels(0.2)[1])


@pytest.fixture
def coloured(tmp_path: Path) -> Path:
    """Class folders of eight images of one colour with some noise, so that the nearest class is known."""
    rng = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        folder = tmp_path / "coloured" / name
        folder.mkdir(parents=True)
        for index in range(8):
            picture = np.clip(np.array(colour) + rng.integers(-20, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(picture).save(folder / f"{index}.png")
    return tmp_path / "coloured"


def test_class_means_are_those_of_the_training_images_and_read_once(
    coloured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_dataset("folder", str(coloured))
    train = np.flatnonzero(np.arange(len(dataset)) % 3 > 0)
    means = noise.class_means(dataset, train)
    for label in range(5):
        mine = [
            resize(dataset.image(int(index)), 8).ravel() for index in train if dataset.labels[index] == label
        ]
        np.testing.assert_allclose(means[label], np.mean(mine, axis=0), rtol=1e-12)
    monkeypatch.setattr(type(dataset), "image", lambda self, index: pytest.fail("read again"))
    assert np.array_equal(noise.class_means(dataset, train), means)


class Counted(Noise):
    """Pictures that say when they are read."""

    read: list[int]

    def image(self, index: int) -> np.ndarray:
        self.read.append(index)
        return super().image(index)


def test_another_rule_of_reading_reads_the_images_of_a_plugin_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path))
    dataset = Counted(images=3)
    dataset.read = []
    for version in ("now", "now", "later"):
        monkeypatch.setattr(noise, "READING_VERSION", version)
        noise.class_means(dataset, np.arange(3))
    assert sorted(dataset.read) == [0, 0, 1, 1, 2, 2]


def test_a_class_without_images_is_nobodys_pair() -> None:
    means = np.array([[0.0, 0.0], [np.nan, np.nan], [9.0, 0.0], [5.0, 0.0], [5.0, 0.0]])
    assert noise.most_confusable(means)[[0, 2, 3, 4]].tolist() == [3, 3, 4, 3]
    with pytest.raises(UserError, match="at least two classes with training images"):
        noise.most_confusable(means[:2])


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_says_its_noise(name: str) -> None:
    plain = SCENARIOS[name]().label
    assert SCENARIOS[name](label_noise=0.2, noise_kind="pairs").label == f"{plain}, 20 % noisy pairs"
    assert SCENARIOS[name](noise_kind="pairs").label == plain
