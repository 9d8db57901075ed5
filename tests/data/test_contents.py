"""What a result was computed from, and the refusal of other images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from raysim.core.errors import UserError
from raysim.data.contents import changes, describe_contents, refuse_other_images
from raysim.data.reading import Reading
from raysim.data.registry import load_dataset
from raysim.data.scenes import SceneDataset
from tests.fakes.masks import stripes, tiles, write
from tests.fakes.rasters import class_folders, colours, put, saved


def contents(root: Path, reading: Reading | None = None, name: str = "folder") -> dict[str, object]:
    return describe_contents(load_dataset(name, str(root), reading=reading))


def picture(seed: int) -> bytes:
    return saved(Image.fromarray(colours(seed=seed)), "PNG")


def test_what_changed_is_said(tmp_path: Path) -> None:
    before = contents(class_folders(tmp_path, ("beach", "forest", "river"), each=3))
    assert (before["images"], before["classes"], before["counts"]) == (
        9,
        ["beach", "forest", "river"],
        [3, 3, 3],
    )
    assert json.loads(json.dumps(before)) == before and changes(before, contents(tmp_path)) == []
    put(tmp_path / "forest/001.png", picture(9000))
    put(tmp_path / "river/more.png", picture(9001))
    (tmp_path / "beach").rename(tmp_path / "coast")
    now = contents(tmp_path)
    assert changes(before, now) == [
        "class 'coast' is new",
        "class 'beach' is gone",
        "'forest' has other images (3)",
        "'river' has 4 images instead of 3",
    ]
    with pytest.raises(UserError) as error:
        refuse_other_images("--out x", [before], [now])
    assert "'river' has 4 images instead of 3" in str(error.value) and "another folder" in str(error.value)
    refuse_other_images("--out x", [], [now])  # an older result says nothing


def test_settings_of_reading_are_part_of_a_fingerprint(tmp_path: Path) -> None:
    class_folders(tmp_path)
    readings = (None, Reading(), Reading("3,2,1"), Reading(None, "p2-p98"), Reading("1", "p2-p98"))
    prints = [contents(tmp_path, reading)["fingerprint"] for reading in readings]
    assert prints[0] == prints[1] and len(set(prints)) == 4
    tiles(tmp_path / "masks")
    masked = [contents(tmp_path / "masks", reading, "image_masks")["fingerprint"] for reading in readings]
    assert masked[0] == masked[1] and len(set(masked)) == 4


def test_drawn_images_and_masks_have_a_record(tmp_path: Path) -> None:
    drawn = SceneDataset(per_cell=1)
    assert drawn.with_reading(Reading("1", "minmax")) is drawn  # there is no file to read in another way
    scenes = describe_contents(drawn)
    assert scenes["digests"] == [] and scenes["left_out"] == [] and scenes["fingerprint"]
    tiles(tmp_path)
    before = contents(tmp_path, name="image_masks")
    write(tmp_path, "tile0_000", stripes(1, 1, 2, 1))
    assert changes(before, contents(tmp_path, name="image_masks"))


def test_many_changes_are_shortened(tmp_path: Path) -> None:
    before = contents(class_folders(tmp_path, tuple(f"class{k}" for k in range(12)), each=1))
    for k in range(12):
        put(tmp_path / f"class{k}/000.png", picture(9000 + k))
    assert len(found := changes(before, contents(tmp_path))) == 9 and found[-1] == "and 4 more classes"
