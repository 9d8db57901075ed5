"""Images that cannot be read: each with its own reason, and advice that follows from it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.features import features
from raysim.data.files import file_digest, read_image
from raysim.data.integrity import check_dataset
from raysim.data.registry import load_dataset
from raysim.data.unreadable import UnreadableImage, shown
from tests.fakes.rasters import class_folders, colours, noise, put, raster, saved

PICTURE = Image.fromarray(colours(size=64))
REASONS = {
    b"": ("is empty (0 bytes)", "copy or download it again"),
    b"version https://git-lfs.github.com/spec/v1\noid": ("pointer of Git LFS", "git lfs pull"),
    b"/annex/objects/SHA256E-s1": ("pointer of git-annex", "git annex get"),
    b"\n<!DOCTYPE html><html>": ("web page", "download"),
    b"<?xml version='1.0'?><Error>": ("web page or XML", "download"),
    b"PK\x03\x04....": ("is a ZIP archive", "unpack it"),
    b"\x89HDF\r\n\x1a\n": ("is an HDF5 file", "GeoTIFF"),
    b"CDF\x01": ("is a NetCDF file", "GeoTIFF"),
    b"%PDF-1.7": ("is a PDF document", "export"),
    b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(1, 99)): ("a photograph in HEIC", "convert it"),
    b"\x93NUMPY\x01\0v\0{'descr'": ("an array of NumPy", "GeoTIFF"),
    b"PAR1" + bytes(range(99)): ("a Parquet table", "as files"),
    bytes(400): ("400 bytes of zeros", "again"),
    b"id,class\n1,beach\n": ("is a text file", "again"),
    bytes(range(128, 250)) * 4: ("is of no format that is read (JPEG, PNG, TIFF", "convert it"),
    saved(PICTURE, "PNG")[:3000]: ("truncated PNG", "again"),
    saved(PICTURE, "JPEG")[:900]: ("truncated JPEG", "again"),
    saved(PICTURE, "WEBP")[:900]: ("truncated WebP", "again"),
    saved(PICTURE, "BMP")[:900]: ("truncated BMP", "again"),
    saved(PICTURE, "GIF")[:900]: ("truncated GIF", "again"),
    saved(PICTURE, "TIFF")[:900]: ("truncated TIFF", "again"),
    raster(noise(3))[:900]: ("truncated TIFF", "again"),
    saved(PICTURE, "JPEG2000")[:300]: ("truncated JPEG 2000", "again"),
}


@pytest.mark.parametrize("content", REASONS, ids=lambda content: repr(content[:12]))
def test_every_cause_has_its_reason_and_its_advice(content: bytes, tmp_path: Path) -> None:
    reason, advice = REASONS[content]
    with pytest.raises(UnreadableImage) as error:
        read_image(put(tmp_path / "a.png", content))
    assert reason in error.value.reason and advice in error.value.advice
    assert str(tmp_path / "a.png") in str(error.value) and "\n" not in str(error.value)
    again = pickle.loads(pickle.dumps(error.value))  # from a worker
    assert again.line == error.value.line


def test_a_file_that_may_not_be_read_is_no_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for read in (read_image, file_digest):
        with pytest.raises(UnreadableImage, match="link that leads nowhere"):
            read(tmp_path / "gone.png")

    def refuse(self: Path, *_: object, **__: object) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(UnreadableImage, match="permission denied; give yourself the right"):
        read_image(tmp_path / "a.png")


def test_all_damaged_images_are_named_at_once(tmp_path: Path) -> None:
    class_folders(tmp_path, each=20)
    for index in (0, 7, 19):
        put(tmp_path / f"beach/{index:03d}.png", b"")
    put(tmp_path / "forest/003.png", b"<html>")
    dataset = load_dataset("folder", str(tmp_path))
    with pytest.raises(UserError) as error:
        features(dataset, None, inputs="pixels", image_size=16, cache_dir=tmp_path / "cache")
    lines = str(error.value).splitlines()
    assert lines[0] == "folder: 4 of 40 images cannot be read:" and len(lines) == 5
    assert [line.split(": ")[0].rsplit("/", 2)[1:] for line in lines[1:]] == [
        ["beach", "000.png"],
        ["beach", "007.png"],
        ["beach", "019.png"],
        ["forest", "003.png"],
    ]
    assert len(check_dataset("folder", str(tmp_path))["damaged"]) == 4


def test_of_very_many_the_first_and_the_number_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path, each=1)
    for index in range(1, 31):
        put(tmp_path / f"beach/{index:03d}.png", b"")
    with pytest.raises(UserError) as error:
        features(
            load_dataset("folder", str(tmp_path)), None, inputs="pixels", image_size=16, cache_dir=tmp_path
        )
    lines = str(error.value).splitlines()
    assert len(lines) == 22 and lines[-1] == "  and 10 more" and "30 of 32 images" in lines[0]


def test_names_that_are_no_text_can_be_printed() -> None:
    name = b"\xba\xa3.png".decode("utf-8", "surrogateescape")
    assert shown(name) == "\\xba\\xa3.png" and shown("海.png") == "海.png"
    assert (
        shown("a\nb\x1b[31m\u202e.png") == r"a\nb\x1b[31m\u202e.png" and shown("a b%20.png") == "a b%20.png"
    )
