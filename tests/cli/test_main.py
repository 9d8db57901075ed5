"""Exit status and messages of the command line: a mistake is one message, and no work is started for it."""

from __future__ import annotations

from argparse import Namespace
from importlib.metadata import version

import pytest

import raysim.cli.run
from raysim.cli.main import main
from raysim.cli.options import COMMANDS
from tests.experiments import QUICK_WORDS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
        (["run", "fedrsclp"], "unknown space 'fedrsclp'; did you mean 'fedrsclip'?"),
        (["run", "methd.lam=1"], "unknown path 'methd.lam'"),
        (["run", "method.lam=99"], "method.lam = 99"),
        (["run", "task.dataset=ucmercd"], "unknown dataset 'ucmercd'; did you mean 'ucmerced'?"),
        (["run", "task.dataset=resisc45"], "RAYSIM_DATA"),
        (["run", "task.backbone=ViT-B-77/openai"], "ViT-B-77"),
        (["run", "task.backbone=RemoteCLIP-ViT-B-32"], "task.backbone_path"),
        (["run", "--out", "/proc/nowhere", *QUICK_WORDS], "cannot be written"),
        (["run", "scenario.clients=99999"], "scenario.clients = 99999"),
        (["run", "scenario=classes_per_client", "scenario.classes=99"], "scenario.classes = 99"),
        (["run", "task.dataset=ucmerced+rsscn7", "--engin", "x"], "unrecognized arguments"),
        (["run", "--engine", "cuda"], "invalid choice: 'cuda'"),
        (["run", "a", "b"], "one space is needed"),
        (["run", "method.h=64", "method.h_p=64"], "use at most 71 prompt tokens"),
        (
            ["run", "method=fedavg", "method.network=image_tower", "task.image_size=32"],
            "task.image_size = 32",
        ),
        (["run", "scenario=[1]"], "unknown scenario '[1]'"),
        (["sweep", "--minutes", "-5"], "--minutes = -5.0 is not allowed: it should be greater than 0"),
        (["sweep", "fedrsclip", "fedrsclip"], "asked for twice"),
        (["sweep", "--seeds", "0"], "--seeds = 0 is not allowed: it should be greater than or equal to 1"),
        (
            ["sweep", "--workers", "1", "resources.workers=2"],
            "--workers 1: a trial needs resources.workers = 2",
        ),
        (["report", "/nowhere"], "/nowhere"),
        (["data", "check"], "needs a name"),
    ],
)
def test_a_mistake_is_one_message_and_status_2(
    words: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RAYSIM_DATA", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # it may be loaded already
    monkeypatch.setattr("raysim.engines.ray_pool.start", lambda resources: pytest.fail("Ray was started"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_help_names_every_command(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert all(
        f"raysim {name} " in printed and command.summary in printed for name, command in COMMANDS.items()
    )


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"raysim {version('raysim')}\n"
    assert raysim.__version__ == version("raysim")


@pytest.mark.parametrize(
    "end", [["--out", "a b"], ["--resume", "--out=a b"], ["--out", "a b", "--resume"], []]
)
def test_the_command_that_goes_on_has_each_option_once(
    end: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: Namespace) -> None:
        arguments.out = "a b"
        raise KeyboardInterrupt

    monkeypatch.setattr(raysim.cli.run, "run", interrupted)
    assert main(["run", *end, "rounds=1"]) == 130
    assert capsys.readouterr().err.endswith("To go on: raysim run rounds=1 --out 'a b' --resume\n")


def test_an_interrupted_command_is_told_what_it_can_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(arguments: Namespace) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("raysim.cli.doctor.doctor", interrupted)
    assert main(["doctor"]) == 130
    said = capsys.readouterr().err
    assert "interrupted; give the same command again" in said and "--resume" not in said
