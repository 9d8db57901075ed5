"""What Ray says when it ends processes because a machine is short of memory, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import OutOfMemoryError

from raysim.core.errors import LostProcess

KILLED = re.compile(r"(\d+) worker\(s\) were killed")
USED = re.compile(r"was ([\d.]+)GB used / ([\d.]+)GB limit")
LARGEST = re.compile(r"PID\tMEM\(GB\)\tCOMMAND\n\d+\t([\d.]+)\t(.*)")
LETTERS = 80  # of a command that is shown
ADVICE = "end other programs, or lower resources.workers or the size of the experiment"


@contextmanager
def told() -> Iterator[None]:
    """Raise `LostProcess` with one sentence where Ray ended a process for want of memory.

    Tune passes on Ray's message of a hundred lines, inside an error of another kind.
    """
    try:
        yield
    except (OutOfMemoryError, RuntimeError) as error:
        cause = error if isinstance(error, OutOfMemoryError) else error.__cause__
        if not isinstance(cause, OutOfMemoryError):
            raise
        raise LostProcess(words(str(cause.message))) from error


def words(message: str) -> str:
    """Return the sentence for a message of Ray: how many processes, memory in use, the largest process."""
    killed, used, largest = (pattern.search(message) for pattern in (KILLED, USED, LARGEST))
    number = f"{killed[1]} processes" if killed and killed[1] != "1" else "a process"
    details = [f"{used[1]} of {used[2]} GB in use"] if used else []
    details += [f"the largest process: {largest[1]} GB, {largest[2][:LETTERS].rstrip()}"] if largest else []
    shown = f" ({'; '.join(details)})" if details else ""
    return f"Ray ended {number} because this machine is short of memory{shown}; {ADVICE}"
