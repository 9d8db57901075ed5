"""Datasets with a class for every pixel: files that fit and files that do not, splits, squares, cached masks, what is said of them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.cli.main import main
from raysim.core.errors import UserError
from raysim.core.types import IGNORE
from raysim.data import REGISTRY, SEGMENTATION, _class, catalogue, check, load_dataset
from raysim.data.archives.loveda import COUNTS, LoveDA
from raysim.data.cache import features, masks, resize, resize_mask
from raysim.data.dataset import Dataset
from raysim.data.masks import domains_of
from raysim.data.memo import remember
from raysim.data.scenes import SceneDataset
from raysim.data.scenes.masks import SceneMasks
from raysim.data.segmentation import Cropped, ImageMasks, cuts
from raysim.data.splits import split


def write(
    root: Path, name: str, mask: np.ndarray, mode: str = "L", image: str = "images", masks: str = "masks"
) -> np.ndarray:
    """An image whose red is the mask's value, and its mask."""
    for folder in (image, masks):
        (root / folder).mkdir(parents=True, exist_ok=True)
    picture = np.dstack([mask, np.full_like(mask, 7), np.zeros_like(mask)])
    Image.fromarray(picture).save(root / image / f"{name}.png")
    made = Image.fromarray(mask)
    if mode == "P":
        made.putpalette([value for k in range(256) for value in (k, 255 - k, 90)])
    made.save(root / masks / f"{name}.png")
    return picture


def stripes(*values: int, height: int = 4, width: int = 2) -> np.ndarray:
    """Columns of equal width, one for each value."""
    return np.repeat(np.repeat(np.array([values], np.uint8), width, axis=1), height, axis=0)


def tiles(root: Path, domains: int = 2, each: int = 9) -> None:
    for domain in range(domains):
        for k in range(each):
            write(root, f"tile{domain}_{k:03d}", stripes(0, 1, 2, 2 if domain else 1))


def message(name: str, path: Path | None) -> str:
    with pytest.raises(UserError) as error:
        load_dataset(name, None if path is None else str(path))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_registry_knows_which_classify_pixels() -> None:
    assert {name for name in REGISTRY if _class(name).segments} == SEGMENTATION


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


def test_classes_txt_names_the_values(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path, f"a{k}", stripes(0, 1, 1, 2, 255))
    (tmp_path / "classes.txt").write_text("water\nignore: clouds\nland\n\n")
    dataset = load_dataset("image_masks", str(tmp_path))
    assert dataset.classes == ("water", "land") and dataset.domains == ("all",)
    assert dataset.mask(1)[0].tolist() == [0, 0, 255, 255, 255, 255, 1, 1, 255, 255]
    first = dataset.fingerprint
    (tmp_path / "classes.txt").write_text("water\ncloud\nland\n")
    renamed = load_dataset("image_masks", str(tmp_path))
    assert renamed.classes == ("water", "cloud", "land") and renamed.fingerprint != first
    assert renamed.labels.tolist() == [1, 1, 1]
    for content, problem in (
        ("water\n\nland", "line 2 is empty"),
        ("a\nb\na", "'a' stands there twice"),
        ("ignore\na", "at least 2 classes"),
        ("\n".join(map(str, range(255))), "at most 254"),
    ):
        (tmp_path / "classes.txt").write_text(content)
        assert problem in message("image_masks", tmp_path)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_unexpected_values_are_named(tmp_path: Path, mode: str) -> None:
    write(tmp_path, "good", stripes(0, 1, 2), mode)
    write(tmp_path, "odd", stripes(0, 1, 9), mode)
    (tmp_path / "classes.txt").write_text("ignore\nwater\nland")
    said = message("image_masks", tmp_path)
    assert (
        f"{tmp_path / 'masks/odd.png'}: mask value 9 is not allowed: it should be 1 to 2 for the 2 classes "
        "(water, land)" in said
    )
    assert "or 0, 255 for pixels to ignore" in said


