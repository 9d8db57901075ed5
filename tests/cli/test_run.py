"""`raysim run`: the object that `--json` prints, real imagery, another method on a space."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from raysim.cli.main import main
from tests.experiments import QUICK_WORDS


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
    accuracies = {f"acc_{a}_{b}" for a in ("shared", "personal") for b in ("own", "global")}
    assert expected | accuracies <= set(result)
    assert result["test"] is None and (tmp_path / "run/report/index.html").exists()
    assert main(words) == 2 and "--resume" in capsys.readouterr().err


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
                *QUICK_WORDS,
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
