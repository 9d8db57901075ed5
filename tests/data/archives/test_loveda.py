"""LoveDA in its own layout, and what is missing."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import numpy as np
import pytest

from raysim.data.archives.loveda import COUNTS, LoveDA
from raysim.data.registry import catalogue, load_dataset
from raysim.data.segmentation import Cropped
from raysim.data.splits import split
from tests.fakes.datasets import error_of
from tests.fakes.masks import stripes, write


def love(root: Path, each: int = 10, parts: tuple[str, ...] = ("Train", "Val")) -> None:
    """The archives' layout in miniature; urban images are mostly building, rural ones mostly agriculture."""
    number = 0
    for part in parts:
        for domain, value in (("Rural", 7), ("Urban", 2)):
            for _ in range(each):
                write(
                    root / part / domain,
                    str(number),
                    stripes(0, 1, value, value),
                    image="images_png",
                    masks="masks_png",
                )
                number += 1
    (root / "Test/Urban/images_png").mkdir(parents=True)


@pytest.mark.parametrize("home", ["loveda", "loveda/LoveDA", "LoveDA"])
def test_loveda_in_its_own_layout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, home: str
) -> None:
    love(tmp_path / home)
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset("loveda")
    assert "10 images in Train/urban, expected 1156" in caplog.text
    assert dict((info.name, found) for info, found in catalogue())["loveda"] == (tmp_path / home).resolve()
    assert dataset.classes == ("background", "building", "road", "water", "barren", "forest", "agriculture")
    assert dataset.domains == ("urban", "rural") and np.bincount(dataset.attributes).tolist() == [20, 20]
    assert {
        (dataset.domains[d], dataset.classes[c])
        for d, c in zip(dataset.attributes, dataset.labels, strict=True)
    } == {
        ("urban", "building"),
        ("rural", "agriculture"),
    }
    assert dataset.mask(0)[0].tolist() == [255, 255, 0, 0, 1, 1, 1, 1]
    assigned = split(dataset, 0)
    for domain in (
        0,
        1,
    ):  # of ten training images two are held back; the authors' ten validation images are for test
        assert np.bincount(assigned[dataset.attributes == domain]).tolist() == [8, 2, 10]
    assert isinstance(dataset, LoveDA)
    assert {"Val" in str(file) for file, part in zip(dataset.images, assigned, strict=True) if part == 2} == {
        True
    }
    assert not any(
        "Val" in str(file) for file, part in zip(dataset.images, assigned, strict=True) if part != 2
    )
    assert not np.array_equal(assigned, split(dataset, 1))


def test_loveda_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert sum(COUNTS.values()) == LoveDA.info.images == 2522 + 1669
    monkeypatch.setenv("RAYSIM_DATA", str(tmp_path))
    message = error_of("loveda", None)
    assert (
        str(tmp_path / "loveda") in message
        and "Train.zip and Val.zip" in message
        and LoveDA.info.page in message
    )
    love(tmp_path, parts=("Train",))
    assert f"no folder {tmp_path / 'Val/Urban/images_png'}" in error_of("loveda", tmp_path)
    love(tmp_path / "other")
    write(tmp_path / "other/Train/Urban", "999", stripes(1, 8), image="images_png", masks="masks_png")
    message = error_of("loveda", tmp_path / "other")
    assert (
        "999.png: mask value 8 is not allowed: it should be 1 to 7" in message
        and "0 for ignored pixels" in message
    )


@pytest.mark.skipif(not os.environ.get("RAYSIM_DATA"), reason="RAYSIM_DATA is not set: no real imagery")
def test_real_imagery() -> None:
    roots = [Path(root) / "dubai" for root in os.environ["RAYSIM_DATA"].split(os.pathsep)]
    path = next((root for root in roots if root.is_dir()), None)
    if path is None:
        pytest.skip("dubai is not under RAYSIM_DATA")
    dataset = load_dataset("image_masks", str(path))
    assert (
        len(dataset) == 72
        and len(dataset.classes) == 5
        and dataset.domains == tuple(f"tile{k}" for k in range(1, 9))
    )
    assigned = split(dataset, 0)
    assert all(
        np.bincount(assigned[dataset.attributes == domain]).tolist() == [6, 1, 2] for domain in range(8)
    )
    water = dataset.mask(int(np.flatnonzero(dataset.labels == 1)[0])) == 1
    cut = Cropped(dataset, 256)
    assert len(cut) > 72 and all(cut.image(k).shape[:2] == cut.mask(k).shape for k in (0, 40, len(cut) - 1))
    assert water.mean() > 0.3 and np.array_equal(split(cut, 0), assigned[cut.owner])
