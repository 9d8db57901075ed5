"""Real sweeps of a few trials: to the end, killed and continued, interrupted, with failures as outcomes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

SPACE = '''
"""A tiny study."""
from raysim.experiment import Experiment, override

def base():
    return override(Experiment(), {"rounds": 4, "scenario.clients": 4, "task.shots": 4, "evaluation.every": 1, "training.lr": 0.05,
                                   "resources.workers": 1, "method.shared_init": "a photo of a"})

SCENARIOS = [{"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}]
CONTRASTS = {"method.lam": [0.1]}
RIVALS = {"zeroshot": {"method": "zeroshot"}}

def space(trial):
    return {"method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True)}
'''


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.py"
    path.write_text(SPACE)
    return path


def command(space: Path, out: Path, *more: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "raysim.sweep",
        str(space),
        "--trials",
        "2",
        "--seeds",
        "1",
        "--workers",
        "2",
        "--out",
        str(out),
        *more,
    ]


def sweep(space: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(space, out, *more), capture_output=True, text=True, timeout=280, check=False
    )


def trials(out: Path) -> list[dict[str, Any]]:
    return sorted(ds.dataset(out / "tables/trials").to_table().to_pylist(), key=lambda row: int(row["trial"]))


def outcome(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What must not depend on timing, order, kills or workers."""
    return sorted(
        (
            row["key"],
            row["kind"],
            row["label"],
            row["state"],
            row["params"],
            row["objective"],
            str(row["test_acc_personal_own"]),
        )
        for row in rows
    )


def left_behind() -> list[str]:
    """Ray's processes that no living driver of these tests explains; the shared session's own are not counted."""
    mine = {str(os.getpid())}
    table = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    rows = [line.split(None, 2) for line in table]
    for _ in rows:
        mine |= {pid for pid, parent, _ in rows if parent in mine}
    return [
        args
        for pid, _, args in rows
        if pid not in mine and ("raylet" in args or "ray::" in args or "gcs_server" in args)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sweep")
    path = folder / "tiny.py"
    path.write_text(SPACE)
    done = sweep(path, folder / "out")
    assert done.returncode == 0, done.stderr
    assert "report:" in done.stdout
    return path, folder / "out"


@pytest.mark.timeout(300)
def test_a_sweep_of_a_few_trials(whole: tuple[Path, Path]) -> None:
    _, out = whole
    rows = trials(out)
    first = ["contrast"] * 2 + ["rival"] * 2 + ["contrast"] * 2 + ["search"] * 4
    assert [row["kind"] for row in rows[:10]] == first and {row["kind"] for row in rows[10:]} == {
        "race",
        "confirm",
        "transfer",
    }
    assert not any(row["study"].endswith(row["level"]) for row in rows if row["kind"] == "transfer")
    assert {"fedrsclip (tuned)", "zeroshot (untuned)"} <= {row["label"] for row in rows[10:]}
    assert {row["state"] for row in rows} <= {"COMPLETE", "PRUNED"}
    assert all(
        (row["test_acc_personal_own"] is not None) == (row["kind"] in ("confirm", "transfer")) for row in rows
    )
    described = json.loads((out / "run.json").read_text())
    assert described["status"] == "done" and [scenario["label"] for scenario in described["scenarios"]] == [
        "even",
        "dirichlet alpha=0.1",
    ]
    runs = {run for row in rows for run in row["runs"]}
    assert all(
        (out / "runs" / run / "config.json").exists() and (out / "runs" / run / "partition.parquet").exists()
        for run in runs
    )
    rounds = ds.dataset(out / "tables/rounds").to_table().to_pylist()
    assert {row["run"] for row in rounds} == runs
    for run in runs:
        opened = json.loads((out / "runs" / run / "run.json").read_text())["test"] is not None
        assert opened == any(run in row["runs"] for row in rows if row["kind"] in ("confirm", "transfer"))
    page = (out / "report/index.html").read_text()
    assert "<svg" in page and "fedrsclip (tuned)" in page
    wait_for_silence()
    assert not left_behind()


@pytest.mark.timeout(300)
def test_killed_and_continued_it_is_the_same_study(whole: tuple[Path, Path], tmp_path: Path) -> None:
    path, finished = whole
    out = tmp_path / "out"
    child = subprocess.Popen(command(path, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while len(list((out / "tables/trials").glob("*.parquet"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    before = trials(out)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    assert 3 <= len(before) < len(trials(finished))
    wait_for_silence(10)
    refused = sweep(path, out)
    assert refused.returncode == 2 and "--resume" in refused.stderr
    done = sweep(path, out, "--resume")
    assert done.returncode == 0, done.stderr
    after = trials(out)
    assert outcome(after) == outcome(trials(finished))
    assert len(list((out / "tables/trials").glob("*.parquet"))) == len(after)
    wait_for_silence()
    assert not left_behind()


def wait_for_silence(seconds: float = 150) -> None:
    """Ray's processes follow a killed driver: workers within seconds, its two agents after a minute."""
    deadline = time.monotonic() + seconds
    while left_behind() and time.monotonic() < deadline:
        time.sleep(0.5)


@pytest.mark.timeout(300)
def test_ctrl_c_leaves_everything_readable_and_nothing_running(space: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    child = subprocess.Popen(
        command(space, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    deadline = time.monotonic() + 200
    while len(list((out / "tables/trials").glob("*.parquet"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    os.killpg(child.pid, signal.SIGINT)  # a terminal sends it to all
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "interrupted; everything finished is on disk" in said and "--resume" in said
    assert "Traceback" not in said
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"
    assert len(trials(out)) >= 2
    members = subprocess.run(
        ["pgrep", "-g", str(child.pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    assert not members


@pytest.mark.timeout(300)
def test_a_trial_that_diverges_is_an_outcome(space: Path, tmp_path: Path) -> None:
    space.write_text(SPACE.replace('{"method.lam": [0.1]}', '{"method.s": [1e30]}'))
    done = sweep(space, tmp_path / "out", "--trials", "0", "scenario=even")
    assert done.returncode == 0, done.stderr
    [failed] = [row for row in trials(tmp_path / "out") if row["state"] == "FAIL"]
    assert failed["label"] == "method.s=1e+30" and failed["reason"].startswith("diverged: round ")
    assert "lower training.lr" in failed["reason"] and "ray::" not in failed["reason"]
    assert "1 failed" in done.stdout
