"""Every example of the documents and help texts runs, the long ones in a cheap form.

A run becomes `raysim plan` of the same settings, which encodes a few images and trains the clients of one
micro-cohort; a sweep and a stress run become `--dry-run`, which checks everything. Folders of the reader's,
`/my/...`, are drawn (`tests.drawn_places`). What needs a dataset runs where RAYSIM_DATA has it. What cannot
run here is listed with its reason. Commands on the pages of docs/results are those of runs that took place;
their settings are built by tests/test_docs.py.
"""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raysim
from raysim.cli.main import main
from raysim.data.registry import DATASETS
from tests.drawn_places import draw_places, filled
from tests.sweep_commands import FinishedSweep
from tests.test_docs import DOCUMENTS, ROOT, commands

RUN_ONLY = ("--engine", "serial", "ray", "--json", "--open-test", "--resume")
# a part of a command -> why it does not run here
ELSEWHERE = {
    "/openai": "downloads weights",
    "hf-hub:": "downloads weights",
    "RemoteCLIP": "needs published weights",
    "GeoRSCLIP": "needs published weights",
    "/weights/": "needs published weights",
    "pretrained=true": "downloads ImageNet weights",
    "safe_pretrained": "needs ImageNet weights, which an extra brings",
    "ViT-B-32/random": "encodes and trains with a large tower: half a minute",
    "image_tower": "trains a whole image tower: minutes",
    "method.network=resnet18": "trains a ResNet-18 on large images: minutes",
    "tests.chaos": "kills processes for minutes, with tests of its own",
    "results/rivals": "needs a sweep of rivals; tests/analysis/compare has others",
    "results/stress-safe --resume": "needs the stopped stress run of the line before",
    "results/sweep": "needs a cluster",
    "/home/ubuntu/": "needs a cluster",
    "--to onnx": "the Python block of docs/predict.md writes one",
    "--serve": "runs until it is stopped",
    "--extend": "needs a sweep of the same command",
    "--track": "needs packages that the tests do not install",
    "raysim.backbones": "trains or measures the bundled backbone: hours",
    "benchmarks.": "a measurement of minutes, with tests of its own",
    "raysim new": "writes a file here; tests/cli/test_check.py runs it",
    "my_": "tests/promises/test_anyone_can_add.py runs it",
}
# a part of a command -> the datasets that it reads; it runs where they are
NEEDED = {
    "ucmerced": ("ucmerced",),
    "rsscn7": ("rsscn7",),
    "safe_rivals": ("ucmerced",),
    "fedrsclip_origins": ("ucmerced", "rsscn7"),
}


def examples() -> Iterator[str]:
    """Each distinct complete command of the documents."""
    paths = [path for path in DOCUMENTS if path.parent != ROOT / "docs/results"]
    texts = (shlex.join(words) for path in paths for words, whole in commands(path.read_text()) if whole)
    yield from dict.fromkeys(texts)


def reason(command: str) -> str:
    """Why a command does not run here; empty where it does."""
    return next((why for part, why in ELSEWHERE.items() if part in command), "")


def skip_without(command: str) -> None:
    """Skip the test where a dataset or a package is missing that a command needs."""
    if "/my/sentinel" in command:
        pytest.importorskip("rasterio")
    for name in (name for part, names in NEEDED.items() if part in command for name in names):
        if DATASETS[name].find() is None:  # type: ignore[attr-defined]
            pytest.skip(f"{name} is not under RAYSIM_DATA")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What stands for the words of the documents: a run, and images of the reader's."""
    folder = tmp_path_factory.mktemp("places")
    mine = folder / "results/mine"
    few = ["rounds=1", "evaluation.clients=2", "--engine", "serial", "--quiet"]
    assert main(["run", "fedrsclip", *few, "--out", str(mine)]) == 0
    return {**draw_places(folder), "results/mine": str(mine)}


