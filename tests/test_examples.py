"""Every example of the documents and help texts runs, the long ones in a cheap form.

A run becomes `raysim plan` of the same settings, which encodes a few images and trains the clients of one
micro-cohort; a sweep and a stress run become `--dry-run`, which checks everything. What cannot run here is
listed with its reason.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from raysim.cli.main import main
from tests.sweep_commands import FinishedSweep
from tests.test_docs import DOCUMENTS, ROOT, commands

RUN_ONLY = ("--engine", "serial", "ray", "--json", "--open-test", "--resume")
# a part of a command -> why it does not run here
ELSEWHERE = {
    "task.backbone=": "needs published weights",
    "--backbone": "needs published weights",
    "pretrained=true": "needs ImageNet weights",
    "ucmerced": "needs the dataset",
    "rsscn7": "needs the dataset",
    "patternnet": "needs the dataset",
    "loveda": "needs the dataset",
    "safe_pretrained": "needs the dataset",
    "fedrsclip_origins": "needs the dataset",
    "/my/": "needs a folder of the reader's",
    "image_tower": "trains a whole image tower: minutes",
    "tests.chaos": "kills processes for minutes, with tests of its own",
    "results/": "needs results of earlier commands",
    "--serve": "runs until it is stopped",
    "--extend": "needs a sweep of the same command",
    "--track": "needs packages that the tests do not install",
    "safe_rivals": "needs the dataset",
    "raysim.backbones": "trains or measures the bundled backbone: hours",
    "benchmarks.": "a measurement of minutes, with tests of its own",
    "raysim new": "writes a file here; tests/cli/test_check.py runs it",
    "my_": "tests/promises/test_anyone_can_add.py runs it",
}


def examples() -> Iterator[str]:
    """Each distinct complete command of the documents."""
    texts = (shlex.join(words) for path in DOCUMENTS for words, whole in commands(path.read_text()) if whole)
    yield from dict.fromkeys(texts)


def reason(command: str) -> str:
    """Why a command does not run here; empty where it does."""
    return next((why for part, why in ELSEWHERE.items() if part in command), "")


def cheap(command: str, sweep: Path) -> list[str]:
    """The words after `raysim` of the cheap form of a command; DIR is a finished sweep."""
    words = shlex.split(command)
    words = ["sweep", *words[3:]] if words[:3] == ["python", "-m", "raysim.sweep"] else words[1:]
    words = [str(sweep) if word == "DIR" else word for word in words]
    if words[0] in ("sweep", "stress") and "--dry-run" not in words:
        words = [*words, "--dry-run", "--quiet"]
    if words[0] == "run":
        words = ["plan", *(word for word in words[1:] if word not in RUN_ONLY)]
    return words


@pytest.mark.parametrize("command", [command for command in examples() if not reason(command)])
def test_an_example_runs(
    command: str, finished_sweep: FinishedSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    words = cheap(command, finished_sweep.folder)
    if words[0] == "export":
        words += ["--out", str(tmp_path / "exported")]
    if words[0] == "predict":  # with a run of the sweep, which has two scenarios and so two best ones
        Image.new("RGB", (40, 40)).save(tmp_path / "tile.png")
        run = next((finished_sweep.folder / "runs").glob("*/model.json")).parent
        words = ["predict", str(run), str(tmp_path)]
    assert main(words) == 0


def test_a_run_itself(tmp_path: Path) -> None:
    few = ["rounds=1", "evaluation.clients=2", "--engine", "serial", "--quiet"]
    assert main(["run", "fedrsclip", *few, "--out", str(tmp_path / "run")]) == 0


@pytest.mark.parametrize("part", ELSEWHERE)
def test_no_reason_is_left_over(part: str) -> None:
    texts = [*examples(), *(path.read_text() for path in DOCUMENTS)]
    assert any(part in text for text in texts)


def test_help_gives_examples_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Values that help texts name behind `such as` are settings, objectives and cases."""
    assert main(["plan", "scenario=dirichlet", "scenario.alpha=0.1", "--quiet"]) == 0
    assert main(["stress", "--cases", "dirichlet,corrupt_nan", "--dry-run", "--quiet"]) == 0
    words = ["sweep", "--objectives", "acc_personal_own,bytes_up", "--constraint", "bytes_up<=2e6"]
    assert main([*words, "--dry-run", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"Constraints guide the search and limit what may be chosen: bytes_up<=2000000", printed)
