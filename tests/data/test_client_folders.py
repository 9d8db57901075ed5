"""Folders of clients: the layouts that are read, their splits, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from raysim.data.client_folders import ClientFolders
from raysim.data.integrity import check_dataset
from raysim.data.registry import load_dataset
from raysim.data.splits import split
from tests.fakes.datasets import error_of


def images(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        value = np.full((8, 8, 3), (37 * number + len(str(folder))) % 256, np.uint8)
        Image.fromarray(value).save(folder / f"{number}.tif")


def fedrs(root: Path) -> Path:
    """A miniature of FedRS-Bench: names of folders as published, one class spelled in two ways."""
    for client, classes in {
        "client_0": {"Agriculture": 6, "Bareland": 5},
        "client_2": {"Agriculture": 1},
        "client_10": {"BareLand": 10, "Parkinglot": 5},
    }.items():
        for name, count in classes.items():
            images(root / "data" / "train_set" / client / name, count)
    for name in ("Agriculture", "BareLand", "Parkinglot"):
        images(root / "data" / "test_set" / name, 3, first=100)
    return root


def sizes(dataset: ClientFolders, part: int) -> dict[str, int]:
    owners = dataset.owners[split(dataset, 0) == part]
    return {name: int((owners == number).sum()) for number, name in enumerate(dataset.clients)}


def test_the_layout_of_fedrs_bench(tmp_path: Path) -> None:
    dataset = load_dataset("client_folders", str(fedrs(tmp_path)))
    assert isinstance(dataset, ClientFolders)
    assert dataset.clients == ("client_0", "client_2", "client_10")
    assert dataset.classes == ("agriculture", "bare land", "parkinglot") and len(dataset) == 36
    parts = split(dataset, 0)
    assert (parts == 2).sum() == 9 and (dataset.owners[parts == 2] == -1).all()
    paths = np.array(dataset.paths())
    assert set(paths[parts == 2]) == {p for p in paths if p.startswith("test_set/")}
    # a fifth of each class of the training images validates, and every client keeps images to train
    assert [(dataset.labels[parts == 1] == label).sum() for label in range(3)] == [1, 3, 1]
    assert sizes(dataset, 0)["client_2"] == 1 and min(sizes(dataset, 0).values()) >= 1
    assert np.array_equal(parts, split(dataset, 0)) and not np.array_equal(parts, split(dataset, 1))
    assert dataset.groups()["client"][0] == dataset.clients
    assert check_dataset("client_folders", str(tmp_path))["damaged"] == []


def test_a_validation_folder_is_used(tmp_path: Path) -> None:
    fedrs(tmp_path)
    images(tmp_path / "data" / "val_set" / "Agriculture", 2, first=200)
    dataset = ClientFolders(str(tmp_path / "data"))
    parts = split(dataset, 0)
    assert (parts == 1).sum() == 2 and (parts == 0).sum() == 27 and (parts == 2).sum() == 9


def test_clients_without_splits_are_split_each(tmp_path: Path) -> None:
    for client in ("b", "a"):
        for name in ("forest", "river"):
            images(tmp_path / client / name, 25)
    dataset = ClientFolders(str(tmp_path))
    assert dataset.clients == ("a", "b")
    assert [sizes(dataset, part) for part in (0, 1, 2)] == [
        {"a": 32, "b": 32},
        {"a": 8, "b": 8},
        {"a": 10, "b": 10},
    ]
    assert dataset.paths()[0] == "a/forest/0.tif"


def test_splits_inside_of_clients(tmp_path: Path) -> None:
    for client in ("a", "b"):
        for name in ("forest", "river"):
            images(tmp_path / client / "train" / name, 10)
            images(tmp_path / client / "test" / name, 2)
    dataset = ClientFolders(str(tmp_path))
    assert sizes(dataset, 2) == {"a": 4, "b": 4} and sizes(dataset, 1) == {"a": 4, "b": 4}


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    for name in ("train", "bus"):
        images(tmp_path / "a" / name, 5)
    assert ClientFolders(str(tmp_path)).classes == ("bus", "train")


def test_what_is_refused(tmp_path: Path) -> None:
    assert "needs a path" in error_of("client_folders")
    assert "is no folder" in error_of("client_folders", tmp_path / "nowhere")
    assert "found no client with images" in error_of("client_folders", tmp_path)
    images(tmp_path / "plain" / "forest", 2)
    said = error_of("client_folders", tmp_path / "plain")
    assert "outside of the layout" in said and "lie 2 image files: forest/0.tif, forest/1.tif" in said
    images(tmp_path / "deep" / "a" / "b" / "c" / "d" / "e", 2)
    images(tmp_path / "deep" / "a" / "forest", 2)
    assert "lie 2 image files: a/b/c/d/e/0.tif" in error_of("client_folders", tmp_path / "deep")
    images(tmp_path / "only" / "a" / "forest", 2)
    assert "found 1 class" in error_of("client_folders", tmp_path / "only")
    images(tmp_path / "mixed" / "train_set" / "forest", 2)
    images(tmp_path / "mixed" / "train_set" / "a" / "forest", 2)
    assert "train_set/forest/0.tif" in error_of("client_folders", tmp_path / "mixed")
    assert "cannot be part of a mixture" in error_of("client_folders+scenes", tmp_path)
    images(tmp_path / "bytes" / os.fsdecode(b"\xba\xa3") / "forest", 2)
    assert "rename the folder '\\udcba\\udca3'" in error_of("client_folders", tmp_path / "bytes")


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    fedrs(tmp_path)
    data = tmp_path / "data"
    (data / "train_set" / "client_0" / "notes.txt").write_text("x")
    (data / ".DS_Store").write_text("x")
    (data / "train_set" / "client_0" / "River").mkdir()
    said = ClientFolders(str(tmp_path)).left_out.sentence
    assert "1 file without the ending of an image" in said and ".txt" in said
    assert "1 hidden or system file or folder (.DS_Store)" in said
    assert "1 folder without an image (train_set/client_0/River)" in said


def test_classes_of_other_scripts_stay_apart(tmp_path: Path) -> None:
    for name in ("\u6c34\u7530 1", "\u68ee\u6797 1", "for\u00eat", "fort"):
        images(tmp_path / "A" / name, 4)
    images(tmp_path / "B" / "fore\u0302t", 4)
    dataset = ClientFolders(str(tmp_path))
    assert set(dataset.classes) == {"\u6c34\u7530 1", "\u68ee\u6797 1", "for\u00eat", "fort"}
