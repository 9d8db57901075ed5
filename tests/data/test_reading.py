"""The rule of pixels: bands, stretches, missing values; the bits of what was read before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from raysim.data.reading import Reading, Refused, checked_bands, checked_stretch, choose_bands, to_rgb
from tests.fakes.rasters import noise


@pytest.mark.parametrize(
    ("value", "bands"),
    [(None, None), ("3,2,1", "3,2,1"), (" 4, 3,2", "4,3,2"), (4, "4"), ([8, 4, 3], "8,4,3"), ("04", "4")],
)
def test_bands_have_one_form(value: Any, bands: str | None) -> None:
    assert checked_bands(value) == bands


@pytest.mark.parametrize("value", ["", "0", "3,2", "1,2,3,4", "r,g,b", "-1", "1.5", True, [1, 2], {}, "1,,2"])
def test_other_bands_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="one band or three, counted from 1"):
        checked_bands(value)


@pytest.mark.parametrize(
    ("value", "stretch"),
    [
        (None, None),
        ("p2-p98", "p2-p98"),
        ("P02-p98.0", "p2-p98"),
        ("p0.5-p99.5", "p0.5-p99.5"),
        ("p0-p100", "minmax"),
        ("minmax", "minmax"),
        ("0-10000", "0-10000"),
        ("-25-0.5", "-25-0.5"),
        ("-1--0.5", "-1--0.5"),
        ("0-100000000", "0-100000000"),
    ],
)
def test_a_stretch_has_one_form(value: Any, stretch: str | None) -> None:
    assert checked_stretch(value) == stretch and checked_stretch(stretch) == stretch


@pytest.mark.parametrize(
    "value", ["none", "p98-p2", "p2-98", "p2", "5-5", "10-1", "p0-p101", "", 3, "nan-1", "0-1e4", "0..1"]
)
def test_another_stretch_is_refused_with_what_is_allowed(value: Any) -> None:
    with pytest.raises(ValueError, match=r"p2-p98.*minmax.*0-10000"):
        checked_stretch(value)


def test_the_file_says_which_bands_are_colours_or_the_user_does() -> None:
    assert choose_bands(["gray"], Reading()) == ([0], None)
    assert choose_bands(["gray", "undefined", "undefined"], Reading()) == ([0, 1, 2], None)
    assert choose_bands(["gray", "alpha"], Reading()) == ([0], 1)
    assert choose_bands(["blue", "green", "red", "undefined", "alpha"], Reading()) == ([2, 1, 0], 4)
    assert choose_bands(["red", "green", "blue", "alpha"], Reading("4,1,2")) == ([3, 0, 1], None)
    for colours in (["gray", "undefined"], ["gray", *["undefined"] * 12]):
        with pytest.raises(Refused, match=f"has {len(colours)} bands and does not say"):
            choose_bands(colours, Reading())
    with pytest.raises(Refused, match=r"has one band, and task\.bands=3,2,1 asks for band 3"):
        choose_bands(["gray"], Reading("3,2,1"))


def stretched_before(values: np.ndarray) -> np.ndarray:
    """The rule of gray images as it always was."""
    values = values.astype(np.float64)
    low, high = np.percentile(values, [0.5, 99.5])
    return np.round(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


@pytest.mark.parametrize("dtype", ["uint16", "int16", "int32", "uint32", "float32", "float64"])
@pytest.mark.parametrize("seed", range(3))
def test_one_band_keeps_its_bits(dtype: str, seed: int) -> None:
    values = noise(1, seed=seed, size=37).astype(dtype)
    if dtype.startswith("float"):
        values = values / 7
    if seed == 2:
        values[:] = 1500  # a constant has no range
    rgb = to_rgb(values, None, None)
    assert rgb.flags.writeable and (rgb == stretched_before(values)).all()


def test_colours_are_stretched_together() -> None:
    values = noise(3, 200, 3000)
    values[..., 2] //= 2
    rgb = to_rgb(values, None, None)
    assert (rgb == stretched_before(values)).all()
    assert rgb[..., 2].mean() < 0.6 * rgb[..., 0].mean() and 60 < rgb.mean() < 200


def test_a_stretch_says_what_is_black_and_white() -> None:
    values = np.array([[[0], [50], [100], [200]]], np.uint16)
    assert to_rgb(values, None, "0-100")[0, :, 1].tolist() == [0, 128, 255, 255]
    assert to_rgb(values, None, "minmax")[0, :, 1].tolist() == [0, 64, 128, 255]
    assert to_rgb(values.astype(np.float32) - 100, None, "-100-100")[0, :, 0].tolist() == [0, 64, 128, 255]
    assert (to_rgb(values, None, "p2-p98") == to_rgb(values.astype(np.int32), None, "p2-p98")).all()
    eight = np.arange(256, dtype=np.uint8)[None, :, None]
    assert (to_rgb(eight, None, None) == eight).all() and (to_rgb(eight, None, "0-255") == eight).all()
    assert to_rgb(eight, None, "100-101")[0, [100, 101, 255], 0].tolist() == [0, 255, 255]


def test_missing_values_are_black_and_no_part_of_a_stretch() -> None:
    values = noise(3).astype(np.float32)
    expected = to_rgb(values[1:], None, None)
    values[0] = np.nan
    values[0, 0] = np.inf
    rgb = to_rgb(values, None, None)
    assert (rgb[0] == 0).all() and (rgb[1:] == expected).all()
    missing = np.zeros(values.shape[:2], bool)
    missing[0] = True
    assert (to_rgb(np.nan_to_num(values, nan=-9999, posinf=-9999), missing, None) == rgb).all()
    with pytest.raises(Refused, match="no pixel with a value"):
        to_rgb(np.full((4, 4, 1), np.nan, np.float32), None, None)
    with pytest.raises(Refused, match="complex values"):
        to_rgb(np.zeros((4, 4, 1), np.complex64), None, None)


def test_large_images_are_scaled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    values = noise(3).astype(np.int32)
    whole = to_rgb(values, None, None)
    monkeypatch.setattr("raysim.data.reading.VALUES_AT_ONCE", 100)
    assert (to_rgb(values, None, None) == whole).all()
