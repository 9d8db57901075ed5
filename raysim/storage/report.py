"""Report of a result folder. `analysis/` writes it; it is loaded by file path and reads result files only."""

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
from raysim.storage.figures import REPORT_FIGURES
from raysim.storage.files import shipped_folder

LOWEST_PRIORITY = 19  # nice value of a process that yields to every other one


def write_report(folder: Path) -> Path:
    """Write DIR/report/index.html and its figures, and return the page.

    Raises:
        UserError: The folder holds no result.
    """
    figure_kinds()
    try:
        page: Path = analysis_module("report").write_report(folder)
    except analysis_module("read.results").NoResult as error:
        raise UserError(str(error)) from None
    return page


def check_result_folder(folder: Path) -> None:
    """Check that a report can be written of this folder.

    Raises:
        UserError: The folder holds no result.
    """
    try:
        analysis_module("read.results").open_results(folder)
    except analysis_module("read.results").NoResult as error:
        raise UserError(str(error)) from None


def figure_kinds() -> ModuleType:
    """Return `analysis.declared`, which knows the kinds of figures, those of plug-ins included.

    Raises:
        UserError: A plug-in's figure has the name of a built-in one.
    """
    module = analysis_module("declared")
    try:
        module.offer(REPORT_FIGURES.usable())
    except ValueError as error:
        raise UserError(str(error)) from None
    return module


def compare(first: str, second: str, metric: str) -> Any:
    """Return the paired verdict on two results, an `analysis.compare.Comparison`.

    Args:
        first: A result folder, or SWEEP:LABEL.
        second: Likewise.
        metric: Column that the verdict is on.

    Raises:
        UserError: One of them is no result, or the two cannot be compared.
    """
    module = analysis_module("compare")
    try:
        return module.compare(first, second, metric)
    except module.Mistake as error:
        raise UserError(str(error)) from None


def best_configurations(folder: Path) -> list[dict[str, Any]]:
    """Return the best configurations of a sweep as its page names them, `analysis.pages.headline.best_runs`.

    Raises:
        UserError: The folder holds no result, or parts of its tables cannot be read.
    """
    check_result_folder(folder)
    results = analysis_module("read.results").open_results(folder)
    found: list[dict[str, Any]] = analysis_module("pages.headline").best_runs(results)
    refuse_unreadable(results)
    return found


def refuse_unreadable(results: Any) -> None:
    """Refuse to name a best configuration where parts of the tables cannot be read: it may be in them.

    Raises:
        UserError: There are such parts; all are named.
    """
    if parts := [part for part in results.unreadable if part.startswith("tables/")]:
        raise UserError(
            f"{results.folder}: the best configuration is not known, because parts of the tables cannot be "
            f"read: {'; '.join(parts)}. Put copies of them back"
        )


def analysis_module(name: str) -> ModuleType:
    """Return a module of `analysis/`, which is loaded by its file path."""
    if "analysis" not in sys.modules:
        root = shipped_folder("analysis")
        spec = importlib.util.spec_from_file_location(
            "analysis", root / "__init__.py", submodule_search_locations=[str(root)]
        )
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["analysis"] = module
        spec.loader.exec_module(module)
    return importlib.import_module(f"analysis.{name}")


class Refresher:
    """Writer of up-to-date reports while a sweep runs: `raysim report` in a process of lowest priority.

    Args:
        folder: The folder of the sweep.
        every: Least number of seconds from one start to the next. It is longer for a page that takes long,
            so that the pages never take more than `SHARE` of one core from the sweep.
    """

    SHARE = 0.1  # largest share of one core that is spent on pages

    def __init__(self, folder: Path, every: float = 60.0) -> None:
        self.folder, self.every = folder, every
        self._child: subprocess.Popen[bytes] | None = None
        self._last_start, self._seconds_before, self._page_seconds = -float("inf"), 0.0, 0.0

    @property
    def page_seconds(self) -> float:
        """CPU time of the last page; 0 before the first one."""
        return self._page_seconds

    def touch(self) -> None:
        """Start to write the page, unless a page is being written or was written a short time ago.

        It is called when something new is on disk. It never waits and never raises.
        """
        if self._child is not None:
            if self._child.poll() is None:
                return
            self._child, self._page_seconds = None, _seconds_of_children() - self._seconds_before
        if time.monotonic() - self._last_start < max(self.every, self._page_seconds / self.SHARE):
            return
        self._last_start, self._seconds_before = time.monotonic(), _seconds_of_children()
        command = [sys.executable, "-m", "raysim", "report", str(self.folder)]
        with contextlib.suppress(OSError):  # no process can be started now: the page is written later
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            os.setpriority(os.PRIO_PROCESS, self._child.pid, LOWEST_PRIORITY)

    def close(self, patience: float = 15.0) -> None:
        """End the child process, so that no page is written after this returns.

        Args:
            patience: Seconds to wait for the child before it is terminated, and again before it is killed.
        """
        self._last_start = float("inf")
        if self._child is None:
            return
        for stop in (self._child.terminate, self._child.kill):
            try:
                self._child.wait(patience)
                break
            except subprocess.TimeoutExpired:
                stop()
        self._child.wait()
        self._child = None


def _seconds_of_children() -> float:
    """Return the CPU time of the child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
