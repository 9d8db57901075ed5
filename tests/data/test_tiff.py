"""TIFF files as people have them: turned, masked, sparse, white is zero; the same pixels for every depth."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.data.decode import decode, image_size
from raysim.data.mask_files import read_mask
from raysim.data.reading import Reading, Refused
from raysim.data.tiff import pages, unturned
from tests.fakes.rasters import colours, put, raster, saved

PLAIN = Reading()
WIDE = colours()[:10]  # 10 x 24 pixels


def gray(depth: str) -> np.ndarray:
    """A ramp to the right, 10 x 24."""
    return (np.tile(np.arange(24), (10, 1)) * 10).astype(depth)


def turned(orientation: int, values: np.ndarray = WIDE) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return saved(Image.fromarray(values), "TIFF", exif=exif)


def written(values: np.ndarray, part: int | None = None, mask: bool = False, **options: object) -> bytes:
    """A TIFF of which `part` columns are written, the other tiles never; or one with an internal mask."""
    import rasterio

    height, width, bands = values.shape
    shape = {"height": height, "width": width, "count": bands, "dtype": values.dtype, "photometric": "RGB"}
    with rasterio.MemoryFile() as file, rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        with file.open(driver="GTiff", **shape, **options) as target:
            window = rasterio.windows.Window(0, 0, part or width, height)
            target.write(np.moveaxis(values[:, : part or width], -1, 0), window=window)
            if mask:
                target.write_mask(np.arange(height * width).reshape(height, width) % 2 == 0)
        return bytes(file.read())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_is_taken_as_it_is_stored(orientation: int, tmp_path: Path) -> None:
    content = turned(orientation)
    picture = decode(content, PLAIN)
    assert (picture.pixels == WIDE).all()
    assert picture.note == ("" if orientation == 1 else "EXIF rotation not applied")
    assert image_size(put(tmp_path / "a.tif", content)) == (24, 10)
    assert pages(unturned(content))[0].orientation == 1 and len(unturned(content)) == len(content)
    mask = put(tmp_path / "mask.tif", turned(orientation, gray("uint8") // 10))
    assert (read_mask(mask) == gray("uint8") // 10).all()


def test_an_internal_mask_is_no_page_and_is_named() -> None:
    for values in (WIDE, WIDE.astype(np.uint16) * 200):
        content = written(values, mask=True)
        assert [page.mask for page in pages(content)] == [False, True]
        picture = decode(content, PLAIN)
        assert picture.pixels.shape == (10, 24, 3) and picture.note == "internal mask not used"


def test_tiles_that_were_never_written_are_black() -> None:
    values = colours(size=32)
    content = written(values, part=16, tiled=True, blockxsize=16, blockysize=16, SPARSE_OK=True)
    pixels = decode(content, PLAIN).pixels
    assert (pixels[:, :16] == values[:, :16]).all() and (pixels[:, 16:] == 0).all()


@pytest.mark.parametrize("depth", ["uint8", "uint16", "int16", "float32"])
def test_white_is_zero_at_every_depth(depth: str) -> None:
    pixels = decode(raster(gray(depth), photometric="MINISWHITE"), PLAIN).pixels[0, :, 0].astype(int)
    assert (np.diff(pixels) <= 0).all() and pixels[0] == 255 and pixels[-1] < 30


def test_pages_of_several_deep_bands_are_refused(tmp_path: Path) -> None:
    import rasterio

    shape = {"driver": "GTiff", "height": 24, "width": 24, "count": 3, "dtype": "uint16"}
    for options in ({}, {"APPEND_SUBDATASET": "YES"}):
        with rasterio.open(tmp_path / "a.tif", "w", **shape, **options) as target:
            target.write(np.moveaxis(colours().astype(np.uint16), -1, 0))
    with pytest.raises(Refused, match="has several pages"):
        decode((tmp_path / "a.tif").read_bytes(), PLAIN)


def test_compressions_that_pillow_lacks_are_read() -> None:
    content = raster(colours(size=64), compress="WEBP", WEBP_LOSSLESS="YES")
    assert pages(content)[0].compression == "WebP"
    assert (decode(content, PLAIN).pixels == colours(size=64)).all()


def test_directories_of_both_orders_and_sizes() -> None:
    for options in ({}, {"BIGTIFF": "YES"}, {"ENDIANNESS": "BIG"}, {"ENDIANNESS": "BIG", "BIGTIFF": "YES"}):
        (page,) = pages(raster(gray("uint16"), photometric="MINISWHITE", **options))
        assert page.white_is_zero and not page.sparse and not page.part and page.orientation == 1
    assert pages(saved(Image.fromarray(WIDE), "PNG")) == [] and pages(b"") == []
    whole = raster(WIDE)
    for size in range(4, len(whole), 7):  # damaged anywhere: nothing is raised here, the decoder says so
        assert len(pages(whole[:size])) <= 1
    loop = bytearray(saved(Image.fromarray(WIDE), "TIFF"))
    start = int.from_bytes(loop[4:8], "little")
    after = start + 2 + 12 * int.from_bytes(loop[start : start + 2], "little")
    loop[after : after + 4] = loop[4:8]  # a directory that follows itself
    assert len(pages(bytes(loop))) == 1


def test_values_of_jpeg_2000_are_those_of_the_file() -> None:
    lossless = {"QUALITY": "100", "REVERSIBLE": "YES"}
    expected = np.round(np.clip(gray("float64") / 300, 0, 1) * 255)
    for values, limits, options in (
        (gray("uint16"), "0-300", {"NBITS": 12}),
        (gray("uint16"), "0-300", {}),
        (gray("int16") - 100, "-100-200", {}),
    ):
        content = raster(values.astype(values.dtype), "JP2OpenJPEG", **lossless, **options)
        pixels = decode(content, Reading(None, limits)).pixels[..., 0]
        assert np.abs(pixels - expected).max() <= 1
    with pytest.raises(Refused, match="has 2 bands"):  # the second is no transparency
        decode(raster(WIDE[..., :2], "JP2OpenJPEG", **lossless), PLAIN)


def test_soft_transparency_of_a_deep_png_is_no_measured_band() -> None:
    values = np.dstack([gray("uint16") * 200, np.full((10, 24), 30_000, np.uint16)])
    content = raster(values, "PNG")
    with Image.open(io.BytesIO(content)) as image:
        assert image.mode in ("LA", "RGBA")
    pixels = decode(content, PLAIN).pixels
    assert 100 < pixels.max() < 130 and (pixels[:, 0] == 0).all()
