"""Copies of images: within a class, across classes, across splits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from raysim.data.duplicates import duplicate_sentences
from raysim.data.integrity import check_dataset
from tests.fakes.rasters import class_folders


def test_copies_are_named_by_kind() -> None:
    names = [f"c/{index}" for index in range(6)]
    digests = [b"a", b"a", b"b", b"b", b"c", b"d"]
    labels, parts = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 2, 0, 0, 0, 1])
    within, across, leaks = duplicate_sentences(digests, names, labels, parts)
    assert within == "2 images are equal to another within a class: c/0 = c/1"
    assert across.startswith("2 images are equal to another in several classes") and "c/2 = c/3" in across
    assert leaks.endswith("in several of training, validation and test: c/0 = c/1")
    assert duplicate_sentences([b"a", b"b"], names[:2], labels[:2], parts[:2]) == []
    assert duplicate_sentences([], [], labels, parts) == []


def test_thousands_of_equal_images_take_no_time() -> None:
    many = 50_000
    sentences = duplicate_sentences([b"blank"] * many, ["x"] * many, np.zeros(many, int), np.zeros(many, int))
    assert sentences == ["50,000 images are equal to another within a class: x = x"]


def test_the_check_names_copies_and_small_classes(tmp_path: Path) -> None:
    class_folders(tmp_path, ("beach", "forest", "solo"), each=10)
    for index in range(1, 10):
        (tmp_path / f"solo/{index:03d}.png").unlink()
    for index in range(8):
        shutil.copy(tmp_path / f"beach/{index:03d}.png", tmp_path / f"forest/copy{index}.png")
        shutil.copy(tmp_path / f"beach/{index:03d}.png", tmp_path / f"beach/copy{index}.png")
    notes = check_dataset("folder", str(tmp_path))["notes"]
    for words in (
        "within a class: beach/000.png",
        "in several classes (their labels contradict each other): beach/000.png = forest/copy0.png",
        "in several of training, validation and test",
        "too few images for validation: solo",
        "too few images for test: solo",
    ):
        assert any(words in note for note in notes), (words, notes)
