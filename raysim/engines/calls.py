"""Calls of client actors that outlive a lost host.

Ray repeats the call of an actor that died. While it has not noticed yet that a host is lost, its calls
fail at once, and all its repetitions with them. Those calls are made again here, until Ray knows. A call has
no side effect and its answer does not depend on who gives it, so repeating is safe.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError

LOST_SECONDS = (
    180.0  # longest wait for Ray to notice that a host is lost; by default it takes about half a minute
)
PAUSE = 1.0  # seconds between two attempts

Call = Callable[[], Any]  # starts a call, and returns its reference or its stream of references


def answers(calls: Sequence[Call]) -> list[Any]:
    """Start calls at the same time, and return their answers in order."""
    started = [call() for call in calls]
    return [_answer(call, reference) for call, reference in zip(calls, started, strict=True)]


def streamed(calls: Sequence[Call]) -> list[Iterator[Any]]:
    """Start calls that answer in parts at the same time, and return the parts of each."""
    return [_parts(call, call()) for call in calls]


def _answer(call: Call, reference: Any) -> Any:
    """Return the answer of a call."""
    patience = _Patience()
    while True:
        try:
            return ray.get(reference)
        except ActorUnavailableError as error:
            patience.wait(error)
            reference = call()


def _parts(call: Call, stream: Any) -> Iterator[Any]:
    """Yield the parts of an answer; a call that is made again repeats those that were there already."""
    taken, patience = 0, _Patience()
    while True:
        try:
            for position, reference in enumerate(stream):
                part = ray.get(reference)
                if position >= taken:
                    taken += 1
                    yield part
            return
        except ActorUnavailableError as error:
            patience.wait(error)
            stream = call()


class _Patience:
    """The time that is left until a call fails."""

    def __init__(self) -> None:
        self.end: float | None = None

    def wait(self, error: ActorUnavailableError) -> None:
        """Wait a moment; raise the error where all time has passed since the first one."""
        now = time.monotonic()
        self.end = self.end or now + LOST_SECONDS
        if now > self.end:
            raise error
        time.sleep(PAUSE)
