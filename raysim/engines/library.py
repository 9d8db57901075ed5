"""The library of a cluster: features are computed by one host, and go to the others as blocks.

An actor on the node of the command stands for the cache folder there. A host that lacks a file of features
asks it: it gets the file, waits for the host that computes it, or computes it and sends it here. What happens
is said on the console of the command.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
import ray
from ray.exceptions import RayError

from raysim.data import cache
from raysim.data.memo import cache_folder
from raysim.engines import places

NAME = "raysim-library"  # of the actor, in the namespace of the command's job
BLOCK = 16 * 2**20  # bytes of a block
AHEAD = 2  # blocks that are read before the receiver takes them
THREADS = 8  # hosts that are served at the same time
CLAIM_SECONDS = 120.0  # of silence after which another host may compute what one host has begun
ASK_SECONDS = 1.0  # between two questions of a host that waits
SAY_SECONDS = 20.0  # between two lines about one file
LISTEN_SECONDS = 1.0  # between two looks for lines
STOP_SECONDS = 5.0  # longest wait for the last lines
UNITS = 2**20  # bytes of a MiB

Answer = Literal["take", "wait", "compute"]
_held: list[Any] = []  # the library of this process's session


class Library:
    """Cache folder of the command's node, the claims of hosts that compute, and lines for the console."""

    def __init__(self) -> None:
        """Start without claims."""
        self.folder = cache_folder()
        self._claims: dict[str, tuple[str, float]] = {}  # file -> host, time of its last sign
        self._lines: list[str] = []
        self._told: set[str] = set()
        self._next: dict[str, float] = {}  # host and file -> when the next line may come
        self._lock = threading.Lock()

    def ask(self, name: str, host: str) -> Answer:
        """Say whether a host takes a file from here, waits for it, or computes it."""
        with self._lock:
            if (self.folder / name).exists():
                return "take"
            holder, sign = self._claims.get(name, ("", 0.0))
            if holder not in ("", host) and time.monotonic() - sign < CLAIM_SECONDS:
                return "wait"
            self._claims[name] = (host, time.monotonic())
            return "compute"

    def progress(self, name: str, host: str, words: str, done: int, total: int) -> None:
        """Note that a host goes on, and say so from time to time and at the end.

        Args:
            name: The file.
            host: The host.
            words: What it does, and in which unit: "computes images of".
            done: Number of units that are done.
            total: Number of all units.
        """
        with self._lock:
            now, key = time.monotonic(), f"{host} {words} {name}"
            if self._claims.get(name, ("", 0.0))[0] == host:
                self._claims[name] = (host, now)
            if done == total or now >= self._next.setdefault(key, now + SAY_SECONDS):
                self._next[key] = now + SAY_SECONDS
                self._lines.append(f"{host} {words} the features {name}: {done:,} of {total:,}")

    def blocks(self, name: str) -> Iterator[bytes]:
        """Yield a file of the cache folder."""
        with (self.folder / name).open("rb") as file:
            while block := file.read(BLOCK):
                yield block

    def size(self, name: str) -> int:
        """Return the bytes of a file of the cache folder."""
        return (self.folder / name).stat().st_size

    def receive(self, name: str, host: str, block: bytes, start: int, last: bool) -> None:
        """Write the block at byte `start` that a host sends; the file gets its name with the last one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        scratch = self.folder / f".{name}.{host}"
        with scratch.open("ab" if start else "wb") as file:  # an earlier attempt may have broken off
            file.write(block)
        if last:
            os.replace(scratch, self.folder / name)
            with self._lock:
                self._claims.pop(name, None)

    def tell(self, line: str) -> None:
        """Say a line once."""
        with self._lock:
            if line not in self._told:
                self._told.add(line)
                self._lines.append(line)

    def lines(self) -> list[str]:
        """Return the lines that were not fetched yet."""
        with self._lock:
            lines, self._lines = self._lines, []
            return lines


class Borrower:
    """The library as the cache of another host sees it."""

    def __init__(self, library: Any) -> None:
        """Remember the actor."""
        self._library, self._host = library, os.uname().nodename

    def fetch(self, path: Path) -> bool:
        """Write the file that another host has computed; False where this host is to compute it."""
        with contextlib.suppress(RayError):  # of a library that is gone: this host computes
            while (answer := self._ask("ask", path.name, self._host)) == "wait":
                time.sleep(ASK_SECONDS)
            return answer == "take" and self._take(path)
        return False

    def watched(self, path: Path, blocks: Iterator[np.ndarray], images: int) -> Iterator[np.ndarray]:
        """Pass on blocks of images, and say how far they are."""
        done = 0
        for block in blocks:
            yield block
            done += len(block)
            self._note(path.name, "computes images of", done, images)

    def offer(self, path: Path) -> None:
        """Send a file that this host has computed."""
        total, sent = path.stat().st_size, 0
        with contextlib.suppress(RayError), path.open("rb") as file:
            if self._ask("ask", path.name, self._host) == "take":  # a folder that both see
                return
            while sent < total:
                block = file.read(BLOCK)
                last = sent + len(block) == total
                self._ask("receive", path.name, self._host, block, sent, last)
                sent += len(block)
                self._note(path.name, "sends MiB of", *_mebibytes(sent, total))

    def _take(self, path: Path) -> bool:
        """Write a file of the library."""
        scratch, done = path.with_suffix(".taken"), 0
        total = self._ask("size", path.name)
        stream = self._library.blocks.options(
            num_returns="streaming", _generator_backpressure_num_objects=AHEAD
        )
        try:
            with scratch.open("wb") as file:
                for reference in stream.remote(path.name):
                    block = ray.get(reference)
                    file.write(block)
                    done += len(block)
                    self._note(path.name, "gets MiB of", *_mebibytes(done, total))
            os.replace(scratch, path)
        finally:
            scratch.unlink(missing_ok=True)
        return True

    def _ask(self, method: str, *words: Any) -> Any:
        return ray.get(getattr(self._library, method).remote(*words))

    def _note(self, name: str, words: str, done: int, total: int) -> None:
        with contextlib.suppress(RayError):
            self._ask("progress", name, self._host, words, done, total)


def _mebibytes(done: int, total: int) -> tuple[int, int]:
    """Return both in whole MiB; they are equal at the end only."""
    whole = -(-total // UNITS)
    return (whole if done == total else min(done // UNITS, whole - 1)), whole


def open_here() -> None:
    """Start the library of this process's session on its node."""
    options = {"name": NAME, "num_cpus": 0, "max_concurrency": THREADS}
    _held.append(ray.remote(Library).options(**options, scheduling_strategy=places.here()).remote())


