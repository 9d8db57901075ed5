"""Disturb runs and sweeps, and write a table of what came of it: `make chaos KILLS=200`."""

from __future__ import annotations

import argparse
import importlib.metadata
import itertools
import os
import platform
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.disturbances import DAMAGES, KILLS, RAY_KILLS, Moment, Row, damage, kill, kinds_of
from tests.chaos.processes import Tree
from tests.chaos.subjects import RUNNING, Subject, load_modules, subjects

VERBS = ("resume", "report")
QUICK = [  # in every run of the tests
    ("prompts, serial", "main", ""),
    ("prompts, serial", "int twice", ""),
    ("networks, serial", "term", ""),
    ("networks, serial", "hup", ""),
    ("prompts, Ray", "stop client", ""),
    ("prompts, Ray", "term", ""),  # sweeps that are killed and interrupted: tests/promises
    ("networks, serial", "one bit", "resume"),
    ("networks, serial", "truncated", "report"),
    ("prompts, serial", "removed", "resume"),
    ("prompts, serial", "garbage", "report"),
]
RAY_SECONDS = 10  # about what Ray adds to a run
EARLY = 0.2  # share of the disturbances at any second, also while the command starts; the others at any step
WITHIN = 0.6  # seconds after that step, at most
UNFINISHED = 0.6  # share of the steps after which a result that is to be damaged is cut off


@dataclass
class Reference:
    """A command that was not disturbed: its answer and its seconds, and the place where it works."""

    answer: Any
    seconds: float
    work: Path
    unfinished: Path | None = None


class Chaos:
    """Seeded disturbances of all commands."""

    def __init__(self, work: Path, seed: int) -> None:
        """Remember the folder of the results, and the seed."""
        self.work, self.draw = work, random.Random(seed)
        self.subjects = subjects(work)
        self.references: dict[str, Reference] = {}

    def deck(self, only: str) -> list[tuple[Subject, str, str]]:
        """Every subject with every disturbance, in a random order; of a damage with what reads the file."""
        cards = [
            (subject, kind, "")
            for subject in self.subjects.values()
            for kind in (*KILLS, *(RAY_KILLS if subject.on_ray else ()))
        ]
        cards += [
            (subject, kind, verb)
            for subject, kind, verb in itertools.product(self.subjects.values(), DAMAGES, VERBS)
            if subject.sweeps or not subject.on_ray  # the files of an engine are those of the other
        ]
        cards = [
            card
            for card in cards
            if all(word in " ".join((card[0].name, *card[1:])) for word in only.split("+"))
        ]
        self.draw.shuffle(cards)
        return cards

    def rows(self, cards: Iterable[tuple[Subject, str, str]]) -> Iterator[Row]:
        """Disturb once for each card."""
        for subject, kind, verb in cards:
            reference = self.reference(subject)
            if not verb:
                early = self.draw.random() < EARLY
                steps = 0 if early else self.draw.randrange(subject.steps)
                moment = Moment(steps, self.draw.uniform(0, reference.seconds if early else WITHIN))
                yield kill(subject, kind, moment, reference.answer, reference.work)
                continue
            source = self.unfinished(subject, reference)
            _, files = self.draw.choice(sorted(kinds_of(source).items()))
            name = self.draw.choice(files).relative_to(source)
            yield damage(subject, source, verb, kind, name, self.draw, reference.answer)

    def reference(self, subject: Subject) -> Reference:
        """The answer of a command that nobody disturbs, computed once; of a run by the serial engine."""
        if subject.name not in self.references:
            work = self.work / subject.name.replace(", ", "-")
            if subject.on_ray and not subject.sweeps:
                serial = self.reference(self.subjects[subject.name.replace("Ray", "serial")])
                seconds = serial.seconds + RAY_SECONDS
                return self.references.setdefault(subject.name, Reference(serial.answer, seconds, work))
            command = subject.start(work / "whole", work / "t")
            if command.wait(600) != 0:
                raise SystemExit(f"{subject.name} fails without a disturbance: {command.printed}")
            seconds = time.monotonic() - command.started
            self.references[subject.name] = Reference(subject.answer(work / "whole"), seconds, work)
        return self.references[subject.name]

    def unfinished(self, subject: Subject, reference: Reference) -> Path:
        """A result that was cut off, computed once."""
        if reference.unfinished is None:
            out = reference.unfinished = reference.work / "unfinished"
            command = subject.start(out, reference.work / "t")
            while command.poll() is None and subject.progress(out) < UNFINISHED * subject.steps:
                time.sleep(0.02)
            if command.poll() is None:
                os.kill(command.pid, signal.SIGTERM)
            command.wait(600)
        return reference.unfinished


