"""The cache: mapped files, damage, keys, failures, and two processes at once."""

from __future__ import annotations

import logging
import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from raysim.core.errors import UserError
from raysim.data.dataset import Dataset
from tests.fakes.encoders import SIZE, Encoder, Noise, get, only_file


@pytest.mark.parametrize(
    ("kind", "views", "shape"),
    [("features", 1, (70, 1, 8)), ("patches", 2, (70, 2, 5, 8)), ("pixels", 3, (70, 3, SIZE, SIZE, 3))],
)
def test_hit_is_the_same_array_mapped_and_read_only(
    tmp_path: Path, kind: str, views: int, shape: tuple[int, ...]
) -> None:
    dataset, encoder = Noise(counter=tmp_path / "count"), None if kind == "pixels" else Encoder()
    steps: list[tuple[int, int]] = []
    first = get(
        dataset, encoder, tmp_path / "cache", kind, views=views, progress=lambda *step: steps.append(step)
    )
    assert first.shape == shape and first.dtype == (np.uint8 if kind == "pixels" else np.float32)
    assert steps == [(32, 70), (64, 70), (70, 70)]
    allocated = pa.total_allocated_bytes()
    again = get(dataset, encoder, tmp_path / "cache", kind, views=views)
    assert np.array_equal(first, again) and (tmp_path / "count").stat().st_size == 70
    assert (
        pa.total_allocated_bytes() == allocated and not again.flags.owndata
    )  # nothing was copied into memory
    assert not again.flags.writeable and again.flags.c_contiguous
    assert sorted(path.suffix for path in (tmp_path / "cache").iterdir()) == [".arrow", ".lock"]


def damage_by_one_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def damage_by_truncation(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def damage_by_emptying(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [damage_by_one_bit, damage_by_truncation, damage_by_emptying])
def test_damage_is_detected_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Any) -> None:
    original = get(Noise(), Encoder(), tmp_path).copy()
    path = only_file(tmp_path)
    whole = path.read_bytes()
    with caplog.at_level(logging.WARNING):
        get(Noise(), Encoder(), tmp_path)
        assert not caplog.records
        damage(path)
        assert np.array_equal(get(Noise(), Encoder(), tmp_path), original)
    assert len(caplog.records) == 1 and str(path) in caplog.text and "damaged" in caplog.text
    assert path.read_bytes() == whole


def test_another_key_is_another_file(tmp_path: Path) -> None:
    requests: list[tuple[Dataset, Any, dict[str, Any]]] = [
        (Noise(), Encoder(), {}),
        (Noise(), Encoder("two"), {}),
        (Noise(images=71), Encoder(), {}),
        (Noise(), Encoder(), {"views": 2}),
        (Noise(), Encoder(), {"kind": "patches"}),
        (Noise(), None, {"kind": "pixels"}),
        (Noise(), None, {"kind": "pixels", "image_size": 12}),
    ]
    for expected, (dataset, encoder, more) in enumerate(requests, start=1):
        get(dataset, encoder, tmp_path, **more)
        get(dataset, encoder, tmp_path, **more)
        assert len(list(tmp_path.glob("*.arrow"))) == expected


def build_in_a_process(folder: Path, start: Any, answers: Any) -> None:
    start.wait()
    values = get(Noise(counter=folder / "count", delay=0.01), Encoder(), folder / "cache")
    answers.put(values.tobytes())


def test_two_processes_at_once_do_the_work_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(2), context.Queue()
    processes = [
        context.Process(target=build_in_a_process, args=(tmp_path, start, answers)) for _ in range(2)
    ]
    for process in processes:
        process.start()
    results = [answers.get(timeout=50) for _ in processes]
    for process in processes:
        process.join(timeout=10)
        assert process.exitcode == 0
    assert results[0] == results[1] == get(Noise(), Encoder(), tmp_path / "alone").tobytes()
    assert (tmp_path / "count").stat().st_size == 70


def test_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read image 40"):
        get(Noise(broken=40), Encoder(), tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
    assert len(get(Noise(), Encoder(), tmp_path)) == 70
