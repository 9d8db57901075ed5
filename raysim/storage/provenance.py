"""Provenance of a result: command, commit, versions of the libraries, hardware."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from raysim.core.machine import usable_cores
from raysim.storage.plugin_files import package_record, plugin_record

PACKAGES = ("raysim", "torch", "torchvision", "open_clip_torch", "ray", "optuna", "numpy", "pyarrow")


def provenance(command: str) -> dict[str, Any]:
    """Return what is needed to repeat a result.

    Results are equal bit for bit on one model of CPU or GPU with one set of library versions.

    Args:
        command: The command line.
    """
    return {
        "command": command,
        "commit": _commit(),
        "versions": versions(),
        "hardware": hardware(),
        "plugins": plugin_record(),
        "packages": package_record(),
    }


def hardware() -> dict[str, Any]:
    """Return the model of the CPU, the number of cores, the memory in GiB and the names of the GPUs."""
    return {**machine(), "gpus": gpus()}


def machine() -> dict[str, Any]:
    """Return the model of the CPU, the cores that this process may use, and the memory in GiB."""
    return {"cpu": _cpu(), "cores": usable_cores(), "memory_gib": _memory()}


def gpus() -> list[str]:
    """Return the names of the GPUs that torch sees."""
    import torch  # here: it takes seconds to load, and nothing else in this file needs it

    return [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]


def versions() -> dict[str, str]:
    """Return the versions of Python, of raysim and of the libraries on which the bits of a result depend."""
    numbers = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = "missing"
    return numbers


def _commit() -> str:
    """Return the commit of the checkout, marked where files were changed; empty where it is unknown."""
    folder = Path(__file__).parents[2]
    if not (folder / ".git").exists():
        return ""
    try:
        process = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):  # a slow disk: it looks at every file
        return ""
    return process.stdout.strip()


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _memory() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError):
        return 0.0
