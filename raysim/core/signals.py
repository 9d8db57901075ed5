"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is finished is on disk, and the status says it.

`scancel`, a preempted machine, `docker stop` and systemd send SIGTERM; a closed terminal sends SIGHUP. Both
become an exception, so that every `finally` runs. A second signal ends the process at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
_received: list[int] = []  # signals that this process has received; empty outside of `handled`
_active = False
_last_words: Callable[[str], str] | None = None  # a reason -> the message of a process that ends by itself


class Terminated(KeyboardInterrupt):
    """The process was asked to end. `args[0]` is the number of the signal."""


@contextmanager
def handled() -> Iterator[None]:
    """Turn signals into exceptions inside this context, in the process of a command.

    A signal that is ignored stays ignored: `nohup` sets SIGHUP so.
    """
    global _active
    if _active or threading.current_thread() is not threading.main_thread():  # handlers are the main thread's
        yield
        return
    earlier = {number: signal.getsignal(number) for number in SIGNALS}
    _active = True
    _received.clear()
    try:
        set_handlers()
        yield
    finally:
        _active = False
        for number, handler in earlier.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def set_handlers() -> None:
    """Set the handlers of `handled`, again where a library has replaced them; nothing outside of it."""
    if not _active or _received:
        return
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _raise)


def set_last_words(words: Callable[[str], str]) -> None:
    """Remember the message of `end_now`: how to go on with the command of this process."""
    global _last_words
    _last_words = words


def end_now(reason: str) -> NoReturn:
    """End this process from another thread, where the main thread hangs in a library for ever."""
    message = _last_words(reason) if _last_words else f"raysim: {reason}; everything finished is on disk"
    print(message, file=sys.stderr, flush=True)
    os._exit(1)


def exit_status(interrupt: KeyboardInterrupt) -> int:
    """Return the exit status of an interrupted command: 128 and the number of the signal, as shells count.

    A library may have raised a plain KeyboardInterrupt in the place of ours: what was received counts.
    """
    first = _received[0] if _received else signal.SIGINT
    return 128 + (interrupt.args[0] if isinstance(interrupt, Terminated) else first)


def _raise(number: int, frame: FrameType | None) -> None:
    """Raise the interrupt, or end the process at once where there was one before."""
    if _received:
        os._exit(128 + number)
    _received.append(number)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)
