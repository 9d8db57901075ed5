"""Assignments of the command line and messages about wrong names."""

from __future__ import annotations

import pytest

from raysim.core.config import Config, canonical_json, digest, knob, parse, parse_assignment
from raysim.core.errors import UserError


def test_no_override_without_an_equals_sign() -> None:
    with pytest.raises(UserError, match="write path=value"):
        parse_assignment("rounds")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("3", 3),
        ("true", True),
        ("null", None),
        ("None", None),
        ("[1, 2]", [1, 2]),
        ("a b", "a b"),
    ],
)
def test_values_are_json_or_text(text: str, value: object) -> None:
    assert parse_assignment(f"method.h = {text}") == ("method.h", value)


class Box(Config):
    width: int = knob(1, "width in cm", basis="guess", ge=1)
    height: int


def test_a_record_refuses_what_it_does_not_know() -> None:
    assert parse(Box, {"height": 2}).replace(width=3) == Box(width=3, height=2)
    for values, message in (
        (
            {"heigth": 2, "height": 1},
            "unknown key 'box.heigth'; did you mean 'height'? Known keys of box: height",
        ),
        ({}, "'box.height' is required"),
        ({"height": 2, "width": 0}, "box.width = 0 is not allowed: it should be greater than or equal to 1"),
    ):
        with pytest.raises(UserError) as error:
            parse(Box, values, "box")
        assert message in str(error.value)


def test_the_hashed_form_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": [2.5, None]}) == '{"a":[2.5,null],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 1, "b": 2})
    assert len(digest({}, 20)) == 20
