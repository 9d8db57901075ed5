"""The first cause of an error that an engine wrapped."""

from __future__ import annotations

from raysim.core.errors import ClientError, Diverged, first_cause


def test_the_first_cause_is_inside_all_wrappers() -> None:
    inner, middle, outer = Diverged("client 3: the loss is NaN"), RuntimeError("task"), RuntimeError("actor")
    middle.cause, outer.cause = inner, middle  # type: ignore[attr-defined]
    assert first_cause(outer) is first_cause(inner) is inner and isinstance(inner, ClientError)
    outer.cause = "text"  # type: ignore[attr-defined]
    assert first_cause(outer) is outer
