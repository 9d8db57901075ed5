"""Clients on two nodes give the bits of one process, also when one is lost; features reach them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raysim.core.errors import UserError
from raysim.engines import places


def test_hosts_with_other_images_are_named() -> None:
    places.check_images([("a", "1" * 64), ("b", "1" * 64)])
    with pytest.raises(UserError, match=r"different images \(fingerprints: b 2{12}, a 1{12}\)"):
        places.check_images([("a", "1" * 64), ("a", "1" * 64), ("b", "2" * 64)])


def answer(done: subprocess.CompletedProcess[str]) -> Any:
    """Return what a program printed as JSON; Ray prints lines of its own when a node is lost."""
    return next(json.loads(line) for line in reversed(done.stdout.splitlines()) if line[:1] in ("[", "{"))


def run(module: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that makes a cluster."""
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder)],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_two_nodes_give_the_bits_of_one_process(tmp_path: Path) -> None:
    done = run("tests.engines.two_nodes", tmp_path)
    said = answer(done)
    for name in ("safe", "fedrsclip"):
        serial, on_ray, apart, nodes, _ = said[name]
        assert serial == on_ray == apart and nodes == 2, name
    assert said["driver"] == [True] * 4
    assert said["files"], "the driver writes the networks that came in messages"
    assert said["cache"] == [".arrow"] * 2, "features were sent to the second node"
    assert "gets MiB of the features scenes-" in done.stderr and "computes images of" not in done.stderr
    assert "as files in the run's folder, which all hosts see" in done.stderr
    differences, caches = said["survey"]
    assert differences == [] and str(tmp_path / "cache") in caches and len(set(caches)) == 2


def test_a_lost_node_changes_no_bit_and_another_one_takes_its_work(tmp_path: Path) -> None:
    done = run("tests.engines.lost_node", tmp_path)
    serial, lost, sent = answer(done)
    assert serial == lost and sent == [".arrow"]
