"""Results that are kept in the cache folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from raysim.data.memo import remember


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