def test_a_mask_that_changes_after_opening_is_checked_again(tmp_path: Path) -> None:
    tiles(tmp_path)
    (tmp_path / "classes.txt").write_text("ignore\nwater\nland")
    dataset = load_dataset("image_masks", str(tmp_path))
    write(tmp_path, "tile0_000", stripes(0, 1, 77))
    with pytest.raises(UserError, match=r"tile0_000\.png: mask value 77 is not allowed"):
        dataset.mask(0)
    with pytest.raises(UserError, match="mask value 77"):
        load_dataset("image_masks", str(tmp_path))


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    assert "needs a path" in message("image_masks", None)
    assert f"no folder {tmp_path / 'images'}" in message("image_masks", tmp_path)
    tiles(tmp_path, each=3)
    one = tmp_path / "masks/tile0_001.png"
    kept = one.read_bytes()
    one.unlink()
    assert "no mask for tile0_001.png" in message("image_masks", tmp_path)
    Image.fromarray(stripes(1, 2)).save(one)
    assert f"{one}: a mask of 4x4 pixels is not allowed: it should be 8x4" in message("image_masks", tmp_path)
    Image.fromarray(np.dstack([stripes(0, 1, 2, 1)] * 3)).save(one)
    assert f"{one}: a mask of mode RGB is not allowed" in message("image_masks", tmp_path)
    Image.fromarray(stripes(0, 1, 2, 1).astype(np.uint16) + 300).save(one)
    assert f"{one}: mask value 302 is not allowed: it should be 0 to 255" in message("image_masks", tmp_path)
    one.write_bytes(kept[:40])
    assert f"cannot read the mask {one}" in message("image_masks", tmp_path)
    one.write_bytes(kept)
    write(tmp_path, "stray", stripes(1, 2))
    (tmp_path / "images/stray.png").unlink()
    assert "no image for masks/stray.png" in message("image_masks", tmp_path)
    (tmp_path / "masks/stray.png").rename(tmp_path / "masks/tile0_001.tif")
    assert "tile0_001.png and tile0_001.tif have the same name" in message("image_masks", tmp_path)
    (tmp_path / "masks/tile0_001.tif").rename(tmp_path / "masks/tile0_001.jpg")
    assert f"{tmp_path / 'masks/tile0_001.jpg'}: a mask of this format" in message("image_masks", tmp_path)


def test_masks_of_black_and_white_need_names(tmp_path: Path) -> None:
    write(tmp_path, "a", stripes(0, 255))
    said = message("image_masks", tmp_path)
    assert "the masks hold the values 0, 255" in said and str(tmp_path / "classes.txt") in said
    Image.fromarray(stripes(0, 255)).convert("1").save(tmp_path / "masks/a.png")  # one bit: values 0 and 1
    (tmp_path / "classes.txt").write_text("background\nbuilding")
    assert load_dataset("image_masks", str(tmp_path)).mask(0)[0].tolist() == [0, 0, 1, 1]


def test_domains_are_what_groups_the_names() -> None:
    assert domains_of([f"tile{t}_{k}" for t in (1, 2) for k in range(3)])[0] == ("tile1", "tile2")
    assert domains_of(["a_b_1", "a_b_2", "a_b_3", "a_c_1", "a_c_2", "a_c_3"])[0] == ("a_b", "a_c")
    for alone in (
        ["a", "b"],
        ["image_1", "image_2", "image_3"],
        ["a_1", "b_1", "c_1"],
        ["a_1", "a_2", "b_1", "b_2"],
    ):
        names, attributes = domains_of(alone)
        assert names == ("all",) and attributes.tolist() == [0] * len(alone)


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
    monkeypatch.setattr("raysim.data.masks.read_mask", lambda file: pytest.fail(f"read {file} again"))
    monkeypatch.setattr(
        "raysim.data.segmentation.file_digest", lambda file: pytest.fail(f"read {file} again")
    )
    again = load_dataset("image_masks", str(tmp_path / "data"))
    assert np.array_equal(again.labels, first.labels) and again.fingerprint == prints


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


def love(root: Path, each: int = 10, parts: tuple[str, ...] = ("Train", "Val")) -> None:
    """The archives' layout in miniature; urban images are mostly building, rural ones mostly agriculture."""
    number = 0
    for part in parts:
        for domain, value in (("Rural", 7), ("Urban", 2)):
            for _ in range(each):
                write(
                    root / part / domain,
                    str(number),
                    stripes(0, 1, value, value),
                    image="images_png",
                    masks="masks_png",
                )
                number += 1
    (root / "Test/Urban/images_png").mkdir(parents=True)


