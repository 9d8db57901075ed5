"""Nothing that cannot change during a run is computed twice.

Image features, the class names' part of the text tower, and backbones in memory: one per worker process,
shared by all its clients and runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from raysim.backbones.backbone import Backbone
from raysim.core import warm
from raysim.experiment import Experiment
from raysim.experiment.records import identity
from raysim.nn.text import TextTower
from raysim.simulation import images as images_module
from raysim.simulation.device import CPU
from raysim.simulation.rounds import Simulation
from raysim.simulation.worker import Worker, worker_of
from tests.experiments import small

Run = Callable[..., Simulation]
PROMPT_METHODS = ("fedrsclip", "promptfl", "promptfl_ft", "promptfl_prox")


@pytest.fixture
def new_process() -> Iterator[Callable[[], None]]:
    """Forget what is warm, as a new process would have nothing."""
    warm.clear()
    yield warm.clear
    warm.clear()


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of images in each call of an image encoder."""
    counts: list[int] = []
    encode = Backbone.encode_images

    def count(self: Backbone, images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        counts.append(len(images))
        return encode(self, images, patches)

    monkeypatch.setattr(Backbone, "encode_images", count)
    return counts


def test_images_are_encoded_once_for_all_experiments(
    new_process: Callable[[], None],
    encoded: list[int],
    miniature: Path,
    simulate: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two methods and two seeds, then another process: each image is encoded once."""
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "cache"))

    def experiment(**changes: Any) -> Experiment:
        folder = {"task__dataset": "folder", "task__path": str(miniature), "task__shots": None}
        return small(**folder, scenario="even", scenario__clients=2, rounds=2, **changes)

    simulate(experiment())
    simulate(experiment(method="promptfl", seed=1))
    assert sum(encoded) == 16, "the images of the folder"
    new_process()
    simulate(experiment(seed=2))
    assert sum(encoded) == 16, "their features were on disk"


def test_one_backbone_serves_all_methods_and_clients(
    new_process: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = images_module.load_backbone

    def count(name: str, *arguments: Any) -> Backbone:
        loaded.append(name)
        return load(name, *arguments)

    monkeypatch.setattr(images_module, "load_backbone", count)
    workers = [worker_of(identity(small(method=method)), CPU) for method in PROMPT_METHODS]
    backbones = {id(worker.frozen.context.backbone) for worker in workers}
    assert loaded == ["scenes-clip"] and len(backbones) == 1
    assert len({id(worker.model.tower) for worker in workers}) == 1
    frozen = workers[0].frozen.context.backbone.clip
    assert not any(parameter.requires_grad for parameter in frozen.parameters())


def test_settings_of_a_method_share_one_text_tower() -> None:
    one, two = (worker_of(identity(small(method__lam=lam)), CPU) for lam in (0.11, 0.12))
    assert one is not two and one.model.tower is two.model.tower


def test_class_names_are_prepared_once_for_each_length_of_a_prompt(
    new_process: Callable[[], None], simulate: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[int] = []
    prepare = TextTower.prepare

    def count(self: TextTower, class_tokens: Any, prefix_length: int) -> Any:
        lengths.append(prefix_length)
        return prepare(self, class_tokens, prefix_length)

    monkeypatch.setattr(TextTower, "prepare", count)
    for seed in range(2):
        simulate(small(seed=seed, rounds=2))
    assert lengths and len(set(lengths)) == len(lengths)


def test_the_worker_of_an_experiment_stays_warm(new_process: Callable[[], None], simulate: Run) -> None:
    """One worker for all rounds and clients of a run, and for whoever runs the experiment again."""
    made: list[Worker] = []
    simulate(small(rounds=2))
    made += [worker_of(identity(small(rounds=2)), CPU) for _ in range(2)]
    assert made[0] is made[1] and warm.sizes()["workers"] == 1
