"""Experiments as plain data: strict records, overrides by dotted path, and errors a person can act on."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raysim.core.errors import UserError

Basis = Literal["paper", "relative", "computed", "guess"]


class Config(BaseModel):
    """A frozen, strict record. Unknown keys are errors; every field is checked when it is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """A checked copy with some fields changed."""
        return type(self).model_validate({**self.model_dump(), **changes})


C = TypeVar("C", bound=Config)


def knob(default: Any, doc: str, *, basis: Basis, search: str = "", source: str = "", **bounds: Any) -> Any:
    """A field of a config whose default has a provenance.

    Args:
        default: The value used when nothing is said.
        doc: One line: what it is, its unit, what the extremes mean.
        basis: Where the default comes from: the paper's own text, a published relative's code, a computation
            kept in the tests, or a guess.
        search: The range worth searching, in words.
        source: The relative or the computation.
        **bounds: pydantic's constraints (`ge`, `gt`, `le`, `lt`).
    """
    return Field(
        default,
        description=doc,
        json_schema_extra={"basis": basis, "search": search, "source": source},
        **bounds,
    )


def suggest(word: str, known: list[str]) -> str:
    """`; did you mean 'x'?` for a near miss, else nothing."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def unknown(kind: str, word: str, known: list[str]) -> UserError:
    """The error for a name that is in no registry."""
    return UserError(f"unknown {kind} '{word}'{suggest(word, known)} Known: {', '.join(sorted(known))}")


def parse(cls: type[C], values: Mapping[str, Any], path: str = "") -> C:
    """Build `cls` from a mapping; a mistake becomes a `UserError` that names the dotted path, the value and what is allowed."""
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise UserError("\n".join(_explain(cls, item, path) for item in error.errors())) from None


def _explain(cls: type[Config], item: Any, path: str) -> str:
    where = ".".join([path, *map(str, item["loc"])] if path else map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        known = sorted(cls.model_fields)
        key = str(item["loc"][-1])
        return (
            f"unknown key '{where}'{suggest(key, known)} Known keys{f' of {path}' if path else ''}: "
            f"{', '.join(known)}"
        )
    if item["type"] == "missing":
        return f"'{where}' is required"
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    given = item.get("input")
    if item["type"] == "value_error" and isinstance(given, dict):
        return f"{where or path or cls.__name__}: {message}"
    return (
        f"{where} = {given!r} is not allowed: it should be {message}"
        if item["type"] != "value_error"
        else f"{where} = {given!r}: {message}"
    )


def parse_value(text: str) -> Any:
    """A command-line value: JSON where it is JSON (numbers, true, null, lists), else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def parse_assignment(text: str) -> tuple[str, Any]:
    """`path=value` from the command line."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UserError(f"'{text}' is no override: write path=value, for example scenario.alpha=0.1")
    return path.strip(), parse_value(value.strip())


def canonical(values: Any) -> str:
    """JSON with sorted keys: the form that is hashed."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(values: Any, length: int = 12) -> str:
    """The first `length` hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical(values).encode()).hexdigest()[:length]
