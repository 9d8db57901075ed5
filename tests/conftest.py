"""Fixtures: one feature cache, one Ray session and one finished sweep for all tests, and small runs.

What is heavy is imported inside the fixtures, so that the tests of a room start with that room's imports.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from raysim.engines.ray_pool import RayPool
    from raysim.experiment import Experiment
    from raysim.simulation.engine import Engine
    from raysim.simulation.rounds import Simulation
    from tests.sweep_commands import FinishedSweep


# what a shell starts in the background ignores Ctrl-C, and so would every command of the tests
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# fixtures that take long to make: one process of the tests has those of a group
SHARED = {"ray": ("ray_session", "four_workers", "pool_of"), "sweep": ("finished_sweep",)}


@functools.cache
def shared(path: Path) -> str:
    """Which group of fixtures that take long the tests of a file use, empty for none."""
    text = path.read_text(encoding="utf-8")
    return next((group for group, names in SHARED.items() if any(name in text for name in names)), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that share Ray or the finished sweep first, because they take longest."""
    first = {path for path in {item.path for item in items} if shared(path)}
    items.sort(key=lambda item: item.path not in first)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """`make test` runs two processes of pytest: one gets all files of a group, both get whole files."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return shared(config.rootpath / file) or file

    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Features are computed once per test session, in a folder of its own unless RAYSIM_CACHE names one."""
    if torch := sys.modules.get("torch"):  # the modules of the tests are imported by now
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


@pytest.fixture(scope="session")
def four_workers(ray_session: None) -> Iterator[RayPool]:
    """A pool of four, started once: a new process of a client actor costs seconds.

    It reserves half of the session's CPUs; the other half is for pools that tests start themselves.
    """
    from raysim.engines.ray_pool import RayPool
    from raysim.experiment import Resources

    pool = RayPool(Resources(workers=4, cpus=0.5)).start()
    yield pool
    pool.close()


@pytest.fixture
def pool_of(four_workers: RayPool) -> Callable[[int], RayPool]:
    """Pools of one to four workers, made of the first actors of the pool of four. They are not closed."""
    from raysim.engines.ray_pool import RayPool
    from raysim.experiment import Resources

    def make_pool(workers: int) -> RayPool:
        pool = RayPool(Resources(workers=workers, cpus=0.5))
        pool.actors = four_workers.actors[:workers]
        return pool

    return make_pool


@pytest.fixture(scope="session")
def finished_sweep(tmp_path_factory: pytest.TempPathFactory) -> FinishedSweep:
    """A real sweep of a few trials, with its races, confirmations and page."""
    from tests.sweep_commands import run_sweep, write_tiny_space

    folder = tmp_path_factory.mktemp("sweep")
    return run_sweep(write_tiny_space(folder), folder / "out")


@pytest.fixture
def simulate(tmp_path: Path) -> Callable[..., Simulation]:
    """Run an experiment to its end in a folder of its own."""
    from raysim.engines.serial import Serial
    from raysim.simulation.rounds import Simulation
    from raysim.storage.store import Store

    count = iter(range(100))

    def run(
        experiment: Experiment, engine: Engine | None = None, folder: Path | None = None, resume: bool = False
    ) -> Simulation:
        path = folder or tmp_path / f"run{next(count)}"
        simulation = Simulation(experiment, engine or Serial(), Store(path, experiment)).open(resume)
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


@pytest.fixture
def no_plugin_stays(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No plug-in is named by the environment, and what a test loads is unloaded behind it."""
    from raysim.core import plugins

    monkeypatch.setenv(plugins.VARIABLE, "")
    yield
    for file in plugins.active():
        plugins.unload(file.path)
    if "analysis.declared" in sys.modules:
        from raysim.storage.report import figure_kinds

        figure_kinds()
