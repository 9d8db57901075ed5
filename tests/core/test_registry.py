"""Registries: what installed packages offer, and how a broken one is met."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raysim.core import warm
from raysim.core.errors import UserError
from raysim.core.registry import Registry
from tests.fakes.plugin import METHOD, write_package

LOOK = """
import json, sys
from raysim import METHODS, SCENARIOS, Experiment, override
from raysim.core.errors import UserError
said = {"known": "slow" in METHODS, "promptfl": METHODS["promptfl"].__name__}
try:
    experiment = override(Experiment(), {"method": "slow", "scenario": "fair"})
    said |= {"id": experiment.id, "keep": experiment.method.keep, "label": experiment.scenario.label}
except UserError as error:
    said["error"] = str(error)
print(json.dumps(said))
"""


def look(folder: Path) -> dict[str, object]:
    """What a new process finds with the folder on its path."""
    done = subprocess.run(
        [sys.executable, "-c", LOOK],
        env={**os.environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return dict(json.loads(done.stdout))


def test_an_installed_package_adds_to_the_registries(tmp_path: Path) -> None:
    said = look(write_package(tmp_path / "one"))
    assert said["known"] and said["keep"] == 0.5 and said["label"] == "fair"
    again, other = (
        look(write_package(tmp_path / "two")),
        look(write_package(tmp_path / "three", METHOD + "# x\n")),
    )
    assert again["id"] == said["id"] != other["id"], "the code of the package is part of the identity"


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ("slow = slowlib.nowhere:Slow", "'slow' of slow-lib 1.2: slowlib.nowhere:Slow cannot be imported"),
        ("slow = slowlib.methods:Nothing", "cannot be imported: AttributeError"),
        ("slow = slowlib.methods:Fair", "its attribute name is 'fair'"),
    ],
)
def test_a_broken_package_is_named_and_harms_no_other_method(
    tmp_path: Path, points: str, message: str
) -> None:
    said = look(write_package(tmp_path, points=points))
    assert message in str(said["error"]) and said["promptfl"] == "PromptFL"


def test_a_package_that_takes_a_name_is_refused_where_the_name_is_used(tmp_path: Path) -> None:
    points = "slow = slowlib.methods:Slow\nfedavg = slowlib.methods:Slow"
    code = "from raysim import METHODS; print(METHODS['slow'].__name__); METHODS['fedavg']"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": f"{write_package(tmp_path, points=points)}:{Path(__file__).parents[2]}",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout.strip() == "Slow"
    assert "method 'fedavg': slow-lib 1.2 offers this name too, and it belongs to raysim" in done.stderr


def test_what_comes_with_raysim_is_imported_when_it_is_used() -> None:
    registry: Registry[type] = Registry("thing", {"path": "pathlib:Path", "none": "nowhere:None"})
    assert registry["path"] is Path and set(registry) == {"path", "none"} and len(registry) == 2
    with pytest.raises(ModuleNotFoundError):
        registry["none"]
    with pytest.raises(UserError, match=r"unknown thing 'paht'; did you mean 'path'\? Known: none, path"):
        registry.get_or_refuse("paht")


def test_a_name_is_a_word() -> None:
    registry: Registry[object] = Registry("thing", {})
    with pytest.raises(UserError, match="a word of letters"):
        registry.add(len, name="two words")
    assert registry.add(len, name="length") is len and registry["length"] is len
    with pytest.raises(UserError, match="belongs to"):
        registry.add(Path, name="length")


def test_another_thing_of_a_name_empties_what_is_kept_by_name() -> None:
    """A class of a notebook's cell that is written anew has the module and the name of the first one."""
    registry: Registry[object] = Registry("thing", {})
    first, second = (type("Mine", (), {"name": "mine", "__module__": "__main__"}) for _ in range(2))
    kept = warm.cache("kept by name", maxsize=1)
    try:
        registry.add(first)
        kept.get("mine", lambda: 1)
        registry.add(first)
        assert len(kept) == 1, "the same one again"
        registry.add(second)
        assert registry["mine"] is second and len(kept) == 0
    finally:
        warm.CACHES.pop("kept by name")
