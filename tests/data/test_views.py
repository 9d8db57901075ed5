"""Views show the right part of an image, and of its mask."""

from __future__ import annotations

import numpy as np
import pytest

from raysim.data.views import random_view, resize, resize_mask


@pytest.mark.parametrize("shape", [(40, 40), (30, 90), (90, 31), (5, 7)])
def test_masks_are_cut_as_their_images(shape: tuple[int, int]) -> None:
    """On a plane that rises to the right and down, a mask's value is the image's red, up to interpolation."""
    plane = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 200 // sum(shape)).astype(np.uint8)
    image, mask = resize(np.dstack([plane] * 3), 16)[..., 0], resize_mask(plane, 16)
    assert mask.shape == (16, 16) and mask.dtype == np.uint8 and set(np.unique(mask)) <= set(np.unique(plane))
    step = 200 / sum(shape) * max(1, min(shape) / 16)  # what the value moves within one pixel
    assert np.abs(image.astype(int) - mask).max() <= 2 * step + 2


@pytest.mark.parametrize("shape", [(40, 40), (30, 90), (90, 31), (5, 7), (1, 1)])
def test_transforms_keep_their_promises(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert resize(image, 16).shape == (16, 16, 3) and resize(image, 16).dtype == np.uint8
    for seed in range(20):
        view = random_view(image, 16, np.random.default_rng(seed))
        assert view.shape == (16, 16, 3) and view.dtype == np.uint8


def test_transforms_show_the_right_part() -> None:
    columns = np.broadcast_to(np.arange(120, dtype=np.uint8)[None, :, None], (40, 120, 3))
    assert (
        abs(float(resize(columns, 40).mean()) - 59.5) < 0.01 and resize(columns, 40).min() == 40
    )  # the centre square
    widths, mirrored = [], 0
    square = np.broadcast_to(np.arange(200, dtype=np.uint8)[None, :, None], (200, 200, 3))
    for seed in range(300):
        row = random_view(square, 32, np.random.default_rng(seed))[16, :, 0].astype(float)
        widths.append(abs(row[-1] - row[0]) / 200 * 32 / 31)
        mirrored += row[0] > row[-1]
    assert (
        0.5 < min(widths) < 0.7 and 0.95 < max(widths) < 1.02
    )  # crops of half to all of the area, aspect at most 4:3
    assert 110 < mirrored < 190
