"""Rasters that Pillow does not read, or not whole: several bands, or bands of more than 8 bits.

They are read by rasterio (GDAL), the extra `geotiff`. rasterio is used because GDAL knows every compression,
layout and no-data convention of GeoTIFF, and the colours that a file declares.

Shapes: H and W pixels, B bands.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from raysim.core.words import install_extra
from raysim.data.reading import Picture, Reading, Refused, bits_words, choose_bands, reading_words, to_rgb

INSTALL = f"install the reader, {install_extra('geotiff')}"
MAX_PIXELS = 178_956_970  # of an image; half a gigabyte of RGB, the limit of Pillow too
SOFT_ALPHA = 0.5  # share of partly transparent pixels from which a band is no transparency


def refuse_large(width: int, height: int) -> None:
    """Refuse an image whose pixels would not fit into the memory of an ordinary machine."""
    if width * height > MAX_PIXELS:
        raise large(width * height)


def large(pixels: int) -> Refused:
    """Return the refusal of an image by its number of pixels."""
    return Refused(
        f"has {pixels / 1e6:.0f} million pixels, and at most {MAX_PIXELS / 1e6:.0f} million are read",
        "cut it into tiles or resize it",
    )


def refuse_soft_alpha(alpha_HW: np.ndarray, most: int) -> None:
    """Refuse a TIFF whose transparency looks like a band: GDAL declares a fourth band of bytes so.

    Such a band has values between none and all, and often none that is all: near infrared over water is dark.
    """
    soft_HW = (alpha_HW > 0) & (alpha_HW < most)
    if soft_HW.mean() > SOFT_ALPHA or (soft_HW.any() and alpha_HW.max() < most):
        raise Refused(
            "has a band that is declared as transparency and looks like measured values (near infrared?)",
            "name the bands to take: task.bands=1,2,3, or with the fourth: task.bands=4,1,2",
        )


def read_raster(content: bytes, reading: Reading, why: str, inverted: bool = False) -> Picture:
    """Read a raster as RGB.

    Args:
        content: The whole file.
        reading: The settings.
        why: What the file has that needs rasterio, for the message where that is missing.
        inverted: Whether the file says that its smallest value is white.

    Raises:
        Refused: rasterio is missing, or the raster cannot be read by the rule.
    """
    with _opened(content, why) as raster:
        refuse_large(raster.width, raster.height)
        colours = [colour.name for colour in raster.colorinterp]
        if "palette" in colours and raster.dtypes[0] != "uint8":
            raise Refused(f"has a palette of {raster.dtypes[0]} values", "save it with its colours as RGB")
        places, alpha = choose_bands(colours, reading)
        values_HWB = np.stack([raster.read(place + 1) for place in places], axis=-1)
        nodata = [raster.nodatavals[place] for place in places]
        is_tiff = raster.driver == "GTiff"
        alpha_HW = None if alpha is None else raster.read(alpha + 1)
    missing_HW, absent_HWB = is_nodata(values_HWB, nodata), absent_values(values_HWB, nodata)
    if alpha_HW is None:
        pixels = to_rgb(values_HWB, missing_HW, reading.stretch, inverted, absent_HWB)
    else:
        most = np.iinfo(alpha_HW.dtype).max if alpha_HW.dtype.kind in "iu" else 1
        if is_tiff:
            refuse_soft_alpha(alpha_HW, most)
        transparent_HW = alpha_HW == 0
        missing_HW = transparent_HW if missing_HW is None else missing_HW | transparent_HW
        rgb = to_rgb(values_HWB, missing_HW, reading.stretch, absent_HWB=absent_HWB)
        pixels = over_black(rgb, alpha_HW / most)
    words = reading_words(bits_words(values_HWB.dtype), len(colours), reading)
    return Picture(pixels, words)


def read_band(content: bytes) -> np.ndarray:
    """Read the values of a raster of one band. [H, W], or [H, W, B] where it has several.

    Raises:
        Refused: rasterio is missing, or the raster is too large.
    """
    with _opened(content, "is a raster of an unusual type") as raster:
        refuse_large(raster.width, raster.height)
        values: np.ndarray = raster.read()
    return values[0] if len(values) == 1 else np.moveaxis(values, 0, -1)


@contextmanager
def _opened(content: bytes, why: str) -> Iterator[Any]:
    """Open a raster by rasterio; refuse it where rasterio is missing, saying why it is needed."""
    try:
        import rasterio
    except ImportError:
        raise Refused(why, f"reading it needs rasterio; {INSTALL}") from None
    from rasterio.errors import NotGeoreferencedWarning

    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # what is wrong is raised
    warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)  # where an image lies is not needed
    with rasterio.MemoryFile(content) as file, file.open() as raster:
        yield raster


def over_black(pixels: np.ndarray, opacity_HW: np.ndarray) -> np.ndarray:
    """Return an image in front of black. [H, W, 3] uint8."""
    if (opacity_HW == 1).all():
        return pixels
    shaded: np.ndarray = np.round(pixels * opacity_HW[:, :, None]).astype(np.uint8)
    return shaded


def absent_values(values_HWB: np.ndarray, nodata: list[float | None]) -> np.ndarray | None:
    """Return which values are the no-data value of their band; None where no band declares one."""
    if all(value is None for value in nodata):
        return None
    absent = [
        np.zeros(values_HWB.shape[:2], dtype=bool) if value is None else values_HWB[..., place] == value
        for place, value in enumerate(nodata)
    ]
    return np.stack(absent, axis=-1)


def is_nodata(values_HWB: np.ndarray, nodata: list[float | None]) -> np.ndarray | None:
    """Return the pixels whose bands all have the no-data value; None where the file declares none."""
    if any(value is None for value in nodata):
        return None
    missing: np.ndarray = np.ones(values_HWB.shape[:2], dtype=bool)
    for place, value in enumerate(nodata):
        band = values_HWB[..., place]
        missing &= np.isnan(band) if value != value else band == value
    return missing
