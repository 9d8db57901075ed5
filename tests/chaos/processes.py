"""The processes of a command: all that it ever started, and what they leave behind.

Only these processes are ever sent a signal: others run beside them.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from pathlib import Path

ROLES = {
    "client": re.compile(r"^ray::ClientActor"),
    "driver": re.compile(r"^ray::(Driver|ResourceTrainable|SweepTrial|ImplicitFunc)"),
    "raylet": re.compile(r"/raylet/raylet "),
    "gcs": re.compile(r"/gcs/gcs_server "),
}
SHARED_MEMORY = Path("/dev/shm")
AGAIN = 2.0  # seconds between two looks at new names there


def stat(pid: int) -> tuple[str, int, str] | None:
    """State, parent and start of a process; None where there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None
    return fields[0], int(fields[1]), fields[19]


def command(pid: int) -> str:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


class Tree:
    """A process and all that it ever started, as far as `look` saw it in time."""

    def __init__(self, root: int) -> None:
        start = stat(root)
        self.root, self.seen = root, {root: start[2] if start else ""}

    def look(self) -> None:
        """Find new processes."""
        rows = {int(name): row for name in os.listdir("/proc") if name.isdigit() and (row := stat(int(name)))}
        grew = True
        while grew:
            new = {
                pid: start
                for pid, (_, parent, start) in rows.items()
                if pid not in self.seen and parent in rows and self.seen.get(parent) == rows[parent][2]
            }
            self.seen |= new
            grew = bool(new)

    def alive(self) -> list[int]:
        """Those that have not ended."""
        return [
            pid
            for pid, start in self.seen.items()
            if (row := stat(pid)) and row[2] == start and row[0] != "Z"
        ]

    def of(self, role: str) -> list[int]:
        """Those with a role."""
        self.look()
        return [pid for pid in self.alive() if ROLES[role].search(command(pid))]

    def wait_for_silence(self, seconds: float) -> list[str]:
        """Wait until all have ended; returns the commands of those that have not."""
        deadline = time.monotonic() + seconds
        while self.alive() and time.monotonic() < deadline:
            self.look()
            time.sleep(0.2)
        return [command(pid)[:80] for pid in self.alive()]

    def kill(self) -> None:
        """End all that are left."""
        self.look()
        for pid in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def shared_memory() -> set[str]:
    """The names in the folder of shared memory."""
    return set(os.listdir(SHARED_MEMORY)) if SHARED_MEMORY.exists() else set()


def orphans(before: set[str]) -> list[str]:
    """New names in shared memory that no process has open.

    Other programs make some, too, and open or remove them a little later: what is new is looked at twice.
    """
    if not shared_memory() - before:
        return []
    time.sleep(AGAIN)
    new = shared_memory() - before
    used: set[str] = set()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            used |= set(re.findall(r"/dev/shm/(\S+)", maps.read_text()))
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = os.readlink(link)
            used |= {target.removeprefix("/dev/shm/")} if target.startswith("/dev/shm/") else set()
    return sorted(name for name in new - used if (SHARED_MEMORY / name).exists())
