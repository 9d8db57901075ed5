"""CPU seconds and memory of trees of processes, read from /proc (Linux)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def descendants(root: int) -> set[int]:
    """Return a process and all processes below it."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parents[int(stat.parent.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the seconds that all threads of these processes have spent on a CPU, to nanoseconds.

    A thread that has ended counts no more; the threads of the programs that are measured stay.
    """
    total = 0
    for pid in pids:
        for schedstat in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            try:
                total += int(schedstat.read_text().split()[0])
            except OSError:
                continue
    return total / 1e9


def memory_mb(pids: Iterable[int]) -> float:
    """Return the memory of these processes in MB; a page that n of them share counts 1/n in each (PSS)."""
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1000
