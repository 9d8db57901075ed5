"""The disturbances: a signal to a process of a command, or a damaged file; and what must hold afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.chaos.processes import Tree, orphans, shared_memory
from tests.chaos.subjects import Command, Subject

KILLS = ("main", "term", "int", "int twice", "hup")  # of the command itself
RAY_KILLS = ("client", "clients", "driver", "raylet", "gcs", "stop client", "stop driver")
SIGNALS = {"main": signal.SIGKILL, "term": signal.SIGTERM, "int": signal.SIGINT, "hup": signal.SIGHUP}
STATUSES = {"main": {-9}, "term": {143}, "int": {130}, "int twice": {130}, "hup": {129}}
LIMIT = 240  # seconds after a disturbance in which a command must end, on a busy machine
SILENCE = 90  # seconds for the agents of a killed Ray, which look once a minute whether it is there
TORCH = "torchinductor_"  # torch makes this empty folder when it is loaded, one for each user


class Moment(NamedTuple):
    """When a command is disturbed: so many seconds after so many steps are on disk."""

    steps: int
    seconds: float


@dataclass
class Row:
    """What came of one disturbance.

    Attributes:
        subject: Name of the command.
        kind: Name of the disturbance.
        at: Finished rounds or trials before it; of a damaged file its name.
        status: Exit status of the command that was disturbed, or that read the damaged file.
        seconds: Seconds from the disturbance to the end.
        resumed: Exit status of the command with --resume; None where there was none.
        faults: In words, what should not be.
    """

    subject: str
    kind: str
    at: str = ""
    status: int | str | None = None
    seconds: float = 0.0
    resumed: int | None = None
    faults: list[str] = field(default_factory=list)


def statuses(subject: Subject, kind: str) -> set[int]:
    """The documented exit statuses of a command after a disturbance."""
    if kind in STATUSES:
        return STATUSES[kind] | {0}  # it may have ended before
    if kind in ("client", "clients", "stop client") or (subject.sweeps and "driver" in kind):
        return {0}
    return {0, 1}


def strike(kind: str, command: Command, tree: Tree) -> int:
    """Send the signal; returns how many processes it was sent to. Waits for a process with the role."""
    if kind in (*SIGNALS, "int twice"):
        os.kill(command.pid, SIGNALS.get(kind, signal.SIGINT))
        if kind == "int twice":
            time.sleep(0.3)
            if command.poll() is None:
                os.kill(command.pid, signal.SIGINT)
        return 1
    role = kind.split()[-1].removesuffix("s") if kind != "gcs" else kind
    number = signal.SIGSTOP if kind.startswith("stop") else signal.SIGKILL
    while command.poll() is None:
        if found := tree.of(role):
            hit = found if kind == "clients" else found[:1]
            for pid in hit:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
            return len(hit)
        time.sleep(0.05)
    return 0


def kill(subject: Subject, kind: str, moment: Moment, reference: Any, work: Path) -> Row:
    """Disturb a command at a moment, look at what is left, go on with --resume, compare."""
    out, temporary, row = work / "out", work / "t", Row(subject.name, kind)
    for path in (out, temporary):
        shutil.rmtree(path, ignore_errors=True)
    memory = shared_memory()
    command = subject.start(out, temporary)
    tree = Tree(command.pid)
    reached: float | None = None
    while command.poll() is None and (reached is None or time.monotonic() - reached < moment.seconds):
        tree.look()
        if reached is None and subject.progress(out) >= moment.steps:
            reached = time.monotonic()
        time.sleep(0.05)
    before = subject.progress(out)
    hit = 0 if command.poll() is not None else strike(kind, command, tree)
    row.at = f"{before} of {subject.steps}" if hit else "the end"
    struck = time.monotonic()
    while command.poll() is None and time.monotonic() - struck < LIMIT:
        tree.look()
        time.sleep(0.1)
    row.status, row.seconds = command.status, time.monotonic() - struck
    _judge_end(row, subject, kind, command, tree, before, out)
    _go_on(row, subject, reference, out, temporary)
    row.faults += [f"left in shared memory: {name}" for name in orphans(memory)]
    left = [p.name for p in temporary.iterdir() if not p.name.startswith(TORCH)]
    row.faults += [f"left in the temporary folder: {name}" for name in left]
    return row


def _judge_end(
    row: Row, subject: Subject, kind: str, command: Command, tree: Tree, before: int, out: Path
) -> None:
    """Add what is wrong with the end of the disturbed command."""
    if row.status is None:
        row.status = "hung"
        row.faults.append(f"hung at {subject.progress(out)} of {subject.steps}")
    elif row.status not in statuses(subject, kind):
        row.faults.append(f"status {row.status}: {command.printed[-400:]}")
    elif row.status > 0 and "--resume" not in command.printed and kind != "int twice":
        row.faults.append(f"no line to resume: {command.printed[-400:]}")
    if "Traceback" in command.printed:
        row.faults.append(f"traceback: {command.printed[-1500:]}")
    if left := tree.wait_for_silence(0 if row.status == "hung" else SILENCE):
        row.faults += [] if row.status == "hung" else [f"processes left: {left}"]
    tree.kill()
    command.wait(5)
    if subject.progress(out) < before:
        row.faults.append(f"lost: {before} finished before, {subject.progress(out)} after")


def _go_on(row: Row, subject: Subject, reference: Any, out: Path, temporary: Path) -> None:
    """Resume, unless the command came to its end, and compare the answers."""
    if row.status != 0:
        # what a killed Ray has left is removed by the next Ray; without it the serial engine is quicker
        litter = any(not path.name.startswith(TORCH) for path in temporary.iterdir())
        serial = [] if subject.sweeps or litter or not subject.on_ray else ["--engine", "serial"]
        again = subject.start(out, temporary, "--resume", *serial)
        tree = Tree(again.pid)
        row.resumed = again.wait(LIMIT)
        tree.look()
        tree.wait_for_silence(SILENCE if row.resumed is not None else 0)
        tree.kill()
        again.wait(5)
        if row.resumed != 0 or "Traceback" in again.printed:
            row.faults.append(f"--resume ended with {row.resumed}: {again.printed[-1500:]}")
    if (answer := subject.answer(out)) != reference:
        row.faults.append(f"another answer: {differences(reference, answer)}")


def differences(reference: Any, answer: Any) -> str:
    """What differs between two answers, in words."""
    if not (isinstance(reference, list) and isinstance(answer, list)):
        return f"{answer} in place of {reference}"
    rows = [{row["label"]: row for row in map(json.loads, lines)} for lines in (reference, answer)]
    changed = {
        label: {name: (row[name], rows[1][label][name]) for name in row if row[name] != rows[1][label][name]}
        for label, row in rows[0].items()
        if label in rows[1]
    }
    return f"{len(rows[1])} rows of {len(rows[0])}; {changed}"[:1500]


def flip(data: bytes, draw: random.Random) -> bytes:
    """One bit of a file is changed."""
    changed = bytearray(data)
    changed[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return bytes(changed)


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes | None]] = {
    "one bit": flip,
    "truncated": lambda data, draw: data[: draw.randrange(len(data))],
    "garbage": lambda _, draw: draw.randbytes(200),
    "removed": lambda *_: None,
}


def kinds_of(folder: Path) -> dict[str, list[Path]]:
    """The files of a result by kind: the tables by name, the checkpoints, the records."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not path.name.startswith(".") and "report" not in name.parts:
            many = path.suffix in (".parquet", ".safetensors") and len(name.parts) > 1
            run = "runs/*/" if name.parts[0] == "runs" else ""
            kind = f"{run}{path.parent.name}/*{path.suffix}" if many else run + path.name
            kinds.setdefault(kind, []).append(path)
    return kinds


