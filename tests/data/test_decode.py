"""Image files of every kind: read by the rule, or refused by name."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.data.decode import decode, image_size, read_image, read_picture
from raysim.data.reading import Reading, Refused
from raysim.data.unreadable import UnreadableImage
from tests.fakes.rasters import colours, noise, put, raster, saved

PLAIN = Reading()


def read_before(content: bytes) -> np.ndarray:
    """Files of 8 bits as they were always read."""
    import io

    with Image.open(io.BytesIO(content)) as image:
        if image.has_transparency_data:
            black = Image.new("RGBA", image.size, (0, 0, 0, 255))
            return np.array(Image.alpha_composite(black, image.convert("RGBA")).convert("RGB"))
        return np.array(image.convert("RGB"))


RGB, RGBA = Image.fromarray(colours()), Image.fromarray(colours(4))
EIGHT_BITS = {
    "gray": saved(RGB.convert("L"), "PNG"),
    "gray with transparency": saved(RGBA.convert("LA"), "PNG"),
    "black and white": saved(RGB.convert("1"), "PNG"),
    "palette": saved(RGB.quantize(16), "PNG"),
    "palette with a transparent colour": saved(RGB.quantize(16), "PNG", transparency=3),
    "palette GIF": saved(RGB.quantize(16), "GIF", transparency=3),
    "RGB PNG": saved(RGB, "PNG"),
    "RGB PNG with a transparent colour": saved(RGB, "PNG", transparency=(1, 2, 3)),
    "RGBA PNG": saved(RGBA, "PNG"),
    "RGBA WebP": saved(RGBA, "WEBP"),
    "JPEG": saved(RGB, "JPEG"),
    "CMYK JPEG": saved(RGB.convert("CMYK"), "JPEG"),
    "CMYK TIFF": saved(RGB.convert("CMYK"), "TIFF"),
    "BMP": saved(RGB, "BMP"),
    "JPEG 2000": saved(RGB, "JPEG2000"),
    "LZW TIFF": saved(RGB, "TIFF", compression="tiff_lzw"),
    "BigTIFF": raster(colours(), BIGTIFF="YES"),
    "planar TIFF": raster(colours(), interleave="band"),
    "RGB and another band": raster(colours(4), photometric="RGB", alpha="NO"),
}


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_eight_bits_keep_their_bits(name: str) -> None:
    content = EIGHT_BITS[name]
    picture = decode(content, PLAIN)
    assert (picture.pixels == read_before(content)).all() and picture.read.endswith("as they are")
    assert picture.pixels.dtype == np.uint8 and picture.pixels.flags.writeable


def alpha(bands: int) -> np.ndarray:
    """Values of 16 bits, the last band opaque but for the first row."""
    values = noise(bands)
    values[..., -1] = 65535
    values[0, :, -1] = 0
    return values


MORE_BITS = {
    "RGB PNG of 16 bits": raster(noise(3), "PNG"),
    "RGB TIFF of 16 bits, said so": raster(noise(3), photometric="RGB"),
    "three bands of 16 bits": raster(noise(3)),
    "three float bands": raster(noise(3).astype(np.float32)),
    "RGB JPEG 2000 of 16 bits": raster(noise(3), "JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"),
    "RGBA PNG of 16 bits": raster(alpha(4), "PNG"),
    "gray and alpha of 16 bits": raster(alpha(2), "PNG"),
    "gray of 16 bits": raster(noise(1)),
    "gray PNG of 16 bits": raster(noise(1), "PNG"),
    "gray of 12 bits": raster(noise(1), NBITS=12),
    "gray JPEG 2000 of 16 bits": raster(noise(1), "JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"),
    "int16": raster(noise(1).astype(np.int16)),
    "uint32": raster(noise(1).astype(np.uint32) * 1_000_000),
    "float32": raster(noise(1).astype(np.float32)),
    "float64": raster(noise(1).astype(np.float64)),
    "int8": raster((noise(1) // 30 - 50).astype(np.int8)),
}


@pytest.mark.parametrize("name", MORE_BITS)
def test_more_bits_are_stretched_never_black(name: str) -> None:
    picture = decode(MORE_BITS[name], PLAIN)
    assert picture.pixels.shape == (24, 24, 3) and "stretched p0.5-p99.5" in picture.read
    assert 90 < picture.pixels.mean() < 165 and picture.pixels.min() == 0 and picture.pixels.max() == 255
    if "alpha" in name or "RGBA" in name:
        assert (picture.pixels[0] == 0).all()


def test_nodata_is_black_and_no_part_of_the_stretch() -> None:
    values = noise(3).astype(np.float32)
    values[:8] = -9999
    for content in (raster(values, nodata=-9999), raster(values[..., :1], nodata=-9999)):
        pixels = decode(content, PLAIN).pixels
        assert (pixels[:8] == 0).all() and 100 < pixels[8:].mean() < 160
    plain = raster(np.where(noise(1) < 400, 0, noise(1)).astype(np.uint16), nodata=0)
    assert 100 < decode(plain, PLAIN).pixels[noise(1)[..., 0] >= 400].mean() < 160
    white = colours()
    white[:4] = 255  # a border of an aerial photograph
    pixels = decode(raster(white, nodata=255), PLAIN).pixels
    assert (pixels[:4] == 0).all() and (pixels[4:] == white[4:]).all()


def test_bands_and_stretch_are_settings() -> None:
    values = noise(13)
    content = raster(values)
    with pytest.raises(Refused, match="has 13 bands and does not say which are red, green and blue"):
        decode(content, PLAIN)
    picture = decode(content, Reading("4,3,2", "0-3000"))
    expected = np.round(np.clip(values[..., [3, 2, 1]] / 3000, 0, 1) * 255)
    assert (picture.pixels == expected).all()
    assert picture.read == "16 bits, bands 4,3,2 of 13, stretched 0-3000"
    near = decode(raster(colours(4), photometric="RGB", alpha="NO"), Reading("4,1,2"))
    assert (near.pixels == colours(4)[..., [3, 0, 1]]).all()
    swapped = decode(EIGHT_BITS["RGB PNG"], Reading("3,2,1"))
    assert (swapped.pixels == colours()[..., ::-1]).all()
    one = decode(EIGHT_BITS["RGBA PNG"], Reading("4"))
    assert (one.pixels == colours(4)[..., 3:]).all()
    assert "stretched p2-p98" in decode(EIGHT_BITS["JPEG"], Reading(None, "p2-p98")).read
    palette = decode(EIGHT_BITS["palette"], Reading("1,2,3"))
    assert (palette.pixels == read_before(EIGHT_BITS["palette"])).all()


def test_near_infrared_is_not_taken_for_transparency() -> None:
    content = raster(colours(4))  # GDAL declares a fourth band of bytes as alpha
    with pytest.raises(Refused, match=r"declared as transparency .*near infrared"):
        decode(content, PLAIN)
    assert (decode(content, Reading("4,1,2")).pixels == colours(4)[..., [3, 0, 1]]).all()
    opaque = colours(4)
    opaque[..., 3] = 255
    assert (decode(raster(opaque), PLAIN).pixels == opaque[..., :3]).all()


def test_one_file_is_one_picture() -> None:
    others = [Image.fromarray(colours(seed=1))]
    for content, kind in (
        (saved(RGB, "TIFF", save_all=True, append_images=others), "pages"),
        (saved(RGB, "GIF", save_all=True, append_images=others), "frames"),
        (saved(RGB, "WEBP", save_all=True, append_images=others), "frames"),
        (saved(RGB, "PNG", save_all=True, append_images=others), "frames"),
    ):
        with pytest.raises(Refused, match=f"has several {kind}"):
            decode(content, PLAIN)
    import rasterio

    with rasterio.MemoryFile() as file:
        big = np.tile(np.moveaxis(colours(size=64), -1, 0), (1, 10, 10))
        with file.open(driver="GTiff", height=640, width=640, count=3, dtype="uint8", tiled=True) as target:
            target.write(big)
            target.build_overviews([2, 4])
        assert decode(bytes(file.read()), PLAIN).pixels.shape == (640, 640, 3)  # overviews are no pages


def test_without_rasterio_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    for name, what in (
        ("RGB PNG of 16 bits", "has 3 bands of 16 bits"),
        ("three bands of 16 bits", "is a raster of several bands or of an unusual type"),
        ("int8", "has signed values of 8 bits"),
    ):
        with pytest.raises(UnreadableImage) as error:
            read_image(put(tmp_path / "a.png", MORE_BITS[name]))
        assert what in str(error.value) and "pip install -c constraints.txt '.[geotiff]'" in str(error.value)
    for name in ("gray of 16 bits", "float32", "uint32"):
        assert decode(MORE_BITS[name], PLAIN).pixels.max() == 255


def test_large_images_are_refused_by_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = saved(Image.new("RGB", (1, 1)), "PNG")
    import struct
    import zlib

    size = b"IHDR" + struct.pack(">IIBBBBB", 14000, 14000, 8, 2, 0, 0, 0)
    content = head[:12] + size + struct.pack(">I", zlib.crc32(size)) + head[33:]
    with pytest.raises(UnreadableImage, match="has 196 million pixels, and at most 179 million") as error:
        read_image(put(tmp_path / "scene.png", content))
    assert "cut it into tiles or resize it" in str(error.value) and "download" not in str(error.value)
    monkeypatch.setattr("raysim.data.raster.MAX_PIXELS", 24 * 23)
    for kind in ("three bands of 16 bits", "gray of 16 bits"):
        with pytest.raises(Refused, match="million pixels"):
            decode(MORE_BITS[kind], PLAIN)


def test_large_images_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raysim.data.decode.LARGE", 1)
    inside, most, lock = 0, 0, threading.Lock()
    real = decode.__globals__["_read_by_pillow"]

    def counted(*arguments: object) -> object:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        try:
            return real(*arguments)
        finally:
            with lock:
                inside -= 1

    monkeypatch.setattr("raysim.data.decode._read_by_pillow", counted)
    threads = [threading.Thread(target=decode, args=(EIGHT_BITS["JPEG"], PLAIN)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_a_rotation_of_exif_is_not_applied_and_noted() -> None:
    exif = Image.Exif()
    exif[274] = 6
    picture = decode(saved(Image.fromarray(colours()[:, :10]), "JPEG", exif=exif), PLAIN)
    assert picture.pixels.shape == (24, 10, 3) and picture.note == "EXIF rotation not applied"
    assert decode(EIGHT_BITS["JPEG"], PLAIN).note == ""


def test_content_counts_not_the_ending(tmp_path: Path) -> None:
    file = put(tmp_path / "a.jpg", EIGHT_BITS["RGB PNG"])
    assert (read_picture(file).pixels == colours()).all()
    assert image_size(put(tmp_path / "b.png", MORE_BITS["three bands of 16 bits"])) == (24, 24)


FILLED = {
    "float32, -9999": (np.float32, -9999.0),
    "float32, the lowest": (np.float32, -3.4e38),
    "int16, -32768": (np.int16, -32768),
    "uint16, 65535": (np.uint16, 65535),
}


@pytest.mark.parametrize("name", FILLED)
def test_a_fill_value_that_is_not_declared_is_said_and_a_declared_one_is_left_out(name: str) -> None:
    dtype, fill = FILLED[name]
    values = np.random.default_rng(0).integers(100, 3000, (32, 32, 3)).astype(dtype)
    assert decode(raster(values), PLAIN).note == ""
    values[:4] = fill
    assert decode(raster(values), PLAIN).note.startswith("almost without contrast")
    limits = decode(raster(values), Reading(stretch="0-3000"))
    assert limits.note == "" and limits.pixels[4:].std() > 50
    declared = decode(raster(values, nodata=fill), PLAIN)
    assert declared.note == "" and declared.pixels[4:].std() > 50 and not declared.pixels[:4].any()
    values[:4, :, 2] = 500  # then a pixel has a value, and two of its bands have none
    assert decode(raster(values, nodata=fill), PLAIN).pixels[4:].std() > 50


def test_a_stretched_image_of_one_value_is_said() -> None:
    assert decode(raster(np.full((8, 8), 700, np.uint16)), PLAIN).note.startswith("almost without contrast")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_a_wholly_transparent_image_is_refused(mode: str, format: str) -> None:
    if mode == "P":
        image, more = Image.new("P", (8, 8), 1), {"transparency": 1}
        image.putpalette([0, 0, 0, 90, 90, 90])
        if format != "PNG":
            pytest.skip("only PNG and GIF have a transparent entry of the palette")
    else:
        image, more = Image.new(mode, (8, 8)), {}
    with pytest.raises(Refused, match="has no pixel with a value"):
        decode(saved(image, format, **more), PLAIN)


def test_a_raster_of_bytes_that_is_all_nodata_is_refused() -> None:
    with pytest.raises(Refused, match="has no pixel with a value"):
        decode(raster(np.zeros((8, 8, 3), np.uint8), nodata=0), PLAIN)


def test_dark_near_infrared_is_not_taken_for_transparency() -> None:
    sea = colours(4)
    sea[:, :, 3] = 0
    sea[0, :3, 3] = 9  # a boat
    with pytest.raises(Refused, match="near infrared"):
        decode(raster(sea), PLAIN)
