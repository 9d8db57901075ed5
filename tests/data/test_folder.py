"""Class folders: every layout is found, and what is missing, wrong or damaged is named."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from raysim.core.errors import UserError
from raysim.data.archives.aid import Aid
from raysim.data.archives.ucmerced import UCMerced
from raysim.data.folder import ClassFolders, Folder, class_words
from raysim.data.registry import load_dataset
from tests.fakes.archives import build, mini, paint
from tests.fakes.datasets import error_of
from tests.fakes.rasters import class_folders


def test_plain_class_folders_with_every_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats = ["a.jpg", "b.jpeg", "c.png", "d.tif", "e.tiff", "f.webp", "g.PNG"]
    for words in UCMerced.info.classes:
        for name in formats:
            paint(tmp_path / "ucmerced" / words.title() / name)
        (tmp_path / "ucmerced" / words.title() / "notes.txt").write_text("no image")
        (tmp_path / "ucmerced" / words.title() / "._a.jpg").write_text("left by a Mac")
    (tmp_path / "ucmerced" / "__MACOSX").mkdir()
    monkeypatch.setenv("RAYSIM_DATA", os.pathsep.join(["/nowhere", str(tmp_path)]))
    dataset = mini(UCMerced, each=7)()
    assert isinstance(dataset, ClassFolders) and len(dataset) == 7 * 21
    assert [file.name for file in dataset.files[:7]] == sorted(formats)


def test_wrong_counts_and_folders_are_named(tmp_path: Path) -> None:
    build(tmp_path, "ucmerced")
    classes = tmp_path / "UCMerced_LandUse/Images"
    with pytest.raises(UserError, match=r"agricultural 2 \(expected 100\)") as error:
        load_dataset("ucmerced", str(tmp_path))
    assert "2100 images, found 21 and 42" in str(error.value) and "\n" not in str(error.value)
    (classes / "beach/beach00.tif").unlink()
    with pytest.raises(UserError, match=r"wrong numbers of images: beach 1 \(expected 2\)\. "):
        mini(UCMerced)(str(tmp_path))
    shutil.rmtree(classes / "river")
    with pytest.raises(UserError, match="class folders missing or empty: river; wrong") as error:
        mini(UCMerced)(str(tmp_path))
    assert UCMerced.info.page in str(error.value) and str(classes) in str(error.value)
    paint(classes / "volcano/volcano00.tif")
    with pytest.raises(UserError, match="unexpected folders: volcano; "):
        mini(UCMerced)(str(tmp_path))
    paint(classes / "Tennis Court/x.tif")
    with pytest.raises(UserError, match="folders for the same class: Tennis Court and tenniscourt"):
        mini(UCMerced)(str(tmp_path))


def test_missing_data_say_where_and_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    (tmp_path / "aid").mkdir()
    (tmp_path / "aid" / "readme.txt").write_text("")
    message = error_of("aid")
    for part in (
        str(tmp_path / "aid"),
        "readme.txt",
        "AID/Airport/airport_1.jpg",
        "AID.zip",
        "2.6 GB",
        Aid.info.page,
        "RAYSIM_DATA=",
    ):
        assert part in message
    assert "\n" not in message
    assert f"no folder {tmp_path / 'resisc45'}" in error_of("resisc45")
    (tmp_path / "NWPU-RESISC45.zip").write_text("")
    assert f"unpack {tmp_path / 'NWPU-RESISC45.zip'}" in error_of("resisc45")
    assert f"no folder {tmp_path / 'x'}" in error_of("aid", str(tmp_path / "x"))
    monkeypatch.delenv("RAYSIM_DATA")
    assert "RAYSIM_DATA is not set" in error_of("eurosat")
    assert "needs a path" in error_of("folder")
    assert "did you mean 'eurosat'" in error_of("eurosatt")
    assert "leave out the path" in error_of("scenes", str(tmp_path))


def test_folder_refuses_what_is_no_class_tree(tmp_path: Path) -> None:
    paint(tmp_path / "images/forest/0.png")
    paint(tmp_path / "images/lake/0.png")
    assert "(folders here: images)" in error_of("folder", str(tmp_path))
    assert len(Folder(str(tmp_path / "images"))) == 2
    paint(tmp_path / "images/Lake_/0.png")
    assert "same class" in error_of("folder", str(tmp_path / "images"))


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    def prints(root: Path) -> str:
        return Folder(str(root)).fingerprint

    for words in ("forest", "lake"):
        paint(tmp_path / "one" / words / "0.png", value=len(words))
    original = prints(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    assert prints(tmp_path / "two") == original and len(original) == 64
    paint(tmp_path / "two/lake/0.png", value=77)
    assert prints(tmp_path / "two") != original
    shutil.copy(tmp_path / "one/lake/0.png", tmp_path / "two/lake/0.png")
    assert prints(tmp_path / "two") == original
    (tmp_path / "two/lake").rename(tmp_path / "two/pond")
    assert prints(tmp_path / "two") != original


def test_names_of_classes_in_any_script(tmp_path: Path) -> None:
    for folder, words in {
        "for\u00eat": "for\u00eat",
        "fore\u0302t": "for\u00eat",  # as a Mac writes it
        "\u0939\u093f\u0928\u094d\u0926\u0940_1": "\u0939\u093f\u0928\u094d\u0926\u0940 1",
        "\u6c34\u7530": "\u6c34\u7530",
        "50%_cloud": "50 cloud",
        " a\nb ": "a b",
        "---": "---",
    }.items():
        assert class_words(folder) == words
    class_folders(tmp_path, ("for\u00eat", "fore\u0302t", "b"))
    assert "have the same class name" in error_of("folder", tmp_path)
