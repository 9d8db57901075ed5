"""What this process may use of the machine: a share of the cores, and folders, which an address is not."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from raysim.core.errors import UserError

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    Neither the CPU affinity (taskset, Slurm, cpusets) nor the CPU quota of its control groups (containers)
    lets it use more.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(bound, cpu_quota() or bound))


def check_folder(name: str, folder: str | Path) -> None:
    """Check that a name is that of a folder, not an address in a bucket.

    Args:
        name: The environment variable, for the message.
        folder: What the user gave; a `Path` has lost a slash of an address.

    Raises:
        UserError: It is an address.
    """
    scheme = re.match(r"([a-z][a-z0-9+]+):/", str(folder))
    if scheme:
        raise UserError(
            f"{name} {folder}: {scheme[1]}:// addresses cannot hold it, because its files are mapped into "
            "memory. Name a folder on a disk or a shared file system (NFS, EFS, Lustre)"
        )


def cpu_quota(root: Path = CGROUPS, membership: Path = Path("/proc/self/cgroup")) -> int | None:
    """Return the CPU quota of this process in whole cores, rounded up; None where its groups have none.

    Args:
        root: Where the control groups are mounted.
        membership: The file that names the groups of this process.
    """
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return None
    quotas = []
    for line in lines:
        _, controllers, name = line.split(":", 2)
        if not controllers:  # version 2
            quotas += [_ratio(folder / "cpu.max") for folder in _upwards(root, name)]
        elif "cpu" in controllers.split(","):
            quotas += [
                _ratio(folder / "cpu.cfs_quota_us", folder / "cpu.cfs_period_us")
                for folder in _upwards(root / "cpu", name)
            ]
    found = [quota for quota in quotas if quota]
    return max(1, math.ceil(min(found))) if found else None


def _upwards(root: Path, name: str) -> list[Path]:
    """Return the folders of a group and of the groups around it; each of them may have a quota."""
    folder = root / name.lstrip("/")
    return [folder, *(parent for parent in folder.parents if parent == root or root in parent.parents)]


def _ratio(*files: Path) -> float | None:
    """Return quota over period, from one file with both numbers or from two; None where there is no limit."""
    try:
        quota, period = map(float, " ".join(file.read_text() for file in files).split())
    except (OSError, ValueError):  # no such file; or "max", which is no limit
        return None
    return quota / period if quota > 0 and period > 0 else None
