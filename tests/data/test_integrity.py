"""The check of a dataset: damaged images are named, masks are counted."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from raysim.cli.main import main
from raysim.core.errors import UserError
from raysim.data.integrity import check_dataset
from raysim.data.registry import load_dataset
from tests.fakes.archives import (
    paint,
)
from tests.fakes.masks import tiles


def test_damaged_images_are_named(tmp_path: Path) -> None:
    for words in ("dense_residential", "BareLand"):
        for k in range(3):
            paint(tmp_path / words / f"{k}.png")
    broken = tmp_path / "BareLand/1.png"
    broken.write_bytes(broken.read_bytes()[:45])
    dataset = load_dataset("folder", str(tmp_path))
    assert dataset.classes == ("bare land", "dense residential")
    with pytest.raises(UserError, match="is a damaged or truncated PNG file") as error:
        dataset.image(1)
    assert str(broken) in str(error.value)
    paint(tmp_path / "BareLand/2.png", size=9)
    steps: list[tuple[int, int]] = []
    report = check_dataset("folder", str(tmp_path), progress=lambda done, total: steps.append((done, total)))
    assert steps == [(k, 6) for k in range(1, 7)]
    assert (
        report["sizes"] == {"6x6": 4, "9x9": 1}
        and len(report["damaged"]) == 1
        and str(broken) in report["damaged"][0]
    )
    assert report["classes"] == {"bare land": 3, "dense residential": 3} and report["domains"] == {"all": 6}


def test_check_opens_every_mask_and_counts_pixels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiles(tmp_path)
    report = check_dataset("image_masks", str(tmp_path))
    assert report["pixels"] == {
        "class 1": pytest.approx(0.5),
        "class 2": pytest.approx(0.5),
        "ignored": pytest.approx(0.25),
    }
    assert (
        report["classes"] == {"class 1": 9, "class 2": 9}
        and report["sizes"] == {"8x4": 18}
        and not report["damaged"]
    )
    sheet = tmp_path / "sheet.png"
    assert main(["data", "check", "image_masks", "--path", str(tmp_path), "--sheet", str(sheet)]) == 0
    said = capsys.readouterr().out
    assert (
        "pixels: class 1 50.0%, class 2 50.0%, ignored 25.0%" in said
        and "train 12, validation 2, test 4" in said
    )
    with Image.open(sheet) as image:
        assert image.size == (12 * 64, 4 * 64)  # a row of images and one of masks for each dominant class
    (tmp_path / "images/tile0_004.png").write_bytes((tmp_path / "images/tile0_004.png").read_bytes()[:60])
    assert "tile0_004.png" in check_dataset("image_masks", str(tmp_path))["damaged"][0]
    assert main(["data", "list"]) == 0
    assert (
        "scene_masks" in (said := capsys.readouterr().out) and "pixels" in said and "give task.path" in said
    )
