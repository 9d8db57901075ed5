"""Fixtures: one feature cache and one Ray session for all tests, small experiments on the bundled scenes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from raysim.experiment import Experiment, override
from raysim.methods import METHODS
from raysim.simulate import Engine, Serial, Simulation
from raysim.store import Store


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Features are computed once per test session, in a folder of its own unless RAYSIM_CACHE names one."""
    torch.set_num_threads(1)
    folder = Path(os.environ.get("RAYSIM_CACHE") or tmp_path_factory.mktemp("cache"))
    os.environ["RAYSIM_CACHE"] = str(folder)
    yield folder


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """One local Ray with room for the largest pool under test."""
    from raysim import ray_pool
    from raysim.experiment import Resources

    ray_pool.start(Resources(workers=4))
    yield
    ray_pool.stop()


SMALL = {
    "rounds": 3,
    "scenario": "dirichlet",
    "scenario.alpha": 0.3,
    "scenario.clients": 5,
    "task.shots": 8,
    "evaluation.every": 2,
    "training.lr": 0.05,
    "training.batch": 16,
    "training.micro_cohort": 3,
    "method.shared_init": "a photo of a",
    "resources.workers": 1,
}


def small(**changes: Any) -> Experiment:
    """A federation of five clients that trains in a second; `method__lam=...` stands for `method.lam`."""
    base = {path: value for path, value in SMALL.items() if path != "scenario.alpha" or "scenario" not in changes}
    return override(Experiment(), {**base, **{path.replace("__", "."): value for path, value in changes.items()}})


TINY = {"task.image_size": 32, "task.classes": 4, "training.batch": 4, "method.width": 8}


def smallest(method: str, **changes: Any) -> Experiment:
    """The same federation with a method that may train a network: then a tiny one, on few small images, with several steps a round."""
    tiny = {path.replace(".", "__"): value for path, value in TINY.items()} if "network" in METHODS[method].model_fields else {}
    return small(method=method, **{**tiny, **changes})


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[..., Simulation]:
    """Run an experiment to its end in a folder of its own."""
    count = iter(range(100))

    def run(experiment: Experiment, engine: Engine | None = None, folder: Path | None = None, resume: bool = False) -> Simulation:
        path = folder or tmp_path / f"run{next(count)}"
        simulation = Simulation(experiment, engine or Serial(), Store(path, experiment), resume)
        for _ in simulation.rounds():
            pass
        return simulation

    return run


@pytest.fixture
def miniature(tmp_path: Path) -> Path:
    """Class folders of eight small images each."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name in ("forest", "river"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for index in range(8):
            Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(folder / f"{index}.png")
    return tmp_path / "images"
