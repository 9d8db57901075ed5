"""Registries: what installed packages offer, and how a broken one is met."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

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
        env={**__import__("os").environ, "PYTHONPATH": f"{folder}:{Path(__file__).parents[2]}"},
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