@pytest.mark.parametrize("home", ["loveda", "loveda/LoveDA", "LoveDA"])
def test_loveda_in_its_own_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, home: str
) -> None:
    love(tmp_path / home)
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset("loveda")
    assert "10 images in Train/urban, expected 1156" in caplog.text
    assert dict((info.name, found) for info, found in catalogue())["loveda"] == (tmp_path / home).resolve()
    assert dataset.classes == ("background", "building", "road", "water", "barren", "forest", "agriculture")
    assert dataset.domains == ("urban", "rural") and np.bincount(dataset.attributes).tolist() == [20, 20]
    assert {
        (dataset.domains[d], dataset.classes[c])
        for d, c in zip(dataset.attributes, dataset.labels, strict=True)
    } == {
        ("urban", "building"),
        ("rural", "agriculture"),
    }
    assert dataset.mask(0)[0].tolist() == [255, 255, 0, 0, 1, 1, 1, 1]
    assigned = split(dataset, 0)
    for domain in (
        0,
        1,
    ):  # of ten training images two are held back; the authors' ten validation images are for test
        assert np.bincount(assigned[dataset.attributes == domain]).tolist() == [8, 2, 10]
    assert isinstance(dataset, LoveDA)
    assert {"Val" in str(file) for file, part in zip(dataset.images, assigned, strict=True) if part == 2} == {
        True
    }
    assert not any(
        "Val" in str(file) for file, part in zip(dataset.images, assigned, strict=True) if part != 2
    )
    assert not np.array_equal(assigned, split(dataset, 1))


def test_loveda_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(COUNTS.values()) == LoveDA.info.images == 2522 + 1669
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    said = message("loveda", None)
    assert str(tmp_path / "loveda") in said and "Train.zip and Val.zip" in said and LoveDA.info.page in said
    love(tmp_path, parts=("Train",))
    assert f"no folder {tmp_path / 'Val/Urban/images_png'}" in message("loveda", tmp_path)
    love(tmp_path / "other")
    write(tmp_path / "other/Train/Urban", "999", stripes(1, 8), image="images_png", masks="masks_png")
    said = message("loveda", tmp_path / "other")
    assert (
        "999.png: mask value 8 is not allowed: it should be 1 to 7" in said
        and "0 for pixels to ignore" in said
    )


def test_scene_masks_are_the_scenes_with_their_foregrounds() -> None:
    plain, dataset = SceneDataset(per_cell=1), SceneMasks(per_cell=1)
    assert dataset.classes == ("background", *plain.classes) and dataset.segments and not plain.segments
    assert np.array_equal(dataset.labels, plain.labels + 1) and dataset.fingerprint != plain.fingerprint
    for index in (0, 5, 30, -1):
        image, foreground = plain.scene(index)
        assert np.array_equal(dataset.image(index), image)
        assert (
            np.array_equal(dataset.mask(index), np.where(foreground, dataset.labels[index], 0))
            and dataset.mask(index).dtype == np.uint8
        )
        assert np.array_equal(dataset.foreground(index), foreground) and np.array_equal(
            plain.foreground(index), foreground
        )
    assert (np.bincount(split(SceneMasks(per_cell=10), 0)) > 0).all()
    with pytest.raises(UserError, match="'scene_masks' is drawn"):
        load_dataset("scene_masks", "/somewhere")


