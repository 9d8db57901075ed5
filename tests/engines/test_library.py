"""Features that one host has computed and others get: who computes, who waits, what is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from ray.exceptions import RayActorError

from raysim.core.config import digest
from raysim.data import cache
from raysim.engines import library
from raysim.engines.library import Borrower, Library


class Called:
    """A method of an actor, called at once."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self.remote = method

    def options(self, **_: object) -> Called:
        return self


class Handle:
    """An actor in this process."""

    def __init__(self, actor: Any) -> None:
        self.actor = actor

    def __getattr__(self, name: str) -> Called:
        return Called(getattr(self.actor, name))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    """The library of a head whose cache folder is empty; calls are answered in this process."""
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "home"))
    monkeypatch.setattr(ray, "get", lambda answer: answer)
    monkeypatch.setattr(cache, "_suppliers", [])
    monkeypatch.setattr(library, "BLOCK", 1000)  # several blocks
    return Library()


def host(home: Library, name: str) -> Borrower:
    borrower = Borrower(Handle(home))
    borrower._host = name
    return borrower


def rows(count: list[int]) -> Callable[[], Iterator[np.ndarray]]:
    def compute() -> Iterator[np.ndarray]:
        for block in np.arange(96, dtype=np.float32).reshape(3, 4, 8):
            count[0] += 1
            yield block

    return compute


def test_the_second_host_gets_what_the_first_one_computed(home: Library, tmp_path: Path) -> None:
    count = [0]
    arrays = []
    name = f"made-{digest({'key': 1}, 20)}.arrow"
    home.receive(name, "a", b"an attempt that broke off", 0, False)
    for name in ("a", "b"):
        cache.supply_from(host(home, name))
        arrays.append(cache.cached_array("made", {"key": 1}, 12, tmp_path / name, rows(count)))
    assert count == [3] and np.array_equal(*arrays)
    files = [next((tmp_path / name).glob("*.arrow")).read_bytes() for name in ("home", "a", "b")]
    assert files[0] == files[1] == files[2]
    said = [line.split(" the features ")[0] for line in home.lines()]
    assert said == ["a computes images of", "a sends MiB of", "b gets MiB of"] and home.lines() == []


def test_a_host_waits_for_the_one_that_computes_until_that_is_silent(
    home: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (
        home.ask("x", "a") == "compute" and home.ask("x", "b") == "wait" and home.ask("x", "a") == "compute"
    )
    monkeypatch.setattr(library, "CLAIM_SECONDS", 0.0)
    assert home.ask("x", "b") == "compute", "a may be lost"


def test_a_damaged_file_of_the_head_is_computed_here(home: Library, tmp_path: Path) -> None:
    count = [0]
    cache.supply_from(host(home, "a"))
    cache.cached_array("made", {"key": 1}, 12, tmp_path / "a", rows(count))
    [file] = (tmp_path / "home").glob("*.arrow")
    file.write_bytes(file.read_bytes()[:-900])
    cache.supply_from(host(home, "b"))
    array = cache.cached_array("made", {"key": 1}, 12, tmp_path / "b", rows(count))
    assert count == [6] and array.sum() == np.arange(96).sum()


def test_a_host_whose_library_is_gone_computes(
    home: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: object) -> None:
        raise RayActorError

    cache.supply_from(host(home, "a"))
    monkeypatch.setattr(ray, "get", gone)
    count = [0]
    assert len(cache.cached_array("made", {"key": 1}, 12, tmp_path / "a", rows(count))) == 12 and count == [3]


def test_a_line_is_said_once(home: Library) -> None:
    for line in ("one", "two", "one"):
        home.tell(line)
    assert home.lines() == ["one", "two"]
