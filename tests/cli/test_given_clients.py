"""Clients that exist on the command line: what is printed, and the mistakes that end a command at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from analysis.explore.page import data_of
from analysis.figures.outcomes.classes import exhibit_partition
from analysis.read.results import open_results
from raysim.cli.main import main
from raysim.core import warm


@pytest.fixture
def offices(tmp_path: Path) -> Path:
    """Folders of two offices, two classes of ten images each, and a common test set."""
    rng = np.random.default_rng(0)
    for place in ("train_set/Nord & Süd", "train_set/West", "test_set"):
        for name in ("forest", "river"):
            folder = tmp_path / "us" / place / name
            folder.mkdir(parents=True)
            for number in range(10):
                Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(
                    folder / f"{number}.png"
                )
    return tmp_path / "us"


def task(folder: Path) -> list[str]:
    return ["task.dataset=client_folders", f"task.path={folder}", "task.shots=null", "rounds=1", "--quiet"]


def test_data_check_says_who_the_clients_are(offices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "check", "client_folders", "--path", str(offices)]) == 0
    printed = capsys.readouterr().out
    assert "clients: Nord & Süd 20, West 20" in printed
    assert "split: train 32, validation 8, test 20" in printed


def test_a_plan_names_the_clients_and_their_images(offices: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "fedrsclip", *task(offices), "scenario=given"]) == 0
    printed = capsys.readouterr().out
    assert "given clients, experiment" in printed and "clients: Nord & Süd 16, West 16" in printed
    assert "all 32 training images of 60" in printed and "clients 2" in printed


def test_a_run_and_its_pages_show_the_names(
    offices: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "fedrsclip", *task(offices)[:-1], "scenario=given", "evaluation.every=1"]
    out = tmp_path / "out"
    assert main([*words, "--engine", "serial", "--out", str(out), "--open-test"]) == 0
    printed = capsys.readouterr().out
    assert "given clients, 2 clients, 1 rounds" in printed and "clients: Nord & Süd, West" in printed
    described = json.loads((out / "run.json").read_text())
    assert described["client_names"] == ["Nord & Süd", "West"] and described["test"] is not None
    results = open_results(out)
    exhibit = exhibit_partition(results)
    assert exhibit.numbers is not None and "client_name" in exhibit.numbers.columns
    axes = exhibit.panels[0].figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Nord & Süd", "West"]
    assert {tuple(group["names"]) for group in data_of(results)["clients"]["groups"]} == {
        ("Nord & Süd", "West")
    }
    assert "Nord \\u0026 Süd" in (out / "report" / "explore.html").read_text() or (
        "Nord \\u0026 S\\u00fcd" in (out / "report" / "explore.html").read_text()
    )
    assert main([*words, "--engine", "serial", "--out", str(out), "--resume"]) == 0
    (offices / "train_set" / "West").rename(offices / "train_set" / "East")
    warm.clear()  # as in another process
    assert main([*words, "--engine", "serial", "--out", str(out), "--resume"]) == 2
    assert re.search("began with clients that held other images|images of dataset", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["scenario=given"], "needs to know who holds an image: scenario.file=TABLE"),
        (["scenario=given", "scenario.attribute=tile"], "'tile' is no attribute of the dataset"),
        (["scenario=given", "scenario.file=no.csv"], "no.csv' cannot be read: there is no such file"),
        (
            ["scenario=given", "scenario.attribute=domain", "scenario.clients=3"],
            "scenario.clients = 3: the clients",
        ),
        (["scenario=given", "scenario.file=owners.csv"], "1 of 1 rows name a file that is not among"),
        (["scenario.file=owners.csv"], "unknown path 'scenario.file'"),
    ],
)
def test_mistakes_end_a_command_with_one_message(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("owners.csv").write_text("file,client\nnowhere/1.png,a\n")
    assert main(["run", "fedrsclip", *words, "--engine", "serial", "--quiet", "--out", "out"]) == 2
    captured = capsys.readouterr()
    assert said in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert not Path("out").exists()
