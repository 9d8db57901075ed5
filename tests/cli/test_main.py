"""The command line as a user meets it: exit status, one clear message, nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raysim.cli.main import main

QUICK = ["scenario.clients=3", "task.shots=4", "rounds=2", "evaluation.every=1"]


def raysim(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "raysim", *words],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, **more},
    )


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
        (["run", "--out", "/proc/nowhere", *QUICK], "cannot be written"),
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
        (["sweep", "--minutes", "-5"], "--minutes -5: more than 0"),
        (["sweep", "fedrsclip", "fedrsclip"], "asked for twice"),
        (["sweep", "--seeds", "0"], "--seeds 0: at least 1"),
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
    monkeypatch.setattr("raysim.engines.ray_pool.start", lambda resources: pytest.fail("Ray was started"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert message in said and "Traceback" not in said


def test_run_prints_one_json_object_and_serial_equals_ray(tmp_path: Path) -> None:
    results = []
    for engine in ("serial", "ray"):
        done = raysim(
            "run",
            "fedrsclip",
            *QUICK,
            "--engine",
            engine,
            "--workers",
            "2",
            "--json",
            "--out",
            str(tmp_path / engine),
        )
        assert done.returncode == 0, done.stderr
        results.append(json.loads(done.stdout.splitlines()[-1]))
    assert results[0]["state_sha256"] == results[1]["state_sha256"] and len(results[0]["state_sha256"]) == 64
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
    assert expected | {f"acc_{a}_{b}" for a in ("shared", "personal") for b in ("own", "global")} <= set(
        results[0]
    )
    assert results[0]["test"] is None
    assert (tmp_path / "ray/report/index.html").exists()
    again = raysim("run", "fedrsclip", *QUICK, "--out", str(tmp_path / "ray"))
    assert again.returncode == 2 and "--resume" in again.stderr
    opened = raysim(
        "run",
        "fedrsclip",
        *QUICK,
        "--engine",
        "serial",
        "--out",
        str(tmp_path / "ray"),
        "--resume",
        "--open-test",
        "--json",
    )
    assert opened.returncode == 0, opened.stderr
    assert json.loads(opened.stdout.splitlines()[-1])["test"]["acc_personal_own"] > 0
    assert json.loads((tmp_path / "ray/run.json").read_text())["test_opened"]


@pytest.mark.parametrize("engine", ["serial", "ray"])
def test_ctrl_c_is_130_and_the_run_goes_on(engine: str, tmp_path: Path) -> None:
    words = [
        "run",
        "fedrsclip",
        "scenario.clients=3",
        "task.shots=4",
        "rounds=400",
        "evaluation.every=400",
        "--engine",
        engine,
        "--workers",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "raysim", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    manifest = tmp_path / "run/checkpoints/manifest.json"
    deadline = time.monotonic() + 120
    while (
        not (manifest.exists() and json.loads(manifest.read_text())["round"] >= 3)
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "--resume" in said and "Traceback" not in said
    assert not subprocess.run(
        ["pgrep", "-g", str(child.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    done = json.loads(manifest.read_text())["round"]
    assert 3 <= done < 400


def test_plan_data_doctor_and_report_speak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "256 parameters, 1,024 bytes per client and direction" in said and "heterogeneity" in said
    assert main(["data", "list"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("ucmerced", "resisc45", "eurosat", "rsscn7", "scenes"))
    assert main(["doctor"]) == 0
    assert "bundled backbone" in capsys.readouterr().out
    assert main(["sweep", "--dry-run"]) == 0
    assert "contrast trials" in capsys.readouterr().out


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


def test_another_method_on_a_spaces_base(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(
            [
                "run",
                "fedrsclip",
                "method=zeroshot",
                *QUICK,
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
    assert main(["sweep", "fedrsclip", "method=promptfl", "--dry-run"]) == 2
    assert "unknown path 'method.lam'" in capsys.readouterr().err
