"""Warm caches of a process: they can be seen, sized and cleared in one place."""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import raysim
from raysim.core import warm
from raysim.experiment.records import identity
from raysim.simulation.device import CPU
from raysim.simulation.worker import worker_of
from tests.experiments import small

# files that may use functools' caches, with the reason
OUTSIDE = {
    "core/plugins.py": "the plug-in files of this process, which are no cache: they can be unloaded",
    "data/scenes/canvas.py": "two small tables of the drawing, the same for every scene",
    "data/segmentation.py": "the last images of one dataset; they belong to it and go with it",
}


@pytest.fixture
def doubles() -> Iterator[list[int]]:
    """The calls of a function whose results are kept."""
    calls: list[int] = []
    yield calls
    warm.CACHES.pop("doubles", None)


def test_results_are_kept_and_the_least_recently_used_goes_first(doubles: list[int]) -> None:
    @warm.kept("doubles", maxsize=2)
    def double(number: int) -> int:
        doubles.append(number)
        return 2 * number

    assert [double(number) for number in (1, 2, 1, 3, 1, 2)] == [2, 4, 2, 6, 2, 4]
    assert doubles == [1, 2, 3, 2] and warm.sizes()["doubles"] == 2
    warm.clear()
    assert warm.sizes()["doubles"] == 0 and double(1) == 2 and doubles[-1] == 1


def test_a_key_says_what_decides_the_result(doubles: list[int]) -> None:
    @warm.kept("doubles", maxsize=2, key=lambda number, note: number)
    def double(number: int, note: str) -> str:
        doubles.append(number)
        return note

    assert double(1, "first") == double(1, note="second") == "first" and doubles == [1]


def test_none_is_a_result_and_an_error_is_not(doubles: list[int]) -> None:
    @warm.kept("doubles", maxsize=2)
    def reciprocal(number: int) -> None:
        doubles.append(1 // number)

    assert reciprocal(1) is None and reciprocal(1) is None and doubles == [1]
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            reciprocal(0)
    assert warm.sizes()["doubles"] == 1


def test_threads_may_share_a_cache(doubles: list[int]) -> None:
    double = warm.kept("doubles", maxsize=8)(lambda number: 2 * number)
    found: list[bool] = []

    def work() -> None:
        found.append(all(double(number % 20) == 2 * (number % 20) for number in range(2000)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 4 and warm.sizes()["doubles"] == 8


def test_a_name_is_taken_once(doubles: list[int]) -> None:
    warm.cache("doubles", maxsize=1)
    with pytest.raises(ValueError, match=r"warm\.cache\('doubles'\)"):
        warm.cache("doubles", maxsize=1)


def test_an_experiment_fills_caches_and_clear_empties_all() -> None:
    warm.clear()
    worker = worker_of(identity(small()), CPU)
    worker.initial()
    full = {name for name, size in warm.sizes().items() if size}
    assert {"datasets", "images", "features", "backbones", "federations", "prompt models", "workers"} <= full
    assert worker_of(identity(small()), CPU) is worker
    warm.clear()
    assert set(warm.sizes().values()) == {0} and worker_of(identity(small()), CPU) is not worker


def keeps(path: Path) -> bool:
    """Whether a file uses a cache of functools, or has an empty dictionary of its own to fill."""
    tree = ast.parse(path.read_text())
    empty = [
        node
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.Dict)
        and not node.value.keys
    ]
    names = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "functools"
        for alias in node.names
    }
    return bool(empty or names & {"lru_cache", "cache"} or "functools.cache" in path.read_text())


def test_nothing_else_keeps_anything() -> None:
    package = Path(raysim.__file__).parent
    found = {str(path.relative_to(package)) for path in package.rglob("*.py") if keeps(path)}
    assert found == {"core/warm.py", *OUTSIDE}