def cheap(command: str, places: dict[str, str]) -> list[str]:
    """The words after `raysim` of the cheap form of a command, with our places for those of the reader."""
    words = shlex.split(command)
    words = ["sweep", *words[3:]] if words[:3] == ["python", "-m", "raysim.sweep"] else words[1:]
    words = [filled(word, places) for word in words]
    if words[0] in ("sweep", "stress") and "--dry-run" not in words:
        words = [*words, "--dry-run", "--quiet"]
    if words[0] == "run":
        if "--out" in words:
            del words[(place := words.index("--out")) : place + 2]
        words = ["plan", *(word for word in words[1:] if word not in RUN_ONLY)]
    return words


@pytest.mark.parametrize("command", [command for command in examples() if not reason(command)])
def test_an_example_runs(
    command: str,
    places: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    skip_without(command)
    monkeypatch.chdir(ROOT)
    if "predict DIR" in command:  # a sweep of two scenarios has two best configurations
        places = {**places, "DIR": places["results/mine"]}
    elif " DIR" in command:
        places = {**places, "DIR": str(request.getfixturevalue("finished_sweep").folder)}
    words = cheap(command, places)
    if words[0] == "export" and "--out" not in words:
        words += ["--out", str(tmp_path / "exported")]
    assert main(words) == 0


@pytest.mark.parametrize("part", [*ELSEWHERE, *NEEDED])
def test_no_reason_is_left_over(part: str) -> None:
    texts = [*examples(), *(path.read_text() for path in DOCUMENTS)]
    assert any(part in text for text in texts)


def python_blocks(page: str, mark: str) -> list[str]:
    """The Python blocks of a page in docs/ that contain a mark."""
    blocks = re.findall(r"```py(?:thon)?\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    return [block for block in blocks if mark in block]


def test_the_block_on_predicting_runs(
    places: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    Path("results/mine").symlink_to(places["results/mine"])
    Path("tiles").symlink_to(places["tiles/"])
    [block] = python_blocks("predict.md", 'raysim.load("results/mine")')
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["table"].num_rows == 3 and Path("model.onnx").exists()


def test_the_block_on_optuna_runs(
    finished_sweep: FinishedSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("DIR").mkdir()
    journal = str(tmp_path / "DIR/optuna.journal")
    assert main(["export", str(finished_sweep.folder), "--to", "optuna", "--out", journal]) == 0
    [block] = python_blocks("export.md", "optuna.journal")
    names: dict[str, Any] = {}
    exec(block, names)
    assert names["study"].best_trial.value > 0


def test_the_block_on_a_sweep_runs(
    finished_sweep: FinishedSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep itself is not made: its arguments are checked, and a finished one stands for it."""
    function = raysim.sweep

    def stand_in(*words: object, **options: object) -> object:
        inspect.signature(function).bind(*words, **options)
        return raysim.load(finished_sweep.folder)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(raysim, "sweep", stand_in)
    [block] = python_blocks("python.md", "raysim.sweep(")
    names: dict[str, Any] = {}
    exec(f"import raysim\n{block}", names)
    assert len(names["sweep"].trials) and list(Path("results").glob("*/report/index.html"))
    assert callable(importlib.import_module("raysim.sweep"))


@pytest.mark.usefixtures("no_plugin_stays")
@pytest.mark.parametrize("name", ["slow_promptfl", "at_home", "two_steps"])
def test_an_example_of_a_plug_in_keeps_its_contract(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    [block] = [block for block in python_blocks("plugins.md", f'"{name}"') if ".add" in block]
    (tmp_path / "example.py").write_text(block)
    assert main(["check", str(tmp_path / "example.py")]) == 0
    printed = capsys.readouterr().out
    assert f" {name}\n" in printed and "FAILS" not in printed


def test_help_gives_examples_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Values that help texts name behind `such as` are settings, objectives and cases."""
    assert main(["plan", "scenario=dirichlet", "scenario.alpha=0.1", "--quiet"]) == 0
    assert main(["stress", "--cases", "dirichlet,corrupt_nan", "--dry-run", "--quiet"]) == 0
    words = ["sweep", "--objectives", "acc_personal_own,bytes_up", "--constraint", "bytes_up<=2e6"]
    assert main([*words, "--dry-run", "--quiet"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"Constraints guide the search and limit what may be chosen: bytes_up<=2000000", printed)
