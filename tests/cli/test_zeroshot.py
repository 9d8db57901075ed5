"""`raysim data check NAME --backbone B`: accuracy by template, the comparison, and what is usually wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image

from raysim.backbones import zeroshot as measured
from raysim.cli import zeroshot
from raysim.cli.main import main
from raysim.data.scenes import SceneDataset
from tests.fakes.clips import TINY

CLASSES = ("beach", "forest", "harbor")


@pytest.fixture
def tiny(tmp_path: Path):
    """`tiny-vit`, known to open_clip for a test."""
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "tiny-vit.json").write_text(json.dumps(TINY))
    open_clip.add_model_config(tmp_path / "configs")
    yield
    open_clip.factory._MODEL_CONFIG_PATHS.remove(tmp_path / "configs")
    open_clip.factory._rescan_model_configs()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes of three classes as a user's folder."""
    root, scenes = tmp_path_factory.mktemp("imagery"), SceneDataset(per_cell=10)
    for name in CLASSES:
        (root / name).mkdir()
        chosen = np.flatnonzero((scenes.labels == scenes.classes.index(name)) & (scenes.attributes == 0))
        for index in chosen:
            Image.fromarray(scenes.image(int(index))).save(root / name / f"{index}.png")
    return root


def check(folder: Path, *options: str) -> int:
    return main(["data", "check", "folder", "--path", str(folder), *options])


def test_accuracy_by_template(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder, "--backbone", "scenes-clip") == 0
    printed = capsys.readouterr().out
    assert "zero-shot accuracy of scenes-clip (all 30)" in printed and "a satellite photo of" in printed
    assert "no published figure for this backbone and dataset is known here" in printed
    assert "usually wrong" not in printed


def test_without_a_backbone_nothing_is_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(folder) == 0
    printed = capsys.readouterr().out
    assert "words that scenes-clip never saw: none known" in printed and "zero-shot" not in printed


def test_random_weights_say_what_is_usually_wrong(
    folder: Path, tiny: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured, "published_accuracies", lambda backbone, dataset: {"a study": 0.9})
    assert check(folder, "--backbone", "tiny-vit/random") == 0
    printed = capsys.readouterr().out
    for part in (
        "published: 90.0% (a study)",
        "What is usually wrong then:",
        "the activation: with QuickGELU in place of the other",
        "the class names",
        "32 px, mean 0.481/0.458/0.408",
        "--sheet",
    ):
        assert part in printed
    assert "images and texts do not match at all" in printed or "BELOW what was published" in printed


def test_verdicts_in_words() -> None:
    def words(best: float, *known: float) -> str:
        studies = {f"study {i}": value for i, value in enumerate(known)}
        return "; ".join(zeroshot.verdict(measured.ZeroShotAccuracy(1000, 45, {"t": best}, studies)))

    assert "published: 60.7% (study 0)" in words(0.58, 0.607) and "in line" in words(0.58, 0.607)
    assert "BELOW what was published: the best template has 40.0%" in words(0.4, 0.607)
    assert "a guess among 45 classes 2.2%: images and texts do not match" in words(0.02, 0.607)


def test_the_origin_of_published_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "w.pt").write_bytes(b"another")
    zeroshot._print_origin("RemoteCLIP-RN50", str(tmp_path / "w.pt"))
    zeroshot._print_origin("GeoRSCLIP-ViT-H-14", str(tmp_path / "w.pt"))  # no checksum is known
    zeroshot._print_origin("ViT-B-32", str(tmp_path / "w.pt"))
    printed = capsys.readouterr().out
    assert printed.count("not that of the published file") == 1 and len(printed.splitlines()) == 3
    assert "ViT-H-14, GELU (its README loads it over LAION's weights); licence CC-BY-4.0" in printed
