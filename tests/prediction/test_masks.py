"""Where the masks of images are written, and what is never written over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.mask_files import write_classes
from raysim.data.registry import load_dataset
from raysim.prediction.masks import mask_paths, write_mask


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((4, 6, 3), dtype=np.uint8)).save(path)
    return path


def test_a_mask_has_the_place_of_its_image() -> None:
    names = [Path(name) for name in ("t/a.png", "t/a.jpg", "t/b/c.tif")]
    found = [path.as_posix() for path in mask_paths(names, Path("m"))]
    assert found == ["m/a.png.png", "m/a.jpg.png", "m/b/c.png"]
    arrays = [np.zeros((4, 6, 3))] * 2
    assert mask_paths(arrays, Path("m")) == [Path("m/image-0.png"), Path("m/image-1.png")]
    assert mask_paths([Path("t/image 0.tif")], Path("m")) == [Path("m/image 0.png")]


def test_no_mask_leaves_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture(tmp_path / "tiles_a/y.png"), picture(tmp_path / "tiles_b/x.png")
    monkeypatch.chdir(tmp_path / "tiles_b")
    found = mask_paths([Path("../tiles_a/y.png"), Path("x.png")], Path("../masks"))
    assert found == [Path("../masks/tiles_a/y.png"), Path("../masks/tiles_b/x.png")]


def test_no_mask_is_written_over_an_image(tmp_path: Path) -> None:
    images = [picture(tmp_path / f"tiles/{name}.png") for name in "ab"]
    with pytest.raises(UserError, match=r"masks in .*tiles are not allowed: .*a\.png would be written over"):
        mask_paths(images, tmp_path / "tiles")
    (tmp_path / "link").symlink_to(tmp_path / "tiles")
    with pytest.raises(UserError, match="would be written over"):
        mask_paths(images, tmp_path / "link")
    other = [picture(tmp_path / "tiles/c.jpg")]
    assert mask_paths(other, tmp_path / "tiles") == [tmp_path / "tiles/c.png"]


def test_masks_are_read_again_with_the_classes_that_they_were_written_with(tmp_path: Path) -> None:
    classes, mask = ("water", "forest", "road"), np.array([[0, 1, 2, 2, 1, 255]] * 4, dtype=np.uint8)
    for name in "abc":
        picture(tmp_path / f"images/{name}.png")
        write_mask(mask, tmp_path / f"masks/{name}.png")
    write_classes(tmp_path / "masks", classes)
    dataset = load_dataset("image_masks", str(tmp_path))
    assert dataset.classes == classes and not dataset.left_out
    assert (dataset.mask(0) == mask).all()
    write_classes(tmp_path / "masks", classes)
    with pytest.raises(UserError, match=r"classes\.txt is there already and names other classes than a, b;"):
        write_classes(tmp_path / "masks", ("a", "b"))
    (tmp_path / "classes.txt").write_text("sea\nwood\nstreet\n")
    assert load_dataset("image_masks", str(tmp_path)).classes == ("sea", "wood", "street")
