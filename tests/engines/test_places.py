"""Clients on two nodes give the bits of one process; the driver stays on the node of the command."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.engines import places


def test_hosts_with_other_images_are_named() -> None:
    places.check_images([("a", "1" * 64), ("b", "1" * 64)])
    with pytest.raises(UserError, match=r"different images \(fingerprints: b 2{12}, a 1{12}\)"):
        places.check_images([("a", "1" * 64), ("a", "1" * 64), ("b", "2" * 64)])


def test_two_nodes_give_the_bits_of_one_process(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engines.two_nodes", str(tmp_path)],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said = json.loads(done.stdout.splitlines()[-1])
    for name in ("safe", "fedrsclip"):
        serial, on_ray, apart, nodes, _ = said[name]
        assert serial == on_ray == apart and nodes == 2, name
    assert said["driver"] == [True] * 4
    assert said["files"], "the driver writes the networks that came in messages"
