"""A thread that keeps the report of a result folder up to date while other processes write its tables."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from raysim.core.errors import first_cause
from raysim.storage.report import LOWEST_PRIORITY

DERIVED = {"verdicts", "estimates"}  # tables that a report itself writes
Fingerprint = tuple[tuple[str, int, int], ...]  # path, time of change in ns, size of each file


class ReportWriter(threading.Thread):
    """Writes the report at once, and again when the tables changed, in a thread of lowest priority.

    Args:
        folder: The result folder.
        write: Writes its report.
        every: Least number of seconds between the end of one report and the start of the next; after a report
            that took long it is `REST` times as long as that, so that a sweep beside it keeps its cores.

    Attributes:
        problem: Why the last report could not be written; empty when it could.
    """

    LOOK = 1.0  # seconds between two looks at the tables
    REST = 4.0

    def __init__(self, folder: Path, write: Callable[[Path], Path], every: float = 10.0) -> None:
        super().__init__(name="report-writer", daemon=True)
        self.folder, self.write, self.every = folder, write, every
        self.problem = ""
        self._stop_asked = threading.Event()

    def run(self) -> None:
        """Look, write, wait, until `stop`."""
        with contextlib.suppress(OSError, AttributeError):  # of this thread alone, where a system has that
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST_PRIORITY)
        written: Fingerprint | None = None
        pause = 0.0
        while not self._stop_asked.wait(max(pause, self.LOOK) if written is not None else 0):
            pause = 0.0
            there = fingerprint(self.folder)
            if there == written:
                continue
            start = time.monotonic()
            try:
                self.write(self.folder)
                self.problem = ""
            except Exception as error:  # a full disk, a folder that was moved: the pages stay as they are
                self.problem = f"the report could not be written: {first_cause(error)}"
            written, pause = there, max(self.every, self.REST * (time.monotonic() - start))

    def stop(self, patience: float = 10.0) -> None:
        """End the thread; a report that is being written is waited for, at most `patience` seconds."""
        self._stop_asked.set()
        self.join(patience)


def fingerprint(folder: Path) -> Fingerprint:
    """Return what shows a change of the tables and of `run.json`, without reading them."""
    found = []
    parts = [path for path in folder.glob("tables/*/*.parquet") if path.parent.name not in DERIVED]
    for path in [folder / "run.json", *parts]:
        with contextlib.suppress(OSError):  # parts vanish when a run ends
            stat = path.stat()
            found.append((str(path), stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(found))
