"""Processes that Ray ends because a machine is short of memory."""

from __future__ import annotations

import pytest
from ray.exceptions import OutOfMemoryError

from raysim.core.errors import LostProcess
from raysim.engines import memory

MESSAGE = """4 worker(s) were killed due to the node running low on memory. Memory on the node (IP: \
127.0.0.1, ID: e32e) was 22.39GB used / 23.54GB limit (0.950927)
OOM kill reason: Memory usage 24021348352B exceeded threshold of 24012677120B (95.0% of 25276502016B limit)
Top 10 memory users: PID\tMEM(GB)\tCOMMAND
25295\t19.44\tpython other.py
16672\t0.60\tpython -m raysim.sweep
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io
"""


def as_tune_raises_it() -> None:
    try:
        raise OutOfMemoryError(MESSAGE)
    except OutOfMemoryError as error:
        raise RuntimeError(f"Caught unexpected exception: {error}") from error


def as_ray_raises_it() -> None:
    raise OutOfMemoryError(MESSAGE)


@pytest.mark.parametrize("raises", [as_tune_raises_it, as_ray_raises_it])
def test_a_sentence_says_how_much_memory_was_in_use_and_by_what(raises) -> None:
    with pytest.raises(LostProcess) as caught, memory.told():
        raises()
    assert str(caught.value) == (
        "Ray ended 4 processes because this machine is short of memory (22.39 of 23.54 GB in use; the "
        f"largest process: 19.44 GB, python other.py); {memory.ADVICE}"
    )


def test_a_message_of_another_form_is_told_without_figures() -> None:
    assert memory.words("no figures") == (
        f"Ray ended a process because this machine is short of memory; {memory.ADVICE}"
    )


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match=r"^another$"), memory.told():
        raise RuntimeError("another")
