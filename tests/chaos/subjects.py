"""The commands that are disturbed: small runs and a small sweep, and what must not depend on a disturbance.

A command runs in a child of this process, which has loaded the modules already: loading them for each of some
hundred commands would take most of the time.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPACE = '''
"""A study of three trials."""
from raysim.experiment import Experiment, override

def base():
    settings = {"rounds": 3, "scenario.clients": 4, "task.shots": 4, "evaluation.every": 1}
    return override(Experiment(), settings | {"training.lr": 0.05, "resources.workers": 1})

SCENARIOS = [{"scenario": "even"}]
CONTRASTS = {"method.lam": [0.1]}

def space(trial):
    return {"method.lam": trial.suggest_float("method.lam", 0.005, 0.5, log=True)}
'''
PROMPTS = ("fedrsclip", "scenario.clients=5", "task.shots=4", "evaluation.every=3", "rounds=16")
NETWORKS = (
    "safe", "scenario=even", "scenario.clients=3", "task.shots=8", "task.classes=3", "task.image_size=32",
    "task.ses=2", "method.width=8", "training.batch=8", "evaluation.every=2", "rounds=8",
)  # fmt: skip
PATIENCE = "resources.patience=8"  # of the watch; its default is a minute
TIMES = {"seconds", "wall_seconds", "startup_seconds", "finished"}  # columns that are clocks


@dataclass(frozen=True)
class Subject:
    """A command that is disturbed.

    Attributes:
        name: Its name in the table.
        words: What follows `raysim`, but for `--out`.
        steps: Its rounds, with the state before training, or its trials.
        on_ray: Whether it starts Ray.
    """

    name: str
    words: tuple[str, ...]
    steps: int
    on_ray: bool = True

    @property
    def sweeps(self) -> bool:
        """Whether it is a sweep."""
        return self.words[0] == "sweep"

    def start(self, out: Path, temporary: Path, *more: str) -> Command:
        """Start the command, with temporary files in a folder of their own."""
        return Command([*self.words, "--out", str(out), *more], temporary, out.with_suffix(".said"))

    def progress(self, out: Path) -> int:
        """How many rounds, or trials, are finished on disk."""
        if self.sweeps:
            return len(list((out / "tables/trials").glob("*.parquet")))
        try:
            return int(json.loads((out / "checkpoints/manifest.json").read_text())["round"]) + 1
        except (OSError, ValueError, KeyError):
            return 0

    def answer(self, out: Path) -> Any:
        """What must be the same after every disturbance; None where the folder holds no finished result."""
        try:
            record = json.loads((out / "run.json").read_text())
        except (OSError, ValueError):
            return None
        if record.get("status") != "done":
            return None
        return _rows(out) if self.sweeps else record["result"]["state_sha256"]


def subjects(folder: Path) -> dict[str, Subject]:
    """All of them, by name; writes the space file of the sweep."""
    space = folder / "chaos_space.py"
    space.write_text(SPACE)
    run = ("run", *PROMPTS, "--workers", "2", PATIENCE)
    safe = ("run", *NETWORKS, "--workers", "2", PATIENCE)
    sweep = ("sweep", str(space), "--trials", "1", "--seeds", "1", "--race", "0", "--workers", "2", PATIENCE)
    return {
        subject.name: subject
        for subject in (
            Subject("prompts, serial", ("run", *PROMPTS, "--engine", "serial"), 17, on_ray=False),
            Subject("networks, serial", ("run", *NETWORKS, "--engine", "serial"), 9, on_ray=False),
            Subject("prompts, Ray", run, 17),
            Subject("networks, Ray", safe, 9),
            Subject("sweep", sweep, 4),
        )
    }


RUNNING: list[Command] = []  # all that were started, for whoever ends early


def load_modules() -> None:
    """Load what all commands need, before the first of them is started."""
    for name in ("raysim.api.sweeping", "raysim.cli.run", "raysim.engines.driver", "analysis.report"):
        importlib.import_module(name)


class Command:
    """A command of raysim in a child process with a session of its own."""

    def __init__(self, words: Sequence[str], temporary: Path, said: Path) -> None:
        """Start it.

        Args:
            words: What follows `raysim`.
            temporary: The folder of its temporary files.
            said: The file for what it prints.
        """
        temporary.mkdir(parents=True, exist_ok=True)
        said.parent.mkdir(parents=True, exist_ok=True)
        RUNNING.append(self)
        self.said, self.started = said, time.monotonic()
        self.status: int | None = None
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _become(list(words), temporary, said)

    def poll(self) -> int | None:
        """The exit status, negative where a signal ended it; None while it runs."""
        if self.status is None:
            pid, code = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(code) if pid else None
        return self.status

    def wait(self, seconds: float) -> int | None:
        """Wait for the end, at most so long."""
        while self.poll() is None and time.monotonic() - self.started < seconds:
            time.sleep(0.05)
        return self.status

    @property
    def printed(self) -> str:
        """What it has printed, on both ways."""
        return self.said.read_text(errors="replace")


def _become(words: list[str], temporary: Path, said: Path) -> None:
    """Turn this forked process into the command; never returns."""
    status = 97
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        target = os.open(said, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(target, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.environ["TMPDIR"], tempfile.tempdir = str(temporary), None
        for name in ("RAY_TMPDIR", "RAY_ADDRESS"):
            os.environ.pop(name, None)
        sys.argv = ["raysim", *words]
        from raysim.cli.main import main

        status = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _rows(out: Path) -> list[str]:
    """The rows of a sweep's trials, without what a clock says."""
    from raysim.storage.trials import read_trials

    lines = []
    for row in read_trials(out, damaged="refuse").rows:
        kept = {name: value for name, value in row.items() if name not in TIMES}
        lines.append(json.dumps(kept, sort_keys=True))  # NaN is written as NaN, which equals itself
    return sorted(lines)
