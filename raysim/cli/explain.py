"""`raysim explain`: what a setting, method, scenario or group of settings is, from its own declaration."""

from __future__ import annotations

import argparse
import inspect
import json
import os
import textwrap
from collections.abc import Iterator
from typing import Any

from raysim.core import plugins
from raysim.core.config import Config, condition_of, suggest
from raysim.core.errors import UserError
from raysim.core.registry import Registry
from raysim.experiment.effects import ACROSS_GROUPS
from raysim.experiment.records import REGISTRIES, Experiment

WIDTH = 100
BASIS = {
    "paper": "the paper's text",
    "relative": "the code of related published work",
    "computed": "a computation that the tests repeat",
    "guess": "no source: a guess",
}
BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "a multiple of"}


def explain(arguments: argparse.Namespace) -> None:
    """Print what a word means; without one, what there is to explain."""
    print(explained(arguments.word) if arguments.word else overview())


def overview() -> str:
    """Return the words that can be explained."""
    groups = [name for name in Experiment.model_fields if name not in REGISTRIES]
    lines = [f"  {registry.kind}s: {', '.join(registry)}" for registry in REGISTRIES.values()]
    lines.append(f"  groups and settings of the run: {', '.join(groups)}")
    text = "\n".join(textwrap.fill(line, WIDTH, subsequent_indent="    ") for line in lines)
    return f"raysim explain WORD, where WORD is one of these, or a setting such as method.lam:\n{text}"


def explained(word: str) -> str:
    """Return what a word means.

    Args:
        word: A setting by its dotted path, the name of a method or scenario, or a group of settings.

    Raises:
        UserError: There is no such word; the message names similar ones.
    """
    for block, registry in REGISTRIES.items():
        if word in registry:
            return _record(f"{block}={word}", registry[word], block)
    if word in REGISTRIES:
        return _kinds(word, REGISTRIES[word])
    owners = list(owners_of(word))
    if owners:
        return "\n\n".join(_setting(word, names, cls) for names, cls in _same(word, owners))
    group = Experiment.model_fields.get(word)
    if group is not None and isinstance(group.annotation, type) and issubclass(group.annotation, Config):
        return _record(word, group.annotation, word)
    known = sorted({*settings(), *REGISTRIES, *(name for r in REGISTRIES.values() for name in r)})
    raise UserError(
        f"unknown word '{word}'{suggest(word, known) or '.'} `raysim explain` lists what there is"
    )


def settings() -> list[str]:
    """Return the paths of all settings, of every method and scenario."""
    found: dict[str, None] = {}
    for block, registry in REGISTRIES.items():
        found |= {
            f"{block}.{field}": None for cls in registry.usable().values() for field in cls.model_fields
        }
    for name, info in Experiment.model_fields.items():
        cls = info.annotation
        if name in REGISTRIES:
            continue
        if isinstance(cls, type) and issubclass(cls, Config):
            found |= {f"{name}.{field}": None for field in cls.model_fields}
        else:
            found[name] = None
    return list(found)


def owners_of(path: str) -> Iterator[tuple[str, type[Config]]]:
    """Return the records that have the setting of a path, each with its name; one per method or scenario."""
    group, _, field = path.rpartition(".")
    if group in REGISTRIES:
        found = REGISTRIES[group].usable().items()
        yield from ((name, cls) for name, cls in found if field in cls.model_fields)
    elif not group and field in Experiment.model_fields and field not in REGISTRIES:
        cls = Experiment.model_fields[field].annotation
        if not (isinstance(cls, type) and issubclass(cls, Config)):
            yield "", Experiment
    elif group in Experiment.model_fields:
        cls = Experiment.model_fields[group].annotation
        if isinstance(cls, type) and issubclass(cls, Config) and field in cls.model_fields:
            yield "", cls


