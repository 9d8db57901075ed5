"""SIGTERM and SIGHUP are interrupts; a second signal ends the process at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from raysim.core import signals

STUBBORN = """
import os, signal, time
from raysim.core import signals
with signals.handled():
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)
    finally:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)
"""


@pytest.fixture
def from_a_terminal() -> Iterator[None]:
    """SIGHUP ends a process, also where `nohup` started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("from_a_terminal")
@pytest.mark.parametrize(("number", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_is_an_interrupt_with_its_own_status(number: str, status: int) -> None:
    before = signal.getsignal(getattr(signal, number))
    with pytest.raises(KeyboardInterrupt) as interrupt, signals.handled():
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # as a library does
        signals.set_handlers()
        os.kill(os.getpid(), getattr(signal, number))
    assert signals.exit_status(interrupt.value) == status
    assert signal.getsignal(getattr(signal, number)) is before


@pytest.mark.usefixtures("from_a_terminal")
def test_the_status_is_that_of_the_signal_though_a_library_raises_another_exception() -> None:
    """As Ray does while it waits for a result."""
    with pytest.raises(KeyboardInterrupt) as interrupt, signals.handled():
        try:
            os.kill(os.getpid(), signal.SIGHUP)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None
    assert signals.exit_status(interrupt.value) == 129


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with signals.handled():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_signal_ends_the_process_at_once() -> None:
    done = subprocess.run([sys.executable, "-c", STUBBORN], timeout=30, check=False)
    assert done.returncode == 130
