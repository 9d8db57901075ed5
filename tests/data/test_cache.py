"""The feature cache: computed once, mapped, verified, rebuilt when damaged, safe between processes."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from raysim.core.errors import UserError
from raysim.data.cache import cache_folder, features, random_view, resize
from raysim.data.dataset import Dataset

SIZE = 16


class Noise(Dataset):
    """Random pictures of different shapes that count in a file how often one is decoded."""

    name, classes, domains, templates = "noise", ("noise",), ("all",), ("{}",)

    def __init__(
        self, images: int = 70, counter: Path | None = None, delay: float = 0.0, broken: int = -1
    ) -> None:
        self.labels = self.attributes = np.zeros(images, dtype=np.int64)
        self.counter, self.delay, self.broken = counter, delay, broken

    @property
    def fingerprint(self) -> str:
        return f"noise of {len(self)}"

    def image(self, index: int) -> np.ndarray:
        if index == self.broken:
            raise UserError(f"cannot read image {index}")
        time.sleep(self.delay)
        if self.counter is not None:
            with self.counter.open("ab") as file:
                file.write(b".")
        return np.random.default_rng(index).integers(0, 256, (20 + index % 5, 24, 3), dtype=np.uint8)


class Encoder:
    """A tiny stand-in for a backbone: pooled colours through a fixed matrix."""

    def __init__(self, fingerprint: str = "one", mean: float = 0.5) -> None:
        self.name, self.fingerprint, self.embed_dim, self.image_size = "tiny", fingerprint, 8, SIZE
        self.clip = torch.nn.Linear(3, 8)
        with torch.no_grad():
            self.clip.weight.copy_(torch.arange(24.0).reshape(8, 3).sin())
            self.clip.bias.zero_()
        self.mean = mean
        self.threads: set[int] = set()

    def preprocess(self, image: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(resize(image, SIZE).copy()).permute(2, 0, 1).float() / 255 - self.mean

    def encode_images(self, images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        self.threads.add(torch.get_num_threads())
        pooled = self.clip(images.mean((2, 3)))
        tokens = self.clip(images.unfold(2, 8, 8).unfold(3, 8, 8).mean((4, 5)).flatten(2).transpose(1, 2))
        out = torch.cat([pooled[:, None], tokens], dim=1) if patches else pooled
        return torch.nn.functional.normalize(out, dim=-1)


def get(dataset: Dataset, encoder: Any, folder: Path, kind: Any = "features", **more: Any) -> np.ndarray:
    return features(
        dataset, encoder, kind=kind, image_size=more.pop("image_size", SIZE), cache_dir=folder, **more
    )


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.arrow")
    return path


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


def test_values_are_those_of_the_backbone(tmp_path: Path) -> None:
    dataset, encoder = Noise(images=40), Encoder()
    plain = [encoder.preprocess(dataset.image(k)) for k in range(40)]
    with torch.inference_mode():
        expected = encoder.encode_images(torch.stack(plain), patches=True).numpy()
    np.testing.assert_allclose(get(dataset, encoder, tmp_path, "patches")[:, 0], expected, atol=1e-6)
    np.testing.assert_allclose(get(dataset, encoder, tmp_path)[:, 0], expected[:, 0], atol=1e-6)
    pixels = get(dataset, None, tmp_path, "pixels", image_size=11)
    assert all(np.array_equal(pixels[k, 0], resize(dataset.image(k), 11)) for k in range(40))


def test_views_differ_and_are_addressed(tmp_path: Path) -> None:
    three = get(Noise(images=40), Encoder(), tmp_path, views=3)
    assert np.array_equal(three[:, :1], get(Noise(images=40), Encoder(), tmp_path))
    assert np.array_equal(three, get(Noise(images=40), Encoder(), tmp_path / "elsewhere", views=3))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert (np.abs(three[:, one] - three[:, other]).max(axis=1) > 1e-4).all()


@pytest.mark.parametrize("cores", [1, 7])
def test_bits_do_not_depend_on_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    usual, encoder = get(Noise(), Encoder(), tmp_path, views=2), Encoder()
    threads = torch.get_num_threads()
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    torch.set_num_threads(2)
    try:
        other = get(Noise(), encoder, tmp_path / "other", views=2)
        assert torch.get_num_threads() == 2 and encoder.threads == {1}
    finally:
        torch.set_num_threads(threads)
    assert usual.tobytes() == other.tobytes()


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
        (Noise(), Encoder(mean=0.4), {}),  # the same weights after another transform
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


def test_impossible_requests_are_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write the feature cache in .*file/cache .*RAYSIM_CACHE"):
        get(Noise(), Encoder(), tmp_path / "file/cache")
    with pytest.raises(
        UserError, match="image size 99 is not allowed: the backbone 'tiny' takes images of 16 px"
    ):
        get(Noise(), Encoder(), tmp_path, image_size=99)
    with pytest.raises(UserError, match="0 views"):
        get(Noise(), Encoder(), tmp_path, views=0)
    with pytest.raises(ValueError, match="needs a backbone"):
        get(Noise(), None, tmp_path)
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "from the environment"))
    assert cache_folder() == tmp_path / "from the environment" and cache_folder(tmp_path) == tmp_path
    monkeypatch.delenv("RAYSIM_CACHE")
    assert cache_folder() == Path.home() / ".cache/raysim"


@pytest.mark.parametrize("shape", [(40, 40), (30, 90), (90, 31), (5, 7), (1, 1)])
def test_transforms_keep_their_promises(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert resize(image, 16).shape == (16, 16, 3) and resize(image, 16).dtype == np.uint8
    for seed in range(20):
        view = random_view(image, 16, np.random.default_rng(seed))
        assert view.shape == (16, 16, 3) and view.dtype == np.uint8


def test_transforms_show_the_right_part() -> None:
    columns = np.broadcast_to(np.arange(120, dtype=np.uint8)[None, :, None], (40, 120, 3))
    assert (
        abs(float(resize(columns, 40).mean()) - 59.5) < 0.01 and resize(columns, 40).min() == 40
    )  # the centre square
    widths, mirrored = [], 0
    square = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    for seed in range(300):
        row = random_view(square, 32, np.random.default_rng(seed))[16, :, 0].astype(float)
        widths.append(abs(row[-1] - row[0]) / 200 * 32 / 31)
        mirrored += row[0] > row[-1]
    assert (
        0.5 < min(widths) < 0.7 and 0.95 < max(widths) < 1.02
    )  # crops of half to all of the area, aspect at most 4:3
    assert 110 < mirrored < 190


@pytest.mark.skipif(not os.environ.get("RAYSIM_DATA"), reason="RAYSIM_DATA is not set: no real imagery")
def test_real_imagery(tmp_path: Path) -> None:
    from raysim.data import catalogue, load_dataset

    if not any(info.name == "rsscn7" and folder for info, folder in catalogue()):
        pytest.skip("rsscn7 is not under RAYSIM_DATA")
    dataset = load_dataset("rsscn7")
    pixels = get(dataset, None, tmp_path, "pixels", image_size=32)
    assert pixels.shape == (2800, 1, 32, 32, 3) and pixels.std() > 10
    assert np.array_equal(pixels[1234, 0], resize(dataset.image(1234), 32))