def _same(path: str, owners: list[tuple[str, type[Config]]]) -> Iterator[tuple[list[str], type[Config]]]:
    """Return the owners of a setting in groups that declare it in the same way."""
    field, groups = path.rpartition(".")[2], list[tuple[str, list[str], type[Config]]]()
    for name, cls in owners:
        declared = repr(cls.model_fields[field])
        for earlier, names, _ in groups:
            if earlier == declared:
                names.append(name)
                break
        else:
            groups.append((declared, [name], cls))
    for _, names, cls in groups:
        yield names, cls


def _setting(path: str, names: list[str], cls: type[Config]) -> str:
    """Return a setting: its meaning, default, range, source, and when it has an effect."""
    group, _, field = path.rpartition(".")
    info = cls.model_fields[field]
    extra: dict[str, Any] = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
    source = BASIS.get(extra.get("basis", ""), "")
    if extra.get("source"):
        source += f" ({extra['source']})" if source else extra["source"]
    needs = [
        use.words
        for use in (condition_of(cls, field), ACROSS_GROUPS.get(path), ACROSS_GROUPS.get(group))
        if use
    ]
    rows = {
        "of": ", ".join(names) if names != [""] else "",
        "default": _as_typed(info.default),
        "allowed": _allowed(info),
        "worth searching": extra.get("search", ""),
        "default from": source,
        "has an effect with": "; ".join(needs),
    }
    lines = [path, *textwrap.wrap(info.description or "", WIDTH, initial_indent="  ", subsequent_indent="  ")]
    for title, text in rows.items():
        if text:
            lines += textwrap.wrap(
                f"{title}: {text}", WIDTH, initial_indent="  ", subsequent_indent=" " * (4 + len(title))
            )
    return "\n".join(lines)


def _allowed(info: Any) -> str:
    """Return the values that a field allows, in words."""
    bounds = [
        f"{words} {getattr(limit, name):g}"
        for limit in info.metadata
        for name, words in BOUNDS.items()
        if getattr(limit, name, None) is not None
    ]
    kind = _kind(info.annotation)
    return ", ".join([kind, *bounds])


def _as_typed(value: Any) -> str:
    """Return a value as a user types it."""
    return value if isinstance(value, str) else json.dumps(value)


def _kind(annotation: Any) -> str:
    """Return a type in words: `number`, `whole number`, `one of a, b`, `.. or null`."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}
    if annotation in words:
        return words[annotation]
    choices = getattr(annotation, "__args__", ())
    if all(isinstance(choice, str) for choice in choices):
        return f"one of {', '.join(choices)}"
    return " or ".join(_kind(choice) for choice in choices) or str(annotation)


def _record(title: str, cls: type[Config], block: str) -> str:
    """Return a method, scenario or group: what it is, and a line for each of its settings."""
    text = inspect.cleandoc(cls.__doc__ or "")
    lines = [title, textwrap.indent(text, "  "), ""]
    wide = max((len(field) for field in cls.model_fields), default=0)
    for field, info in cls.model_fields.items():
        words = f"  {field:{wide}}  {_as_typed(info.default):10} {info.description or ''}"
        lines += textwrap.wrap(words, WIDTH, subsequent_indent=" " * (wide + 15))
    if cls.model_fields:
        field = next(iter(cls.model_fields))
        file = plugins.file_of(cls.__module__)
        given = f" --plugin {os.path.relpath(file.path)}" if file else ""
        lines += ["", f"raysim explain {block}.{field}{given} says more about one of them."]
    return "\n".join(lines)


def _kinds(block: str, registry: Registry[Any]) -> str:
    """Return all methods or scenarios, a line each."""
    lines = [f"{block}=NAME, where NAME is one of"]
    for name, cls in registry.usable().items():
        first = inspect.cleandoc(cls.__doc__ or "").partition("\n")[0]
        lines += textwrap.wrap(f"  {name:20} {first}", WIDTH, subsequent_indent=" " * 23)
    return "\n".join(lines)