def test_only_some_datasets_have_masks(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'scenes' has no masks"):
        masks(SceneDataset(per_cell=1), image_size=32, cache_dir=tmp_path)
    with pytest.raises(UserError, match="'scenes' has no masks"):
        SceneDataset(per_cell=1).mask(0)
    with pytest.raises(UserError, match=r"task\.crop = 32 is not allowed.*'scenes' has no masks"):
        load_dataset("scenes", crop=32)
    for mixture in ("scenes+scene_masks", "loveda+image_masks"):
        with pytest.raises(UserError, match="cannot be part of a mixture"):
            load_dataset(mixture)


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


@pytest.mark.parametrize("shape", [(40, 40), (30, 90), (90, 31), (5, 7)])
def test_masks_are_cut_as_their_images(shape: tuple[int, int]) -> None:
    """A plane that rises to the right and down: the mask's value is the red of the image at the same place, but for interpolation."""
    plane = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 200 // sum(shape)).astype(np.uint8)
    image, mask = resize(np.dstack([plane] * 3), 16)[..., 0], resize_mask(plane, 16)
    assert mask.shape == (16, 16) and mask.dtype == np.uint8 and set(np.unique(mask)) <= set(np.unique(plane))
    step = 200 / sum(shape) * max(1, min(shape) / 16)  # what the value moves within one pixel
    assert np.abs(image.astype(int) - mask).max() <= 2 * step + 2


def test_cached_masks_are_mapped_and_kept(tmp_path: Path) -> None:
    for k in range(80):
        write(tmp_path / "data", f"{k:02d}", stripes(1, 0, 2, k % 3, height=8))
    dataset = load_dataset("image_masks", str(tmp_path / "data"))
    steps: list[tuple[int, int]] = []
    found = masks(
        dataset, image_size=16, cache_dir=tmp_path / "cache", progress=lambda *step: steps.append(step)
    )
    assert found.shape == (80, 16, 16) and found.dtype == np.uint8 and steps == [(32, 80), (64, 80), (80, 80)]
    assert not found.flags.owndata and not found.flags.writeable
    assert all(np.array_equal(found[k], resize_mask(dataset.mask(k), 16)) for k in range(80))
    assert set(np.unique(found)) == {0, 1, IGNORE}
    (file,) = (tmp_path / "cache").glob("*.arrow")
    written = file.stat().st_mtime_ns
    assert (
        np.array_equal(masks(dataset, image_size=16, cache_dir=tmp_path / "cache"), found)
        and file.stat().st_mtime_ns == written
    )
    pixels = features(dataset, None, kind="pixels", image_size=16, cache_dir=tmp_path / "cache")
    assert pixels.shape == (80, 1, 16, 16, 3)
    with pytest.raises(UserError, match=r"task\.views = 2 is not allowed"):
        features(dataset, None, kind="pixels", image_size=16, views=2, cache_dir=tmp_path / "cache")


def test_check_opens_every_mask_and_counts_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiles(tmp_path)
    report = check("image_masks", str(tmp_path))
    assert report["pixels"] == {
        "class 1": pytest.approx(0.5),
        "class 2": pytest.approx(0.5),
        "ignored": pytest.approx(0.25),
    }
    assert (
        report["classes"] == {"class 1": 9, "class 2": 9}
        and report["sizes"] == {"8x4": 18}
        and not report["damaged"]
    )
    sheet = tmp_path / "sheet.png"
    assert main(["data", "check", "image_masks", "--path", str(tmp_path), "--sheet", str(sheet)]) == 0
    said = capsys.readouterr().out
    assert (
        "pixels: class 1 50.0%, class 2 50.0%, ignored 25.0%" in said
        and "train 12, validation 2, test 4" in said
    )
    with Image.open(sheet) as image:
        assert image.size == (12 * 64, 4 * 64)  # a row of images and one of masks for each dominant class
    (tmp_path / "images/tile0_004.png").write_bytes((tmp_path / "images/tile0_004.png").read_bytes()[:60])
    assert "tile0_004.png" in check("image_masks", str(tmp_path))["damaged"][0]
    assert main(["data", "list"]) == 0
    assert (
        "scene_masks" in (said := capsys.readouterr().out) and "pixels" in said and "give task.path" in said
    )


class Blank(Dataset):
    """A dataset as other tests make them: without masks."""

    name = "blank"

    @property
    def fingerprint(self) -> str:
        return "0"

    def image(self, index: int) -> np.ndarray:
        raise NotImplementedError


def test_any_dataset_has_the_defaults() -> None:
    assert Blank().segments is False and Blank().foreground(0) is None and Blank().parts(0) is None


@pytest.mark.skipif(not os.environ.get("RAYSIM_DATA"), reason="RAYSIM_DATA is not set: no real imagery")
def test_real_imagery() -> None:
    roots = [Path(root) / "dubai" for root in os.environ["RAYSIM_DATA"].split(os.pathsep)]
    path = next((root for root in roots if root.is_dir()), None)
    if path is None:
        pytest.skip("dubai is not under RAYSIM_DATA")
    dataset = load_dataset("image_masks", str(path))
    assert (
        len(dataset) == 72
        and len(dataset.classes) == 5
        and dataset.domains == tuple(f"tile{k}" for k in range(1, 9))
    )
    assigned = split(dataset, 0)
    assert all(
        np.bincount(assigned[dataset.attributes == domain]).tolist() == [6, 1, 2] for domain in range(8)
    )
    water = dataset.mask(int(np.flatnonzero(dataset.labels == 1)[0])) == 1
    cut = Cropped(dataset, 256)
    assert len(cut) > 72 and all(cut.image(k).shape[:2] == cut.mask(k).shape for k in (0, 40, len(cut) - 1))
    assert water.mean() > 0.3 and np.array_equal(split(cut, 0), assigned[cut.owner])
