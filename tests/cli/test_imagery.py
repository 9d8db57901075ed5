"""Folders of images as people have them, through the commands: read by the rule, named, or refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from raysim.cli.main import main
from raysim.core import warm
from raysim.core.errors import UserError
from raysim.experiment.task import Task
from raysim.search import sweep
from raysim.search.options import SweepOptions
from raysim.search.spaces.files import load_space
from raysim.simulation.images import contents_of
from raysim.stress import run as stress_run
from raysim.stress.plan import StressOptions
from tests.fakes.rasters import class_folders, colours, noise, put, raster, saved

QUICK = [
    "--engine",
    "serial",
    "scenario.clients=2",
    "scenario=even",
    "task.dataset=folder",
    "task.shots=null",
    "training.batch=4",
]


@pytest.fixture(autouse=True)
def fresh_datasets() -> None:
    """A dataset is opened once per process, and these tests change their files."""
    warm.clear()


def check(folder: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, str]:
    """The status of `raysim data check folder`, and all that it says."""
    status = main(["data", "check", "folder", "--path", str(folder), *options])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_what_is_left_out_stands_beside_what_was_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class_folders(tmp_path / "data")
    put(tmp_path / "data/river/2019/a.png", saved(Image.fromarray(colours()), "PNG"))
    put(tmp_path / "data/beach/a.hdr", b"x")
    status, said = check(tmp_path / "data", capsys)
    assert status == 0 and "folder: 12 images, 2 classes" in said
    left_out = (
        "left out: 1 file without the ending of an image (.hdr); 1 image in a deeper folder (river/2019)"
    )
    assert left_out in said
    words = ["run", "fedrsclip", *QUICK, f"task.path={tmp_path / 'data'}", "--rounds", "1"]
    assert main([*words, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert left_out in printed.out and f"folder: {left_out}" in printed.err
    record = json.loads((tmp_path / "run/run.json").read_text())["dataset"]
    assert [reason["number"] for reason in record["left_out"]] == [1, 1] and record["images"] == 12
    assert main(["plan", "fedrsclip", *QUICK[2:], f"task.path={tmp_path / 'data'}", "--rounds", "1"]) == 0
    assert left_out in capsys.readouterr().out


def test_other_endings_and_bytes_of_names_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class_folders(tmp_path)
    os.rename(tmp_path / "beach/000.png", tmp_path / "beach/000.BMP")
    os.rename(tmp_path / "beach/001.png", os.fsencode(tmp_path) + b"/beach/\xba\xa3.png")
    status, said = check(tmp_path, capsys)
    assert status == 0 and "12 images" in said and "left out" not in said


def test_rasters_are_read_by_bands_and_stretch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(12):
        put(tmp_path / f"data/{'ab'[index % 2]}x/{index}.tif", raster(noise(4, seed=index)))
    status, said = check(tmp_path / "data", capsys)
    assert status == 2 and "12 of 12 images cannot be read" in said and "task.bands=3,2,1" in said
    sheet = tmp_path / "sheet.png"
    options = ("--bands", "4,3,2", "--stretch", "0-3000", "--sheet", str(sheet))
    status, said = check(tmp_path / "data", capsys, *options)
    assert status == 0 and "read: 16 bits, bands 4,3,2 of 4, stretched 0-3000 (12)" in said
    with Image.open(sheet) as image:
        assert (
            100 < sum(image.convert("L").histogram()[k] * k for k in range(256)) / image.size[0] / 128 < 160
        )
    words = ["run", "fedrsclip", *QUICK, f"task.path={tmp_path / 'data'}", "--rounds", "1"]
    settings = ["task.bands=[4,3,2]", "task.stretch=0-3000", "--out", str(tmp_path / "run")]
    assert main([*words, *settings]) == 0
    run = json.loads((tmp_path / "run/run.json").read_text())
    assert run["experiment"]["task"]["bands"] == "4,3,2" and run["dataset"]["stretch"] == "0-3000"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--bands", "4,3"], "task.bands = '4,3': it should be one band or three, counted from 1"),
        (["--stretch", "none"], "task.stretch = 'none': it should be pLOW-pHIGH"),
    ],
)
def test_wrong_settings_are_refused(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = check(class_folders(tmp_path), capsys, *words)
    assert status == 2 and message in said
    assert main(["data", "check", "scenes", "--bands", "1,2,3"]) == 2
    assert "--bands 1,2,3 has no effect here: it needs a dataset of image files" in capsys.readouterr().err


def test_all_damaged_images_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class_folders(tmp_path / "data")
    put(tmp_path / "data/beach/000.png", b"")
    put(tmp_path / "data/forest/003.png", b"version https://git-lfs.github.com/spec/v1\n")
    for command in (
        ["data", "check", "folder", "--path", str(tmp_path / "data")],
        ["run", "fedrsclip", *QUICK, f"task.path={tmp_path / 'data'}", "--out", str(tmp_path / "run")],
    ):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "2 of 12 images cannot be read" in said
        assert "beach/000.png: is empty (0 bytes); copy" in said and "forest/003.png: is a pointer" in said


def test_a_run_goes_on_with_its_own_images_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = class_folders(tmp_path / "data")
    words = ["run", "fedrsclip", *QUICK, f"task.path={data}", "--rounds", "1", "--out"]
    assert main([*words, str(tmp_path / "a")]) == 0 and main([*words, str(tmp_path / "a"), "--resume"]) == 0
    before = (tmp_path / "a/run.json").read_text()
    put(data / "forest/003.png", saved(Image.fromarray(colours(seed=77)), "PNG"))
    put(data / "beach/new.png", saved(Image.fromarray(colours(seed=78)), "PNG"))
    warm.clear()
    capsys.readouterr()
    assert main([*words, str(tmp_path / "a"), "--resume"]) == 2
    said = capsys.readouterr().err
    assert "'beach' has 7 images instead of 6" in said and "'forest' has other images (6)" in said
    assert (tmp_path / "a/run.json").read_text() == before
    assert main([*words, str(tmp_path / "b")]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 0
    said = capsys.readouterr().out
    assert "warning: different images: A 12 images of folder, fingerprint" in said
    assert main([*words, str(tmp_path / "c"), "method=promptfl"]) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "c"), str(tmp_path / "b")]) == 0
    assert "different images" not in capsys.readouterr().out


def test_a_sweep_and_a_stress_run_go_on_with_their_own_images_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = class_folders(tmp_path / "data")
    changes = {"task.dataset": "folder", "task.path": str(data)}
    space = load_space("fedrsclip", changes)
    record: dict[str, Any] = {
        "datasets": contents_of([Task(dataset="folder", path=str(data))]),
        "status": "done",
        "asked": {"s": 2},
    }
    record["datasets"][0]["fingerprint"] = "0" * 64
    made: dict[str, Any] = {}

    def remember(setup: Any, *_: Any, **__: Any) -> None:
        made["plan"] = setup.make_plan

    monkeypatch.setattr(sweep, "run_plan", remember)
    for extend in (0, 3):
        options = SweepOptions.model_validate({"--trials": 2, "--seeds": 1, "--extend": extend})
        sweep.sweep([space], options, tmp_path, resume=True, quiet=True, command="", started=0.0)
        with pytest.raises(UserError, match="not those that this result began with"):
            made["plan"](record, [])
    monkeypatch.setattr(
        stress_run, "run_plan", lambda setup, *_, **options: made.update(plan=setup.make_plan)
    )

    options_ = StressOptions.model_validate({"--seeds": 1, "quick": True, "cases": ["dirichlet"]})
    stress_run.stress([space], options_, tmp_path, resume=True, quiet=True, command="", started=0.0)
    with pytest.raises(UserError, match="not those that this result began with"):
        made["plan"](record, [])
