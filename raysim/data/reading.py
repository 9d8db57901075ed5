"""The rule by which the values of an image file become RGB of 8 bits: which bands, and how they are scaled.

One rule for all files:

* 8 bits a value: the values as they are. More than 8 bits: stretched from the 0.5 to the 99.5 percentile of
  the image, the same limits for all its bands, so that colours stay. `task.stretch` sets another rule for all
  files, those of 8 bits too.
* One band is gray, three are red, green and blue in this order. Of more bands the file has to say which are
  red, green and blue; else `task.bands` has to.
* A pixel is missing where a band is NaN or infinite, where all bands have the file's no-data value, or where
  it is transparent. Missing pixels are black and do not count in a stretch.

Shapes: H and W pixels, B bands.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

ALLOWED_STRETCH = (
    "pLOW-pHIGH (percentiles of each image, for example p2-p98), minmax (each image's own range) or LOW-HIGH "
    "(the same values for all images, for example 0-10000)"
)
ALLOWED_BANDS = "one band or three, counted from 1, for example 4 or 4,3,2"
FLAT = (
    "almost without contrast (is a fill value not declared as no-data? give the limits: "
    "task.stretch=LOW-HIGH)"
)
ALIKE = 64  # levels of 256 that count as one tone
DEFAULT_PERCENTILES = (0.5, 99.5)  # of images of more than 8 bits
MAX_BAND = 10_000
READING_VERSION = 4  # increase it when a file is read as other pixels than before
SMALLEST_RANGE = 1e-12  # of a stretch; an image of one value becomes black
VALUES_AT_ONCE = 2**24  # values that are scaled at once
_NUMBER = r"-?\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Reading:
    """How image files are read.

    Args:
        bands: One band (gray) or three (red, green, blue), counted from 1; None: as the file says.
        stretch: A stretch as `checked_stretch` returns it; None: by the number of bits.
    """

    bands: str | None = None
    stretch: str | None = None

    @property
    def is_default(self) -> bool:
        """Whether files are read as they are without any setting."""
        return self.bands is None and self.stretch is None

    @property
    def band_numbers(self) -> list[int]:
        """The bands, counted from 1; none where the file decides."""
        return [int(band) for band in self.bands.split(",")] if self.bands else []

    @property
    def words(self) -> str:
        """The settings as a user types them; empty for the defaults."""
        settings = {"task.bands": self.bands, "task.stretch": self.stretch}
        return " ".join(f"{name}={value}" for name, value in settings.items() if value is not None)


@dataclass(frozen=True)
class Picture:
    """An image as it was read.

    Args:
        pixels: [H, W, 3] uint8 RGB.
        read: What was read and how, for example "16 bits, 3 bands, stretched p0.5-p99.5".
        note: What a viewer would show otherwise; empty for nothing.
    """

    pixels: np.ndarray
    read: str = ""
    note: str = ""


class Refused(Exception):
    """An image that is not read: the reason in words ("has 4 bands"), and what helps."""

    def __init__(self, reason: str, advice: str) -> None:
        super().__init__(reason, advice)
        self.reason, self.advice = reason, advice


def checked_bands(value: Any) -> str | None:
    """Return bands in their one form, such as "4,3,2".

    Args:
        value: Text, a number, or a list of numbers.

    Raises:
        ValueError: It is none of what `ALLOWED_BANDS` says.
    """
    if value is None:
        return None
    parts = value if isinstance(value, list | tuple) else str(value).split(",")
    texts = [str(part).strip() for part in parts]
    if len(texts) not in (1, 3) or not all(text.isdecimal() and 1 <= int(text) <= MAX_BAND for text in texts):
        raise ValueError(f"it should be {ALLOWED_BANDS}")
    return ",".join(str(int(text)) for text in texts)


def checked_stretch(value: Any) -> str | None:
    """Return a stretch in its one form: "p2-p98", "minmax" or "0-10000".

    Raises:
        ValueError: It is none of what `ALLOWED_STRETCH` says.
    """
    if value is None:
        return None
    text = str(value).strip().lower()
    if text == "minmax":
        return text
    for pattern, mark in ((rf"p({_NUMBER})-p({_NUMBER})", "p"), (rf"({_NUMBER})-({_NUMBER})", "")):
        if parts := re.fullmatch(pattern, text):
            low, high = float(parts[1]), float(parts[2])
            if low < high and (not mark or 0 <= low < high <= 100):
                same = mark and (low, high) == (0, 100)
                return "minmax" if same else f"{mark}{_plain(low)}-{mark}{_plain(high)}"
    raise ValueError(f"it should be {ALLOWED_STRETCH}, LOW below HIGH")


def choose_bands(colours: Sequence[str], reading: Reading) -> tuple[list[int], int | None]:
    """Return the places of the bands to take, one or three, and of the transparency.

    Args:
        colours: What the file says of each band: "red", "green", "blue", "alpha", "gray" or "undefined".
        reading: The settings.

    Raises:
        Refused: The file has no such band, or does not say which are red, green and blue.
    """
    number = len(colours)
    if reading.bands is not None:
        if max(reading.band_numbers) > number:
            has = f"{number} bands" if number > 1 else "one band"
            raise Refused(
                f"has {has}, and task.bands={reading.bands} asks for band {max(reading.band_numbers)}",
                "name bands that every file has",
            )
        return [band - 1 for band in reading.band_numbers], None
    alpha = list(colours).index("alpha") if "alpha" in colours else None
    named = [colours.index(name) for name in ("red", "green", "blue") if name in colours]
    if len(named) == 3:
        return named, alpha
    present = [place for place in range(number) if place != alpha]
    if len(present) in (1, 3):
        return present, alpha
    example = "3,2,1" if number > 2 else "1"
    raise Refused(
        f"has {number} bands and does not say which are red, green and blue",
        f"name them, counted from 1, for example task.bands={example}",
    )


def to_rgb(
    values_HWB: np.ndarray,
    missing_HW: np.ndarray | None,
    stretch: str | None,
    inverted: bool = False,
    absent_HWB: np.ndarray | None = None,
) -> np.ndarray:
    """Scale one band or three to RGB of 8 bits.

    Args:
        values_HWB: Values, 8-bit as they are stored. [H, W, B], B = 1 or 3
        missing_HW: Pixels without a value, beside those that are NaN or infinite. [H, W] bool
        stretch: The setting.
        inverted: Whether the file says that its smallest value is white.
        absent_HWB: Values that are no-data in their band: limits are those of the others. [H, W, B] bool

    Returns:
        [H, W, 3] uint8.

    Raises:
        Refused: No pixel has a value, or values are complex.
    """
    if np.iscomplexobj(values_HWB):
        raise Refused("has complex values", "store their amplitude, for example in decibels")
    if values_HWB.dtype.kind == "f":
        finite_HW = np.isfinite(values_HWB).all(axis=2)
        if not finite_HW.all():
            missing_HW = ~finite_HW if missing_HW is None else missing_HW | ~finite_HW
    if missing_HW is not None and not missing_HW.any():
        missing_HW = None
    if missing_HW is not None:
        refuse_empty(missing_HW)
    plain = values_HWB.dtype == np.uint8 and stretch is None
    if plain:
        scaled = values_HWB
    else:
        present = values_HWB if missing_HW is None else values_HWB[~missing_HW]
        if absent_HWB is not None:
            present = present[~(absent_HWB if missing_HW is None else absent_HWB[~missing_HW])]
        scaled = _scaled(values_HWB, *_limits(present, stretch))
    scaled = 255 - scaled if inverted else scaled
    rgb = np.repeat(scaled, 3, axis=2) if scaled.shape[2] == 1 else np.array(scaled)
    if missing_HW is not None:
        rgb[missing_HW] = 0
    return rgb


def refuse_empty(missing_HW: np.ndarray) -> None:
    """Refuse an image in which no pixel has a value."""
    if missing_HW.all():
        raise Refused("has no pixel with a value: all are no-data, NaN or transparent", "remove it")


def is_flat(pixels: np.ndarray) -> bool:
    """Return whether a stretched image shows nothing: it has one value, or two tones, black and white.

    That is what a fill value looks like which the file does not declare: it is one end of the stretch, and
    all that was measured lies at the other end. [H, W, 3] uint8
    """
    share = np.bincount(pixels.ravel(), minlength=256) / pixels.size
    fill_low = share[0] > 0 and share[1 : 256 - ALIKE].sum() == 0
    fill_high = share[255] > 0 and share[ALIKE:255].sum() == 0
    return bool(share.max() == 1 or fill_low or fill_high)


def reading_words(bits: str, bands: int, reading: Reading) -> str:
    """Say what was read and how, for example "16 bits, bands 4,3,2 of 13, stretched p0.5-p99.5"."""
    rule = reading.stretch or ("" if bits == "8 bits" else "p{:g}-p{:g}".format(*DEFAULT_PERCENTILES))
    number = "one band" if bands == 1 else f"{bands} bands"
    if reading.bands is not None and bands > 1:
        number = f"band{'s' * (',' in reading.bands)} {reading.bands} of {bands}"
    return f"{bits}, {number}, {f'stretched {rule}' if rule else 'as they are'}"


def bits_words(dtype: np.dtype) -> str:
    """Return a type of values in words: "8 bits", "16 bits", "int16", "float32"."""
    return f"{8 * dtype.itemsize} bits" if dtype.kind == "u" else str(dtype)


def _limits(present: np.ndarray, stretch: str | None) -> tuple[float, float]:
    """Return the values that become 0 and 255, by the values that are present."""
    parts = stretch.split("p") if stretch else []
    if stretch and stretch != "minmax" and not stretch.startswith("p"):
        low, high = re.fullmatch(rf"({_NUMBER})-({_NUMBER})", stretch).groups()  # type: ignore[union-attr]
        return float(low), float(high)
    if stretch == "minmax":
        return float(present.min()), float(present.max())
    percentiles = [float(part.strip("-")) for part in parts if part] or list(DEFAULT_PERCENTILES)
    if present.dtype not in (np.uint8, np.uint16):
        present = present.astype(np.float64)
    low, high = np.percentile(present, percentiles)
    return float(low), float(high)


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Scale values from `low` .. `high` to 0 .. 255; what lies outside is cut off."""

    def scale(part: np.ndarray) -> np.ndarray:
        scaled = np.clip((part.astype(np.float64) - low) / max(high - low, SMALLEST_RANGE), 0, 1) * 255
        return np.nan_to_num(np.round(scaled)).astype(np.uint8)

    if values.dtype in (np.uint8, np.uint16):  # by a table of all values
        table: np.ndarray = scale(np.arange(2 ** (8 * values.dtype.itemsize)))
        return table[values]
    rows = max(1, VALUES_AT_ONCE // max(1, values[0].size))
    with np.errstate(invalid="ignore"):
        return np.concatenate([scale(values[at : at + rows]) for at in range(0, len(values), rows)])


def _plain(number: float) -> str:
    """Write a number without an exponent and without zeros at its end."""
    text = f"{number:.6f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
