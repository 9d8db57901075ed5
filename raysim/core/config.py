"""Strict records of plain data, fields whose default has a source, and messages for wrong values."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raysim.core.errors import UserError

Basis = Literal["paper", "relative", "computed", "guess"]


class Use(NamedTuple):
    """A condition under which a setting has an effect.

    Attributes:
        words: The condition in words, for messages: "it needs ...".
        holds: Whether it holds for a record.
    """

    words: str
    holds: Callable[[Any], bool]


class Config(BaseModel):
    """Frozen, strict record: unknown keys are errors, and every field is checked when it is set."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def replace(self, **changes: Any) -> Self:
        """Return a checked copy with some fields changed."""
        return type(self).model_validate({**self.model_dump(), **changes})


C = TypeVar("C", bound=Config)


def knob(
    default: Any,
    doc: str,
    *,
    basis: Basis,
    search: str = "",
    source: str = "",
    used_when: tuple[str, Callable[[Any], bool]] | None = None,
    late: bool = False,
    **bounds: Any,
) -> Any:
    """Declare a field of a `Config` together with the source of its default.

    Args:
        default: Value of the field where none is given.
        doc: One line: the meaning, the unit, and what the extremes mean.
        basis: Source of the default: the paper's text ("paper"), the code of related published work
            ("relative"), a computation kept in the tests ("computed"), or a guess.
        search: Range worth searching, in words.
        source: Name of the related work or of the computation.
        used_when: Condition on the other fields under which this one has an effect, in words and as a
            function of the record; None: it always has.
        late: Whether the field came after the first results: then it is part of an experiment's id only where
            it is away from its default, so that older ids stay.
        **bounds: pydantic's constraints (`ge`, `gt`, `le`, `lt`).
    """
    extra: Any = {"basis": basis, "search": search, "source": source} | ({"late": True} if late else {})
    if used_when is not None:
        extra["used_when"] = Use(*used_when)
    return Field(default, description=doc, json_schema_extra=extra, **bounds)


def condition_of(cls: type[Config], name: str) -> Use | None:
    """Return the condition under which a field has an effect, as its `knob` declares it; None: always."""
    extra: Any = cls.model_fields[name].json_schema_extra
    condition: Use | None = extra.get("used_when") if isinstance(extra, dict) else None
    return condition


def late_fields(cls: type[Config]) -> list[str]:
    """Return the fields that came after the first results, as `knob(late=True)` declares them."""
    extras = {name: field.json_schema_extra for name, field in cls.model_fields.items()}
    return [name for name, extra in extras.items() if isinstance(extra, dict) and extra.get("late")]


def unused_fields(record: Config) -> dict[str, str]:
    """Return the fields of a record that have no effect, given the others, with what they need."""
    conditions = {name: condition_of(type(record), name) for name in type(record).model_fields}
    return {
        name: condition.words
        for name, condition in conditions.items()
        if condition is not None and not condition.holds(record)
    }


def with_unused_at_default(record: C) -> C:
    """Return a record whose fields without effect are at their defaults: the same behaviour."""
    fields = type(record).model_fields
    return record.model_copy(update={name: fields[name].default for name in unused_fields(record)})


def suggest(word: str, known: list[str]) -> str:
    """Return "; did you mean 'x'?" for the known word that is most similar to `word`, or "" for none."""
    matches = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean '{matches[0]}'?" if matches else ""


def unknown_name(kind: str, word: str, known: list[str]) -> UserError:
    """Return the error for a name that is in no registry; its message lists the known names."""
    near = suggest(word, known) or "."
    return UserError(f"unknown {kind} '{word}'{near} Known: {', '.join(sorted(known))}")


def parse(cls: type[C], values: Mapping[str, Any], path: str = "") -> C:
    """Build a record from a mapping.

    Args:
        cls: Class of the record.
        values: Its fields by name; nested records as mappings.
        path: Dotted path of the record in the experiment, for messages.

    Raises:
        UserError: An unknown key, a missing key or a value that is not allowed, each by its dotted path.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise UserError("\n".join(_explain(cls, item, path) for item in error.errors())) from None


def _explain(cls: type[Config], item: Any, path: str) -> str:
    """Return the message for one of pydantic's errors."""
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
    """Return a value of the command line: JSON (numbers, true, null, lists) is parsed, other text is kept."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return {"True": True, "False": False, "None": None}.get(text, text)


def parse_assignment(text: str) -> tuple[str, Any]:
    """Return the dotted path and the value of `path=value` from the command line."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UserError(f"'{text}' is not an override: write path=value, for example scenario.alpha=0.1")
    return path.strip(), parse_value(value.strip())


def canonical_json(values: Any) -> str:
    """Return JSON with sorted keys and without spaces: the form that is hashed."""
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(values: Any, length: int = 12) -> str:
    """Return the first `length` hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(values).encode()).hexdigest()[:length]