def page(rows: list[Row], line: str, minutes: float) -> str:
    """The results as Markdown: what was run, a row of numbers for each kind, every fault in words."""
    versions = {name: importlib.metadata.version(name) for name in ("ray", "torch", "pyarrow")}
    bad = [row for row in rows if row.faults]
    parts = [
        f"```\n{line}\n```\n",
        f"{time.strftime('%Y-%m-%d')}, {len(rows)} disturbances in {minutes:.0f} minutes, {os.cpu_count()} "
        f"cores shared with other work, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version}" for name, version in versions.items())
        + f". **{len(bad)} with a fault.**\n",
        "| command | disturbance | times | statuses | seconds to the end, at most | hung | lost "
        "| another answer | left behind | other faults |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key in sorted({(row.subject, row.kind) for row in rows}):
        group = [row for row in rows if (row.subject, row.kind) == key]
        faults = [fault for row in group for fault in row.faults]
        named = [
            sum(fault.startswith(words) for fault in faults)
            for words in ("hung", "lost", "another answer", ("left in", "processes left"))
        ]
        seen = ", ".join(sorted({str(row.status) for row in group}))
        slowest = max(row.seconds for row in group)
        cells = [*key, len(group), seen, f"{slowest:.0f}", *named, len(faults) - sum(named)]
        parts.append("| " + " | ".join(map(str, cells)) + " |")
    parts += ["", *(f"* {row.subject}, {row.kind}, at {row.at}: {row.faults[0][:300]}" for row in bad)]
    return "\n".join(parts).rstrip() + "\n"


def main() -> None:
    """Disturb, print a line for each, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="number of disturbances")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, the files and the order")
    parser.add_argument("--only", default="", help="words of a subject or disturbance, joined by +")
    parser.add_argument("--quick", action="store_true", help="only the ten that are part of the tests")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after this time")
    parser.add_argument("--page", type=Path, help="file for the table, in place of standard output")
    arguments = parser.parse_args()
    started, rows = time.monotonic(), list[Row]()
    # a short name: the sockets of Ray lie below it
    work = Path(tempfile.mkdtemp(prefix="rc", dir="/tmp"))
    load_modules()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that nothing is left then
    line = f"python -m tests.chaos {' '.join(sys.argv[1:])}".strip()
    try:
        chaos = Chaos(work, arguments.seed)
        cards: Iterable[Any] = itertools.islice(itertools.cycle(chaos.deck(arguments.only)), arguments.kills)
        if arguments.quick:
            cards = [(chaos.subjects[name], kind, verb) for name, kind, verb in QUICK]
        for row in chaos.rows(cards):
            rows.append(row)
            print(
                f"{len(rows):4} {row.subject:17} {row.kind:24} at {row.at:30} status {row.status!s:5} after "
                f"{row.seconds:5.1f} s, resumed {row.resumed!s:5} {'; '.join(row.faults) or 'right'}",
                flush=True,
            )
            if time.monotonic() - started > 60 * arguments.minutes:
                break
    finally:
        for command in RUNNING:
            if command.poll() is None:
                Tree(command.pid).kill()
        shutil.rmtree(work, ignore_errors=True)
        if rows:
            text = page(rows, line, (time.monotonic() - started) / 60)
            print(text) if arguments.page is None else arguments.page.write_text(text)
    sys.exit(1 if any(row.faults for row in rows) else 0)


if __name__ == "__main__":
    main()
