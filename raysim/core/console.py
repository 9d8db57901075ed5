"""Display while work runs: live on a terminal and in a notebook, sparse lines in a log, none with --quiet."""

from __future__ import annotations

import io
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
NOTEBOOK_EVERY = 0.5  # seconds between two changes of a notebook's cell
NOTEBOOK_WIDTH = 110  # characters of a line there
BAR_WIDTH = 30  # characters of a bar in a notebook


def console() -> Console:
    """The console for messages: standard error, because standard output is for results."""
    return Console(stderr=True, highlight=False)


def output() -> Console:
    """The console for results: standard output."""
    return Console(highlight=False, soft_wrap=True)


@contextmanager
def bar(title: str, quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar; yields the function `update(done, total)`."""
    if not quiet and in_notebook():
        yield _notebook_bar(title)
        return
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


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook (Jupyter, and what follows its protocol)."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


class NotebookText:
    """A text below a notebook's cell that can be changed; it needs no widgets."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str) -> None:
        """Show a text in place of the one before."""
        from IPython.display import display  # only a notebook comes here

        if self._handle is None:
            self._handle = display({"text/plain": text}, raw=True, display_id=True)
        else:
            self._handle.update({"text/plain": text}, raw=True)


def _notebook_bar(title: str) -> Callable[[int, int], None]:
    """A progress bar for a notebook."""
    text, started, shown = NotebookText(), time.monotonic(), -NOTEBOOK_EVERY

    def update(done: int, total: int) -> None:
        nonlocal shown
        now = time.monotonic()
        if done < total and now - shown < NOTEBOOK_EVERY:
            return
        shown = now
        full = BAR_WIDTH * done // max(total, 1)
        blocks = "\u2588" * full + "\u2591" * (BAR_WIDTH - full)
        text.show(f"{title} {blocks} {done}/{total}, {duration(now - started)}")

    return update


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
    """The view of running trials: `draw()` on a terminal and in a notebook, `line()` at times in a log."""

    def __init__(self, draw: Callable[[], Any], line: Callable[[], str], quiet: bool) -> None:
        self._line, self.quiet, self._last = line, quiet, 0.0
        self._draw, self._text = draw, NotebookText() if not quiet and in_notebook() else None
        live = not quiet and sys.stderr.isatty() and self._text is None
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
        if self.quiet or self._live:
            return
        if self._text is not None:
            if force or time.monotonic() - self._last > NOTEBOOK_EVERY:
                self._last = time.monotonic()
                self._text.show(plain_text(self._draw()))
            return
        if force or time.monotonic() - self._last > LINE_EVERY:
            self._last = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)


def plain_text(drawn: Any) -> str:
    """What rich draws, as text without colours."""
    drawing = Console(file=io.StringIO(), width=NOTEBOOK_WIDTH, highlight=False)
    with drawing.capture() as capture:
        drawing.print(drawn)
    return capture.get()


def duration(seconds: float | None) -> str:
    """A duration in words: seconds, minutes or hours."""
    if seconds is None:
        return "?"
    if seconds < 0.95:
        return "less than 1 s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
