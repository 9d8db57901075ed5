"""Fixtures: one feature cache and one Ray session for all tests, small experiments on the bundled scenes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from raysim.engines.serial import Serial
from raysim.experiment import Experiment
from raysim.simulation.engine import Engine
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store


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
    from raysim.engines import ray_pool
    from raysim.experiment import Resources

    ray_pool.start(Resources(workers=4))
    yield
    ray_pool.stop()


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[..., Simulation]:
    """Run an experiment to its end in a folder of its own."""
    count = iter(range(100))

    def run(
        experiment: Experiment, engine: Engine | None = None, folder: Path | None = None, resume: bool = False
    ) -> Simulation:
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