def close() -> None:
    """End the library of this process's session, where there is one."""
    while _held:
        with contextlib.suppress(RayError):
            ray.kill(_held.pop())


@contextlib.contextmanager
def spoken(quiet: bool) -> Iterator[None]:
    """Print the lines of this process's library, where there is one, until the context ends."""
    if quiet or not _held:
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_print_lines, args=(_held[-1], ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(STOP_SECONDS)


def connect() -> None:
    """Let this worker's cache ask the library of its session; on one machine there is none."""
    library = _library()
    if library is not None:
        cache.supply_from(Borrower(library))


def tell(line: str) -> None:
    """Say a line on the console of the command, once, where there is a library."""
    library = _library()
    if library is not None:
        with contextlib.suppress(RayError):
            ray.get(library.tell.remote(line))


def _library() -> Any:
    """Return the actor of this session; None where there is none."""
    try:
        return ray.get_actor(NAME)
    except ValueError:
        return None


def _print_lines(actor: Any, ended: threading.Event) -> None:
    """Print the lines of a library until the event is set."""
    last = False
    with contextlib.suppress(RayError):
        while not last:
            last = ended.wait(LISTEN_SECONDS)
            for line in ray.get(actor.lines.remote()):
                print(f"raysim: {line}", file=sys.stderr, flush=True)
