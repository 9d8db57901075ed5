"""Results that are kept in the cache folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from raysim.data.memo import folder_stamp, remember


def test_what_is_remembered_survives_damage_and_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    calls = []

    def compute() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"a": np.arange(5)}

    for _ in range(2):
        assert remember(tmp_path, "x", {"k": 1}, compute)["a"].tolist() == [0, 1, 2, 3, 4]
    assert len(calls) == 1
    (file,) = tmp_path.glob("*.npz")
    file.write_bytes(file.read_bytes()[:60])
    assert remember(tmp_path, "x", {"k": 1}, compute)["a"].tolist() == [0, 1, 2, 3, 4] and len(calls) == 2
    assert remember(file, "x", {"k": 1}, compute)["a"].tolist() == [0, 1, 2, 3, 4] and len(calls) == 3
    remember(tmp_path, "x", {"k": 2}, compute)
    assert len(calls) == 4


def test_the_stamp_of_a_folder_is_of_its_files_to_a_depth(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "nowhere.png").symlink_to(tmp_path / "gone")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    stamps = [(folder_stamp(tmp_path, 0), folder_stamp(tmp_path, 1))]
    for name in ("a/b/deep.png", "a/x.png", "y.png", "c.png"):
        (tmp_path / name).write_text("1")
        stamps.append((folder_stamp(tmp_path, 0), folder_stamp(tmp_path, 1)))
    shallow, deep = zip(*stamps, strict=True)
    assert shallow[0] == shallow[1] == shallow[2] and len(set(shallow)) == 3
    assert deep[0] == deep[1] and len(set(deep)) == 4
    os.utime(tmp_path / "a/x.png", ns=(1, 1))
    assert folder_stamp(tmp_path, 1) not in deep and folder_stamp(tmp_path, 0) == shallow[-1]
    assert folder_stamp(tmp_path / "none", 1) == folder_stamp(tmp_path / "none", 0) != shallow[0]


def test_a_whole_file_with_other_contents_is_computed_again(tmp_path: Path) -> None:
    """A file of another key in the place of this one, and one that somebody has changed."""
    first = {"a": np.arange(3)}
    remember(tmp_path, "x", {"k": 1}, lambda: first)
    remember(tmp_path, "x", {"k": 2}, lambda: {"a": 2 * np.arange(3)})
    one, two = sorted(tmp_path.glob("*.npz"), key=lambda path: np.load(path)["a"][1])
    shutil.copy(two, one)
    assert remember(tmp_path, "x", {"k": 1}, lambda: first)["a"].tolist() == [0, 1, 2]
    with np.load(two) as content:
        changed = {**content, "a": np.array([9, 9, 9])}
    np.savez_compressed(two, **changed)
    assert remember(tmp_path, "x", {"k": 2}, lambda: first)["a"].tolist() == [0, 1, 2]
