"""Mask files: values, names of classes, pairs of images and masks, and domains."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.mask_files import domains_of, read_mask
from raysim.data.registry import load_dataset
from tests.fakes.datasets import error_of
from tests.fakes.masks import stripes, tiles, write
from tests.fakes.rasters import put, raster, saved


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
        ("a\nb\na", "'a' is there twice"),
        ("ignore\na", "at least 2 classes"),
        ("\n".join(map(str, range(255))), "at most 254"),
    ):
        (tmp_path / "classes.txt").write_text(content)
        assert problem in error_of("image_masks", tmp_path)


@pytest.mark.parametrize("mode", ["L", "P"])
def test_unexpected_values_are_named(tmp_path: Path, mode: str) -> None:
    write(tmp_path, "good", stripes(0, 1, 2), mode)
    write(tmp_path, "odd", stripes(0, 1, 9), mode)
    (tmp_path / "classes.txt").write_text("ignore\nwater\nland")
    message = error_of("image_masks", tmp_path)
    assert (
        f"{tmp_path / 'masks/odd.png'}: mask value 9 is not allowed: it should be 1 to 2 for the 2 classes "
        "(water, land)" in message
    )
    assert "or 0, 255 for ignored pixels" in message


def test_files_that_do_not_fit_are_named(tmp_path: Path) -> None:
    assert "needs a path" in error_of("image_masks", None)
    assert f"no folder {tmp_path / 'images'}" in error_of("image_masks", tmp_path)
    tiles(tmp_path, each=3)
    one = tmp_path / "masks/tile0_001.png"
    kept = one.read_bytes()
    one.unlink()
    assert "no mask for tile0_001.png" in error_of("image_masks", tmp_path)
    Image.fromarray(stripes(1, 2)).save(one)
    assert f"{one}: a mask of 4x4 pixels is not allowed: it should be 8x4" in error_of(
        "image_masks", tmp_path
    )
    Image.fromarray(np.dstack([stripes(0, 1, 2, 1)] * 3)).save(one)
    assert f"{one}: a mask of mode RGB is not allowed" in error_of("image_masks", tmp_path)
    Image.fromarray(stripes(0, 1, 2, 1).astype(np.uint16) + 300).save(one)
    assert f"{one}: mask value 302 is not allowed: it should be 0 to 255" in error_of("image_masks", tmp_path)
    one.write_bytes(kept[:40])
    assert f"{one}: is a damaged or truncated PNG file (its header cannot be read)" in error_of(
        "image_masks", tmp_path
    )
    one.write_bytes(kept)
    write(tmp_path, "stray", stripes(1, 2))
    (tmp_path / "images/stray.png").unlink()
    assert "no image for masks/stray.png" in error_of("image_masks", tmp_path)
    (tmp_path / "masks/stray.png").rename(tmp_path / "masks/tile0_001.tif")
    assert "tile0_001.png and tile0_001.tif have the same name" in error_of("image_masks", tmp_path)
    (tmp_path / "masks/tile0_001.tif").rename(tmp_path / "masks/tile0_001.jpg")
    assert f"{tmp_path / 'masks/tile0_001.jpg'}: a mask of this format" in error_of("image_masks", tmp_path)


def test_masks_of_black_and_white_need_names(tmp_path: Path) -> None:
    write(tmp_path, "a", stripes(0, 255))
    message = error_of("image_masks", tmp_path)
    assert "the masks have the values 0, 255" in message and str(tmp_path / "classes.txt") in message
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


def test_values_are_those_of_the_file(tmp_path: Path) -> None:
    values = stripes(0, 1, 2, 3)
    for name, content in {
        "four.tif": raster(values, NBITS=4),
        "two.tif": raster(values, NBITS=2),
        "white.tif": raster(values, photometric="MINISWHITE"),
        "white4.tif": raster(values, photometric="MINISWHITE", NBITS=4),
        "lerc.tif": raster(values, compress="LERC"),
        "wide.tif": raster(values.astype(np.uint16)),
        "sparse.tif": raster(0 * values, SPARSE_OK="TRUE"),
        "two.png": packed_png(values),
        "palette.png": saved(Image.fromarray(values).convert("P"), "PNG", bits=2),
    }.items():
        found = read_mask(put(tmp_path / name, content))
        assert (found == (0 * values if "sparse" in name else values)).all(), name


def packed_png(values: np.ndarray) -> bytes:
    """A gray PNG of 2 bits a pixel."""
    rows = values.reshape(len(values), -1, 4) @ np.array([64, 16, 4, 1])
    raw = b"".join(b"\0" + row.astype(np.uint8).tobytes() for row in rows)
    parts = {
        b"IHDR": struct.pack(">IIBBBBB", values.shape[1], len(values), 2, 0, 0, 0, 0),
        b"IDAT": zlib.compress(raw),
        b"IEND": b"",
    }
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_all_masks_that_do_not_fit_are_named(tmp_path: Path) -> None:
    tiles(tmp_path)
    wrong = {
        "tile0_000.png": (saved(Image.fromarray(np.dstack([stripes(1, 2)] * 3)), "PNG"), "of mode RGB"),
        "tile0_001.png": (saved(Image.fromarray(stripes(1, 2)), "PNG"), "a mask of 4x4 pixels"),
        "tile0_002.png": (raster(stripes(0, 1, 2, 1).astype(np.int16) - 1, "GTiff"), "mask value -1 is not"),
        "tile0_003.png": (
            saved(Image.new("L", (8, 4)), "TIFF", save_all=True, append_images=[Image.new("L", (8, 4))]),
            "has several pages",
        ),
    }
    for name, (content, _) in wrong.items():
        put(tmp_path / "masks" / name, content)
    with pytest.raises(UserError) as error:
        load_dataset("image_masks", str(tmp_path))
    said = str(error.value)
    assert "4 of 18 images cannot be read" in said
    assert all(name in said and words in said for name, (_, words) in wrong.items())


def test_gray_levels_are_no_numbers_of_classes(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path, f"a{k}", stripes(0, 60, 120, 180))
    assert "the masks have the values 0, 60, 120, 180; without a file" in error_of("image_masks", tmp_path)


def test_names_of_a_mac_and_a_table_of_windows(tmp_path: Path) -> None:
    for k in range(3):
        write(tmp_path, f"\u00e9{k}", stripes(0, 1, 2))
        (tmp_path / f"masks/\u00e9{k}.png").rename(tmp_path / f"masks/e\u0301{k}.png")
    (tmp_path / "classes.txt").write_bytes("\ufeffignore\r\nwater\r\nland\r\n".encode())
    assert load_dataset("image_masks", str(tmp_path)).classes == ("water", "land")
    (tmp_path / "masks/e\u03010.png").rename(tmp_path / "masks/e0_mask.png")
    assert "(masks without an image: e0_mask.png)" in error_of("image_masks", tmp_path)
