"""Features, pixels and masks: equal to those of the backbone, addressed views, and impossible requests."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data import features as features_module
from raysim.data.cache import cache_folder
from raysim.data.features import features, masks
from raysim.data.mixed import MixedDataset
from raysim.data.registry import catalogue, load_dataset
from raysim.data.views import resize, resize_mask
from tests.fakes.encoders import Encoder, Noise, get
from tests.fakes.masks import stripes, tiles, write


def test_cached_masks_are_mapped_and_kept(tmp_path: Path) -> None:
    for k in range(80):
        write(tmp_path / "data", f"{k:02d}", stripes(1, 0, 2, k % 3, height=8))
    dataset = load_dataset("image_masks", str(tmp_path / "data"))
    steps: list[tuple[int, int]] = []
    cached_masks = masks(
        dataset, image_size=16, cache_dir=tmp_path / "cache", progress=lambda *step: steps.append(step)
    )
    assert (
        cached_masks.shape == (80, 16, 16)
        and cached_masks.dtype == np.uint8
        and steps == [(32, 80), (64, 80), (80, 80)]
    )
    assert not cached_masks.flags.owndata and not cached_masks.flags.writeable
    assert all(np.array_equal(cached_masks[k], resize_mask(dataset.mask(k), 16)) for k in range(80))
    assert set(np.unique(cached_masks)) == {0, 1, IGNORE}
    (file,) = (tmp_path / "cache").glob("*.arrow")
    written = file.stat().st_mtime_ns
    assert (
        np.array_equal(masks(dataset, image_size=16, cache_dir=tmp_path / "cache"), cached_masks)
        and file.stat().st_mtime_ns == written
    )
    pixels = features(dataset, None, inputs="pixels", image_size=16, cache_dir=tmp_path / "cache")
    assert pixels.shape == (80, 1, 16, 16, 3)
    with pytest.raises(UserError, match=r"task\.views = 2 is not allowed"):
        features(dataset, None, inputs="pixels", image_size=16, views=2, cache_dir=tmp_path / "cache")


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


def test_another_rule_of_reading_reads_all_files_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of squares of images, of a plug-in that names no files, and of a mixture with scenes."""
    tiles(tmp_path / "data", each=3)
    scenes, cut = load_dataset("scenes", per_cell=1), load_dataset("image_masks", str(tmp_path / "data"), 2)
    datasets = [cut, Noise(images=3), MixedDataset([scenes, Noise(images=3)]), scenes]
    datasets.append(load_dataset("scene_masks", crop=32, per_cell=1))
    keys = []
    for version in ("now", "later"):
        monkeypatch.setattr(features_module, "READING_VERSION", version)
        keys.append([features_module._key(dataset, None, "pixels", 16, 1) for dataset in datasets])
    assert [now != later for now, later in zip(*keys, strict=True)] == [True, True, True, False, False]
    assert not any("reading" in key for key in keys[0][3:]), "keys of drawn data are as they were"


@pytest.mark.parametrize("cores", [1, 7])
def test_bits_do_not_depend_on_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cores: int) -> None:
    usual, encoder = get(Noise(), Encoder(), tmp_path, views=2), Encoder()
    threads = torch.get_num_threads()
    monkeypatch.setattr(features_module, "usable_cores", lambda: cores)
    torch.set_num_threads(2)
    try:
        other = get(Noise(), encoder, tmp_path / "other", views=2)
        assert torch.get_num_threads() == 2 and encoder.threads == {1}
    finally:
        torch.set_num_threads(threads)
    assert usual.tobytes() == other.tobytes()


def test_several_threads_encode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    four_blocks, encoder = Noise(images=4 * features_module.BATCH), Encoder()
    together = threading.Barrier(2, timeout=30)  # fails where no second block is encoded at the same time
    encode = encoder.encode_images
    monkeypatch.setattr(features_module, "usable_cores", lambda: 2)

    def waiting(images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        together.wait()
        return encode(images, patches)

    monkeypatch.setattr(encoder, "encode_images", waiting)
    usual = get(four_blocks, Encoder(), tmp_path / "usual")
    assert get(four_blocks, encoder, tmp_path).tobytes() == usual.tobytes()


def test_a_gpu_encodes_one_block_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, at_work, most = Encoder(), threading.Semaphore(1), list[bool]()
    encode, encoder.device = encoder.encode_images, torch.device("cuda")  # nothing is moved there

    def alone(images: torch.Tensor, patches: bool = False) -> torch.Tensor:
        most.append(at_work.acquire(blocking=False))
        time.sleep(0.01)
        at_work.release()
        return encode(images, patches)

    monkeypatch.setattr(features_module, "usable_cores", lambda: 8)
    monkeypatch.setattr(encoder, "encode_images", alone)
    get(Noise(images=8 * features_module.BATCH), encoder, tmp_path)
    assert most == [True] * 8


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
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == Path.home() / ".cache/raysim"
    monkeypatch.setenv("XDG_CACHE_HOME", "somewhere")  # its standard demands an absolute path
    assert cache_folder() == Path.home() / ".cache/raysim"
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/raysim")
    monkeypatch.setenv("RAYSIM_CACHE", "/mine")
    assert cache_folder() == Path("/mine")


@pytest.mark.skipif(not os.environ.get("RAYSIM_DATA"), reason="RAYSIM_DATA is not set: no real imagery")
def test_real_imagery(tmp_path: Path) -> None:
    from raysim.data.registry import load_dataset

    if not any(info.name == "rsscn7" and folder for info, folder in catalogue()):
        pytest.skip("rsscn7 is not under RAYSIM_DATA")
    dataset = load_dataset("rsscn7")
    pixels = get(dataset, None, tmp_path, "pixels", image_size=32)
    assert pixels.shape == (2800, 1, 32, 32, 3) and pixels.std() > 10
    assert np.array_equal(pixels[1234, 0], resize(dataset.image(1234), 32))
