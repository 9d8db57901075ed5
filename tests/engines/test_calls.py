"""Calls that are made again while Ray has not noticed a lost host. `lost_node` loses one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import ray
from ray.exceptions import ActorUnavailableError

from raysim.engines import calls

LOST = ActorUnavailableError("its host is lost", None)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """References are values, and an exception among them is raised."""

    def get(value: object) -> object:
        if isinstance(value, Exception):
            raise value
        return value

    monkeypatch.setattr(ray, "get", get)
    monkeypatch.setattr(calls, "PAUSE", 0.0)


def test_a_call_is_made_again_until_it_is_answered() -> None:
    first: Iterator[object] = iter([LOST, LOST, "a"])
    assert calls.answers([lambda: next(first), lambda: "b"]) == ["a", "b"]


def test_a_call_fails_when_all_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "LOST_SECONDS", -1.0)
    with pytest.raises(ActorUnavailableError):
        calls.answers([lambda: LOST])


def test_other_failures_are_not_repeated() -> None:
    answers: Iterator[object] = iter([ValueError("of the work"), "never"])
    with pytest.raises(ValueError, match="of the work"):
        calls.answers([lambda: next(answers)])


def test_a_stream_goes_on_where_it_was_lost() -> None:
    streams: Iterator[list[object]] = iter([[0, 1, LOST], [0, LOST], [0, 1, 2, 3]])
    [parts] = calls.streamed([lambda: next(streams)])
    assert list(parts) == [0, 1, 2, 3]
