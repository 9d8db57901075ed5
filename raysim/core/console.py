"""Display while work runs: a live panel on a terminal, sparse lines in a log, nothing with --quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_EVERY = 20.0  # seconds between lines where there is no terminal


def console() -> Console:
    """The console for messages: standard error, because standard output is for results."""
    return Console(stderr=True, highlight=False)


def output() -> Console:
    """The console for results: standard output."""
    return Console(highlight=False, soft_wrap=True)


@contextmanager
def bar(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yields the function `update(done, total)`."""
    if quiet or not sys.stderr.isatty():
        yield _lines(title, quiet)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console(), transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def _lines(title: str, quiet: bool) -> Callable[[int, int], None]:
    """A progress bar for a log: prints a line from time to time."""
    printed = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal printed
        if not quiet and time.monotonic() - printed > LINE_EVERY:
            printed = time.monotonic()
            print(f"{title} {done}/{total}", file=sys.stderr, flush=True)

    return update


class Panel:
    """The view of running trials: `draw()` refreshed on a terminal, `line()` from time to time in a log."""

    def __init__(self, draw: Callable[[], Any], line: Callable[[], str], quiet: bool) -> None:
        self._line, self._quiet, self._last = line, quiet, 0.0
        live = not quiet and sys.stderr.isatty()
        self._live = (
            Live(get_renderable=draw, console=console(), refresh_per_second=2, transient=True)
            if live
            else None
        )

    def __enter__(self) -> Panel:
        """Start drawing."""
        if self._live:
            self._live.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop drawing; a log gets a last line."""
        if self._live:
            self._live.__exit__(None, None, None)
        self.touch(force=True)

    def touch(self, force: bool = False) -> None:
        """Show a change: in a log where the last line is old enough, or `force` is set."""
        if self._quiet or self._live:
            return
        if force or time.monotonic() - self._last > LINE_EVERY:
            self._last = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)


def duration(seconds: float | None) -> str:
    """A duration in words: seconds, minutes or hours."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
