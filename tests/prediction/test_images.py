"""Which images are meant: files, folders and arrays, and what is none of them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.folder import Folder
from raysim.data.reading import Reading
from raysim.prediction.images import given_images
from tests.fakes.rasters import class_folders, colours, put, saved

PICTURE = saved(Image.fromarray(colours()), "PNG")


def test_the_images_of_a_folder_are_those_that_training_takes(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "tiles")
    elsewhere = class_folders(tmp_path / "elsewhere", ("river",))
    for name in ("beach/__first.png", "beach/.hidden.png", "__MACOSX/a.png", ".cache/a.png"):
        put(root / name, PICTURE)
    (root / "river").symlink_to(elsewhere / "river")
    (root / "forest/file.png").symlink_to(elsewhere / "river/000.png")
    (root / "forest/nowhere.png").symlink_to(elsewhere / "gone.png")
    trained = sorted(map(str, Folder(str(root)).files))
    assert len(trained) == 3 * 6 + 2
    (root / "forest/around").symlink_to(root)  # a circle
    (root / "forest/self").symlink_to(root / "forest/self")
    assert given_images(root, Reading()).names == trained


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path) -> None:
    root = class_folders(tmp_path / "tiles")
    (root / "forest").chmod(0)
    with pytest.raises(UserError, match=r"forest cannot be listed"):
        given_images(root, Reading())


@pytest.mark.parametrize(
    ("images", "kind"),
    [(Image.new("RGB", (8, 8)), "Image"), (3, "int"), (None, "NoneType"), ([3, "a"], "int, str")],
)
def test_what_is_no_image_is_refused(images: Any, kind: str) -> None:
    with pytest.raises(UserError, match=rf"images of type {kind} are not allowed: give paths, or NumPy"):
        given_images(images, Reading())
    assert len(given_images(np.zeros((2, 8, 8, 3), np.uint8), Reading())) == 2
