"""Commands that run a real sweep of a few trials, and what is left of it on disk and among the processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TINY_SPACE = '''
"""A tiny study."""
from raysim.experiment import Experiment, override

def base():
    settings = {"rounds": 4, "scenario.clients": 4, "task.shots": 4, "evaluation.every": 1}
    settings |= {"training.lr": 0.05, "resources.workers": 1, "method.shared_init": "a photo of a"}
    return override(Experiment(), settings)

SCENARIOS = [{"scenario": "even"}, {"scenario": "dirichlet", "scenario.alpha": 0.1}]
CONTRASTS = {"method.lam": [0.1], "method.s": [1e30]}
RIVALS = {"zeroshot": {"method": "zeroshot"}}

def space(trial):
    return {"method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True)}
'''  # s = 1e30 diverges
TINY_OPTIONS = ("--trials", "2", "--seeds", "1", "--workers", "2")


@dataclass(frozen=True)
class FinishedSweep:
    """A sweep that has ended: its space file, its result folder, and what it printed."""

    space: Path
    folder: Path
    printed: str


def write_tiny_space(folder: Path) -> Path:
    """Write the space file of the tiny study."""
    path = folder / "tiny.py"
    path.write_text(TINY_SPACE)
    return path


def sweep_words(space: Path, out: Path, *more: str) -> list[str]:
    """What follows `raysim sweep` in the command of the tiny study."""
    return [str(space), *TINY_OPTIONS, "--out", str(out), *more]


def sweep_command(space: Path, out: Path, *more: str) -> list[str]:
    """The command of the tiny study, for a process of its own."""
    return [sys.executable, "-m", "raysim.sweep", *sweep_words(space, out, *more)]


def run_sweep(space: Path, out: Path, *more: str) -> FinishedSweep:
    """Run the sweep in a process of its own, which must end without a failure."""
    done = subprocess.run(
        sweep_command(space, out, *more), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return FinishedSweep(space, out, done.stdout)


def trial_rows(out: Path) -> list[dict[str, Any]]:
    """The rows of all ended trials, in the order of the plan."""
    import pyarrow.dataset as ds

    return sorted(ds.dataset(out / "tables/trials").to_table().to_pylist(), key=lambda row: int(row["trial"]))


def trial_parts(out: Path) -> int:
    """Number of trials whose rows are on disk."""
    return len(list((out / "tables/trials").glob("*.parquet")))


def wait_for_parts(out: Path, count: int, seconds: float = 200) -> None:
    """Wait until so many trials have ended."""
    deadline = time.monotonic() + seconds
    while trial_parts(out) < count and time.monotonic() < deadline:
        time.sleep(0.2)


def left_behind() -> list[str]:
    """Ray's processes that belong to no living driver of these tests, nor to the shared session."""
    # with two processes of tests both belong to the one that started them
    family = {str(os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid())}
    table = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    rows = [line.split(None, 2) for line in table]
    for _ in rows:
        family |= {pid for pid, parent, _ in rows if parent in family}
    return [
        args
        for pid, _, args in rows
        if pid not in family and ("raylet" in args or "ray::" in args or "gcs_server" in args)
    ]


def wait_for_silence(seconds: float = 150) -> None:
    """Ray's processes follow a killed driver: workers within seconds, its two agents after a minute.

    A Ray that starts meanwhile ends the agents.
    """
    deadline = time.monotonic() + seconds
    while left_behind() and time.monotonic() < deadline:
        time.sleep(0.5)


def group_members(group: int) -> list[str]:
    """Ids of the living processes of a process group."""
    return subprocess.run(
        ["pgrep", "-g", str(group)], capture_output=True, text=True, check=False
    ).stdout.split()
