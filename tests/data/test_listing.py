"""Folders as people have them: what is taken, and what is left out, by reason and number."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.data.folder import Folder
from raysim.data.listing import (
    DANGLING,
    DEEPER,
    EMPTY,
    HIDDEN,
    NO_FILES,
    OTHER,
    OUTSIDE,
    UNLISTED,
    scan_classes,
)
from raysim.data.mask_files import pair
from raysim.data.registry import load_dataset
from tests.fakes.datasets import error_of
from tests.fakes.masks import tiles
from tests.fakes.rasters import class_folders, put


def awkward(root: Path) -> Path:
    """A folder with something of every kind that is not taken."""
    class_folders(root, each=2)
    picture = (root / "beach/000.png").read_bytes()
    for name in ("top.png", "beach/old/2019/a.png", "beach/old/b.TIF", "river/2019/a.png", "beach/UP.PNG"):
        put(root / name, picture)
    for name in ("readme.txt", "beach/a.tfw", "beach/b.npy", "beach/no ending"):
        put(root / name, b"x")
    for name in ("beach/Thumbs.db", "beach/.DS_Store", "forest/._000.png", ".git/a.png", "__MACOSX/a.png"):
        put(root / name, b"x")
    (root / "beach/nothing").mkdir()
    (root / "void").mkdir()
    (root / "beach/gone.png").symlink_to("/nowhere/at/all.png")
    (root / "beach/self.png").symlink_to("self.png")
    (root / "forest/link.png").symlink_to(root / "beach/000.png")
    (root / "forest/loop").symlink_to(root)
    (root / "pond").symlink_to(root / "forest")
    os.mkfifo(root / "beach/pipe.png")
    return root


def test_everything_that_is_not_taken_is_counted_by_its_reason(tmp_path: Path) -> None:
    listing, left_out = scan_classes(awkward(tmp_path / "data"))
    assert listing == {
        "beach": ["000.png", "001.png", "UP.PNG"],
        "forest": ["000.png", "001.png", "link.png"],
        "pond": ["000.png", "001.png", "link.png"],
    }
    places = {reason: dict(counts) for reason, counts in left_out.places.items()}
    deeper = places.pop(DEEPER)
    assert {name: deeper[name] for name in ("beach/old", "river/2019")} == {"beach/old": 2, "river/2019": 1}
    assert deeper["forest/loop"] > 0  # a link to a folder above ends, and is no class
    assert places == {
        OUTSIDE: {"top.png": 1},
        OTHER: {".txt": 1, ".tfw": 1, ".npy": 1, "no ending": 1},
        HIDDEN: {".git": 1, "__MACOSX": 1, "beach": 2, "forest": 1, "pond": 1},
        DANGLING: {"beach/gone.png": 1, "beach/self.png": 1},
        NO_FILES: {"beach/pipe.png": 1},
        EMPTY: {"beach/nothing": 1, "void": 1},
    }
    for words in (
        "4 files without the ending of an image (.txt,",
        "1 image beside the class folders (top.png)",
    ):
        assert words in left_out.sentence
    first = left_out.json()[0]
    assert first["number"] == sum(left_out.places[first["reason"]].values())


def test_a_dataset_knows_what_was_left_out(tmp_path: Path) -> None:
    assert Folder(str(awkward(tmp_path / "data"))).left_out
    assert not Folder(str(class_folders(tmp_path / "clean"))).left_out
    assert Folder(str(tmp_path / "clean")).left_out.sentence == ""
    tiles(tmp_path / "masks")
    put(tmp_path / "masks/images/deeper/a.png", b"x")
    put(tmp_path / "masks/masks/notes.txt", b"x")
    sentence = load_dataset("image_masks", str(tmp_path / "masks")).left_out.sentence
    assert "1 image in a deeper folder (images/deeper)" in sentence and ".txt" in sentence
    assert len(pair(tmp_path / "masks/images", tmp_path / "masks/masks")[0]) == 18


def test_the_right_path_is_proposed(tmp_path: Path) -> None:
    class_folders(tmp_path / "test", each=3)
    class_folders(tmp_path / "train", each=2)
    message = error_of("folder", tmp_path)
    assert "10 images in deeper folders (test/beach 3" in message
    assert message.endswith(f"give the path {tmp_path}/train")


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    class_folders(tmp_path)
    before = Folder(str(tmp_path)).fingerprint
    os.rename(tmp_path / "beach/000.png", os.fsencode(tmp_path) + b"/beach/\xba\xa3.png")
    renamed = Folder(str(tmp_path))
    assert len(renamed) == 12 and renamed.image(5).shape == (24, 24, 3) and renamed.fingerprint != before
    os.rename(tmp_path / "beach", os.fsencode(tmp_path) + b"/\xba\xa3")
    assert "\\xba\\xa3: the name of this class folder is no UTF-8 text" in error_of("folder", tmp_path)


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path, ("a", "b", "closed"))
    real = os.scandir

    def scandir(folder: object) -> object:
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(folder)  # type: ignore[call-overload]

    monkeypatch.setattr("raysim.data.listing.os.scandir", scandir)
    listing, left_out = scan_classes(tmp_path)
    assert set(listing) == {"a", "b"} and dict(left_out.places[UNLISTED]) == {"closed": 1}
    with pytest.raises(UserError, match="closed cannot be listed: permission denied; give yourself"):
        scan_classes(tmp_path / "closed")


def test_a_deep_tree_is_not_looked_at_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class_folders(tmp_path, each=1)
    for number in range(40):
        put(tmp_path / f"beach/deep/{number}/a.png", b"x")
    monkeypatch.setattr("raysim.data.listing.MOST_LOOKED_AT", 50)
    _, left_out = scan_classes(tmp_path)
    assert 0 < left_out.places[DEEPER]["beach/deep"] < 40


def test_folders_of_systems_are_no_classes(tmp_path: Path) -> None:
    class_folders(tmp_path, ("a", "b", "$RECYCLE.BIN", "@eaDir", "System Volume Information"), each=1)
    listing, left_out = scan_classes(tmp_path)
    assert set(listing) == {"a", "b"} and sum(left_out.places[HIDDEN].values()) == 3
