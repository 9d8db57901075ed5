"""The report: `analysis/` is loaded by file path and reads result files only."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from raysim.core.errors import UserError
from raysim.storage.files import shipped

LOWEST = 19  # the nice value of a process that yields to every other


def write_report(folder: Path) -> Path:
    """Write DIR/report/index.html and its figures; returns the page.

    Raises:
        UserError: the folder holds no result.
    """
    try:
        page: Path = _analysis("report").write_report(folder)
    except ValueError as error:
        raise UserError(str(error)) from None
    return page


def compare(first: str, second: str, metric: str) -> Any:
    """The paired verdict between two results, as `analysis.compare.Comparison`.

    Raises:
        UserError: naming the argument that is no result, or why the two cannot be compared.
    """
    module = _analysis("compare")
    try:
        return module.compare(first, second, metric)
    except module.Mistake as error:
        raise UserError(str(error)) from None


def _analysis(name: str) -> ModuleType:
    """A module of `analysis/`."""
    if "analysis" not in sys.modules:
        root = shipped("analysis")
        spec = importlib.util.spec_from_file_location(
            "analysis", root / "__init__.py", submodule_search_locations=[str(root)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["analysis"] = module
        spec.loader.exec_module(module)
    return importlib.import_module(f"analysis.{name}")


class Refresher:
    """Keeps the report of a sweep that is under way fresh: `raysim report` in a child process that yields to the sweep.

    Args:
        folder: The sweep's folder.
        every: Least seconds from one start to the next; more for a page that takes long, which must not eat
            the sweep's time.
    """

    SHARE = 0.1  # of one core, at most

    def __init__(self, folder: Path, every: float = 60.0) -> None:
        self.folder, self.every = folder, every
        self._child: subprocess.Popen[bytes] | None = None
        self._last, self._before, self._took = -float("inf"), 0.0, 0.0

    def touch(self) -> None:
        """Something new is on disk: write the page, unless that is under way or was done lately. Never waits, never raises."""
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._child, self._took = None, _seconds_of_children() - self._before
        if time.monotonic() - self._last < max(self.every, self._took / self.SHARE):
            return
        self._last, self._before = time.monotonic(), _seconds_of_children()
        command = [sys.executable, "-m", "raysim", "report", str(self.folder)]
        with contextlib.suppress(OSError):  # a machine without a free process: the page waits
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            os.setpriority(os.PRIO_PROCESS, self._child.pid, LOWEST)

    def close(self, patience: float = 15.0) -> None:
        """Leave no child behind, so that whoever writes the page now is the last.

        Args:
            patience: Seconds to wait for a child before it is ended.
        """
        self._last = float("inf")
        if self._child is None:
            return
        for end in (self._child.terminate, self._child.kill):
            try:
                self._child.wait(patience)
                break
            except subprocess.TimeoutExpired:
                end()
        self._child.wait()
        self._child = None


def _seconds_of_children() -> float:
    """CPU time of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
