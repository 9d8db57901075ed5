"""What is said of the images before a run or a sweep: what was left out, and copies, with its own splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raysim.cli.main import main
from tests.fakes.rasters import class_folders

WORDS = ("task.dataset=folder", "scenario.clients=2", "task.shots=null")


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Two classes with one image in both, and a file that is no image."""
    root = class_folders(tmp_path / "tiles", each=12)
    shutil.copy(root / "beach" / "000.png", root / "forest" / "copy.png")
    (root / "beach" / "raw.dng").write_bytes(b"raw")
    return root


def test_a_sweep_says_what_it_left_out_and_what_is_there_twice(
    tiles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sweep", "fedrsclip", "--dry-run", *WORDS, f"task.path={tiles}", "task.views=1"]
    assert main(words) == 0
    said = capsys.readouterr().err
    assert said.count("left out: 1") == 1 and "dng" in said
    assert said.count("2 images are equal to another in several classes") == 1
    assert "beach/000.png" in said and "forest/copy.png" in said
    assert main([*words, "--quiet"]) == 0
    assert "equal to another" not in capsys.readouterr().err


def test_copies_across_the_splits_of_a_table_of_clients_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = class_folders(tmp_path / "tiles", each=12)
    shutil.copy(root / "beach" / "000.png", root / "beach" / "copy.png")
    rows = [
        f"{file.parent.name}/{file.name},{'ab'[number % 2]}"
        for number, file in enumerate(sorted(root.glob("*/*")))
    ]
    parts = ["test" if "copy" in row or "011" in row or "010" in row else "train" for row in rows]
    table = tmp_path / "owners.csv"
    table.write_text(
        "file,client,split\n" + "".join(f"{row},{part}\n" for row, part in zip(rows, parts, strict=True))
    )
    words = [
        "run",
        "fedrsclip",
        "method=promptfl",
        "task.dataset=folder",
        f"task.path={root}",
        "scenario=given",
        f"scenario.file={table}",
    ]
    words += ["task.shots=null", "task.views=1", "rounds=1", "training.epochs=1", "--engine", "serial"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().err
    assert "2 images are equal to another in several of training, validation and test: " in said
    assert "beach/000.png" in said and "beach/copy.png" in said
