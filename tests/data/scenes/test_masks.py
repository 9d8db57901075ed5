"""Scenes with masks."""

from __future__ import annotations

import numpy as np
import pytest

from raysim.core.errors import UserError
from raysim.data.registry import load_dataset
from raysim.data.scenes import SceneDataset
from raysim.data.scenes.masks import SceneMasks
from raysim.data.splits import split


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
