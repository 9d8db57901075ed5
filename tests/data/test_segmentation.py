"""Folders of images and masks: classes, splits, fingerprints; and images cut into squares."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.registry import load_dataset
from raysim.data.segmentation import Cropped, ImageMasks, cuts
from raysim.data.splits import split
from tests.fakes.masks import stripes, tiles, write


def test_a_folder_without_names_of_classes(tmp_path: Path) -> None:
    tiles(tmp_path)
    dataset = load_dataset("image_masks", str(tmp_path))
    assert isinstance(dataset, ImageMasks) and dataset.segments
    assert dataset.classes == ("class 1", "class 2") and dataset.domains == ("tile0", "tile1")
    assert dataset.labels.tolist() == [0] * 9 + [1] * 9 and dataset.labels.dtype == np.int64
    assert dataset.attributes.tolist() == [0] * 9 + [1] * 9
    assert dataset.mask(0).dtype == np.uint8 and dataset.mask(0)[0].tolist() == [255, 255, 0, 0, 1, 1, 0, 0]
    assert np.array_equal(dataset.image(0)[..., 0], stripes(0, 1, 2, 1))
    assert dataset.pixels.tolist() == [[16, 8, 8]] * 9 + [[8, 16, 8]] * 9


def test_a_mask_that_changes_after_opening_is_checked_again(tmp_path: Path) -> None:
    tiles(tmp_path)
    (tmp_path / "classes.txt").write_text("ignore\nwater\nland")
    dataset = load_dataset("image_masks", str(tmp_path))
    write(tmp_path, "tile0_000", stripes(0, 1, 77))
    with pytest.raises(UserError, match=r"tile0_000\.png: mask value 77 is not allowed"):
        dataset.mask(0)
    with pytest.raises(UserError, match="mask value 77"):
        load_dataset("image_masks", str(tmp_path))


def test_split_of_a_folder_is_6_1_2_in_every_domain(tmp_path: Path) -> None:
    tiles(tmp_path, domains=3)
    dataset = load_dataset("image_masks", str(tmp_path))
    assigned = split(dataset, 0)
    assert assigned.dtype == np.int8
    for domain in range(3):
        assert np.bincount(assigned[dataset.attributes == domain]).tolist() == [6, 1, 2]
    assert np.array_equal(assigned, split(dataset, 0)) and not np.array_equal(assigned, split(dataset, 1))
    orders = {assigned[dataset.attributes == domain].tobytes() for domain in range(3)}
    assert len(orders) > 1  # each domain in an order of its own


def test_images_without_any_class_have_no_split(tmp_path: Path) -> None:
    tiles(tmp_path, domains=1)
    write(tmp_path, "tile0_100", stripes(0, 0))
    assert split(load_dataset("image_masks", str(tmp_path)), 0)[-1] == -1
    assert np.bincount(split(load_dataset("image_masks", str(tmp_path)), 0)[:-1]).tolist() == [6, 1, 2]


def test_fingerprint_follows_images_and_masks_but_not_the_place(tmp_path: Path) -> None:
    for root in ("one", "two"):
        tiles(tmp_path / root)
    one, two = (load_dataset("image_masks", str(tmp_path / root)).fingerprint for root in ("one", "two"))
    assert one == two and len(one) == 64
    seen = {one}
    write(tmp_path / "two", "tile0_000", stripes(0, 1, 1, 1))
    seen.add(load_dataset("image_masks", str(tmp_path / "two")).fingerprint)
    Image.fromarray(np.full((4, 8, 3), 9, np.uint8)).save(tmp_path / "two/images/tile0_000.png")
    seen.add(load_dataset("image_masks", str(tmp_path / "two")).fingerprint)
    assert len(seen) == 3


def test_opening_again_reads_no_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "cache"))
    tiles(tmp_path / "data")
    first = load_dataset("image_masks", str(tmp_path / "data"))
    prints = first.fingerprint
    monkeypatch.setattr("raysim.data.mask_files.read_mask", lambda file: pytest.fail(f"read {file} again"))
    monkeypatch.setattr(
        "raysim.data.segmentation.file_digest", lambda file: pytest.fail(f"read {file} again")
    )
    again = load_dataset("image_masks", str(tmp_path / "data"))
    assert np.array_equal(again.labels, first.labels) and again.fingerprint == prints


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (32, [0]),
        (64, [0, 32]),
        (47, [0]),
        (48, [0, 16]),
        (80, [0, 32, 48]),
        (79, [0, 32]),
        (20, [0]),
        (95, [0, 32, 63]),
    ],
)
def test_squares_along_a_side(length: int, expected: list[int]) -> None:
    assert cuts(length, 32) == [(start, min(32, length)) for start in expected]


def test_squares_of_an_image_stay_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for domain in range(2):
        for k in range(9):
            write(tmp_path, f"tile{domain}_{k}", rng.integers(1, 4, (40, 64), dtype=np.uint8))
    whole = load_dataset("image_masks", str(tmp_path))
    cut = load_dataset("image_masks", str(tmp_path), crop=16)
    assert isinstance(cut, Cropped) and len(cut) == 18 * 4 * 3  # 40 rows: two squares and one moved inwards
    assert cut.classes == whole.classes and cut.domains == whole.domains and cut.segments
    parts, of_image = split(cut, 3), split(whole, 3)
    for index in range(len(cut)):
        image, place = int(cut.owner[index]), index % 12
        top, left = (0, 16, 24)[place // 4], 16 * (place % 4)
        assert np.array_equal(cut.image(index), whole.image(image)[top : top + 16, left : left + 16])
        assert np.array_equal(cut.mask(index), whole.mask(image)[top : top + 16, left : left + 16])
        assert parts[index] == of_image[image] and cut.attributes[index] == whole.attributes[image]
        assert cut.labels[index] == np.bincount(cut.mask(index).ravel()).argmax()
    assert len({whole.fingerprint, cut.fingerprint, Cropped(whole, 17).fingerprint}) == 3
    assert np.array_equal(cut.image(-1), whole.image(17)[24:, 48:])


def test_squares_almost_without_classes_are_dropped(tmp_path: Path) -> None:
    mask = np.zeros((10, 30), np.uint8)
    mask[0, 10:20] = 1  # a tenth: stays
    mask[0, 20:29] = 2  # less: goes, and so does the first square
    write(tmp_path, "a", mask)
    cut = load_dataset("image_masks", str(tmp_path), crop=10)
    assert len(cut) == 1 and cut.pixels.tolist() == [[10, 0, 90]]
    mask[0, 19] = 0
    write(tmp_path, "a", mask)
    with pytest.raises(
        UserError, match=r"task\.crop = 10: no square of 'image_masks' has at least 10% of pixels"
    ):
        load_dataset("image_masks", str(tmp_path), crop=10)