def damage(
    subject: Subject, source: Path, verb: str, kind: str, name: Path, draw: random.Random, reference: Any
) -> Row:
    """Damage one file of a copy of a result, then resume it or write its report."""
    out = source.parent / "copy"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    row = Row(subject.name, f"{kind}, then {verb}", str(name))
    changed = DAMAGES[kind]((out / name).read_bytes(), draw)
    (out / name).unlink()
    if changed is not None:
        (out / name).write_bytes(changed)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    temporary, serial = source.parent / "t", ["--quiet"]
    if verb == "report":
        command = Command(["report", str(out)], temporary, out.with_suffix(".said"))
    else:
        command = subject.start(out, temporary, "--resume", *serial)
    tree, started = Tree(command.pid), time.monotonic()
    row.status, row.seconds = command.wait(LIMIT), time.monotonic() - started
    tree.look()
    tree.kill() if row.status is None else tree.wait_for_silence(SILENCE)
    said = command.printed
    if row.status not in (0, 2) or "Traceback" in said:
        row.faults.append(f"status {row.status}: {said[-1500:]}")
    if row.status == 2:
        if str(name) not in said and str(name.parent) not in said:
            row.faults.append(f"the file is not named: {said[-400:]}")
        gone = [
            path
            for path, data in before.items()
            if path.name != "run.json" and (not path.exists() or path.read_bytes() != data)
        ]  # run.json says that the run has failed
        row.faults += [f"changed although refused: {path.relative_to(out)}" for path in gone[:3]]
    elif row.status == 0 and verb == "resume" and subject.answer(out) != reference:
        row.faults.append(f"another answer: {differences(reference, subject.answer(out))}")
    return row
