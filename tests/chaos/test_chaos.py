"""Ten of the disturbances of `make chaos`, in every run of the tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.__main__ import page
from tests.chaos.disturbances import Row, kinds_of
from tests.chaos.processes import Tree, orphans

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_disturbances_lose_nothing() -> None:
    """In a process of its own: it forks, and this one may have a Ray and threads."""
    words = [sys.executable, "-m", "tests.chaos", "--quick", "--seed", "5"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=590, check=False, cwd=ROOT)
    assert done.returncode == 0 and "10 disturbances" in done.stdout, done.stdout + done.stderr


def test_the_page_counts_every_fault_once() -> None:
    rows = [
        Row("sweep", "gcs", "1 of 4", 1, 3.0, 0),
        Row("sweep", "gcs", "2 of 4", "hung", 240.0, 0, ["hung at 2 of 4", "another answer: x"]),
        Row("sweep", "gcs", "2 of 4", 1, 9.0, 0, ["left in shared memory: a", "status 7: y"]),
    ]
    text = page(rows, "make chaos", 2)
    assert "| sweep | gcs | 3 | 1, hung | 240 | 1 | 0 | 1 | 1 | 1 |" in text
    assert "**2 with a fault.**" in text and "* sweep, gcs, at 2 of 4: hung at 2 of 4" in text


def test_a_tree_has_the_children_of_children_and_no_others() -> None:
    words = [sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '60'])"]
    child, other = subprocess.Popen(words), subprocess.Popen(["sleep", "60"])
    try:
        tree = Tree(child.pid)
        while len(tree.alive()) < 2:
            tree.look()
        assert other.pid not in tree.alive()
        tree.kill()
        child.wait(10)
        assert tree.wait_for_silence(10) == [] and other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.skipif(not Path("/dev/shm").exists(), reason="a system without shared memory in files")
def test_what_a_process_still_has_open_is_no_orphan() -> None:
    before = {path.name for path in Path("/dev/shm").iterdir()}
    path = Path(f"/dev/shm/raysim-test-{os.getpid()}")
    with path.open("w"):
        assert path.name not in orphans(before)
    assert path.name in orphans(before)
    path.unlink()


def test_files_of_a_result_have_kinds(tmp_path: Path) -> None:
    for name in ("run.json", "runs/a/run.json", "tables/rounds/a-1.parquet", "report/index.html", ".lock"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert set(kinds_of(tmp_path)) == {"run.json", "runs/*/run.json", "rounds/*.parquet"}
