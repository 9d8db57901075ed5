"""`raysim run`: the object that `--json` prints, real imagery, another method on a space."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import pyarrow.dataset as ds
import pytest
from PIL import Image

from raysim.cli.arguments import one_experiment
from raysim.cli.main import main
from raysim.core.config import parse_assignment
from raysim.experiment.effects import default_of, without_effect
from tests.experiments import QUICK_UNTRAINED_WORDS, QUICK_WORDS


def test_run_prints_one_json_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "fedrsclip", *QUICK_WORDS, "--engine", "serial", "--out", str(tmp_path / "run")]
    assert main([*words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    expected = {
        "id",
        "state_sha256",
        "worst_client_accuracy",
        "test",
        "bytes_up",
        "bytes_down",
        "bytes_setup",
        "flops",
        "seconds",
    }
    scopes = ("shared", "personal", "majority", "zeroshot")
    accuracies = {f"acc_{a}_{b}" for a in scopes for b in ("own", "global")}
    expected |= {"clients_measured", "clients_evaluated"}
    assert expected | accuracies <= set(result)
    assert result["test"] is None and (tmp_path / "run/report/index.html").exists()
    assert main(words) == 2 and "--resume" in capsys.readouterr().err


def classes_with(folder: Path, images: dict[str, int]) -> Path:
    """Folders of classes with so many images each."""
    rng = np.random.default_rng(0)
    for name, count in images.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_clients_that_nothing_measures_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """River and desert have no image for validation, and two clients hold nothing else."""
    folder = classes_with(tmp_path / "data", {"beach": 10, "forest": 10, "river": 1, "desert": 2})
    words = ["fedrsclip", "task.dataset=folder", f"task.path={folder}", "scenario=dirichlet"]
    words += ["scenario.alpha=0.001", "scenario.clients=6"]
    out = tmp_path / "out"
    assert main(["run", *words, "--engine", "serial", "--rounds", "1", "--out", str(out)]) == 0
    assert "  4 of 6 clients measured\n" in capsys.readouterr().out
    assert "4 of 6 clients measured" in (out / "report/index.md").read_text().splitlines()[4]
    rows = ds.dataset(out / "tables/clients").to_table().to_pylist()
    unmeasured = [row for row in rows if row["round"] == 1 and row["acc_personal_own"] is None]
    assert sorted(row["reason"] for row in unmeasured) == [
        "no validation image of what it holds: desert",
        "no validation image of what it holds: river",
    ]
    assert all(row["reason"] is None for row in rows if row["acc_personal_own"] is not None)
    assert main(["plan", *words]) == 0 and "  4 of 6 clients measured\n" in capsys.readouterr().out


def test_the_result_stands_beside_what_needs_no_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Clients of one class each: naming that class is always right, and nothing can be above it."""
    words = ["fedrsclip", *QUICK_WORDS, "scenario=classes_per_client", "scenario.classes=1"]
    words += ["task.classes=3", "--engine", "serial", "--open-test"]
    assert main(["run", *words, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr().out
    assert "  12 of 690 training images of 1,080; task.shots is the reason\n" in printed
    for split in ("  ", "  on test, "):
        assert (
            f"{split}always the client's most frequent class: 100.0 % own, 33.3 % global; zero-shot: "
            in printed
        )
    assert "clients measured" not in printed
    result = json.loads((tmp_path / "run/run.json").read_text())["result"]
    assert ("fedrsclip is below this rule on own distributions" in printed) == (
        result["acc_personal_own"] < 1
    )


@pytest.mark.skipif(not os.environ.get("RAYSIM_DATA"), reason="RAYSIM_DATA is not set: no real imagery")
@pytest.mark.parametrize(
    "words",
    [
        ["task.dataset=ucmerced", "scenario=dirichlet", "scenario.alpha=0.1", "scenario.clients=40"],
        ["task.dataset=rsscn7", "scenario=domain", "scenario.clients=8"],
        ["task.dataset=ucmerced", "scenario=dirichlet", "scenario.alpha=0.1", "scenario.clients=200"],
        ["task.dataset=ucmerced+rsscn7", "scenario=domain", "scenario.clients=6"],
    ],
)
def test_real_imagery(words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "run",
                "fedrsclip",
                *words,
                "--engine",
                "serial",
                "--rounds",
                "1",
                "--json",
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert 0 < result["acc_personal_own"] <= 1


def test_another_method_on_a_spaces_base(tmp_path: Path) -> None:
    assert (
        main(
            [
                "run",
                "fedrsclip",
                "method=zeroshot",
                *QUICK_UNTRAINED_WORDS,
                "--engine",
                "serial",
                "--quiet",
                "--out",
                str(tmp_path / "run"),
            ]
        )
        == 0
    )
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["label"] == "zeroshot" and described["command"].startswith(
        "raysim run fedrsclip method=zeroshot"
    )
    assert {"versions", "hardware", "commit"} <= set(described)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["server.lr=0.5"], "server.lr = 0.5 has no effect here: it needs server.optimiser=momentum or adam"),
        (
            ["method=centralized", "participation=0.5"],
            "participation = 0.5 has no effect here: it needs a method",
        ),
        (
            ["scenario.noise_kind=pairs"],
            "scenario.noise_kind = 'pairs' has no effect here: it needs scenario.label_noise above 0",
        ),
        (["method=zeroshot", "rounds=2"], "rounds = 2 has no effect here: it needs a method that trains"),
    ],
    ids=str,
)
def test_a_setting_without_effect_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in ("run", "plan"):
        assert main([command, "fedrsclip", *words]) == 2
        assert message in capsys.readouterr().err


def test_the_command_of_a_trial_may_spell_out_what_its_space_sets(tmp_path: Path) -> None:
    """The space has rounds and sizes of a gate, which have no effect in some of its trials."""
    for words in (["fedrsclip", "method=zeroshot", "rounds=10"], ["safe", "method.ace=false", "method.d=32"]):
        arguments = argparse.Namespace(words=words, rounds=None, workers=None)
        _, experiment = one_experiment(arguments)
        path, value = parse_assignment(words[-1])
        assert path in without_effect(experiment) and value != default_of(experiment, path)
