"""Digests of the code behind classes and functions, which are part of the identity of experiments."""

from __future__ import annotations

import ast
import hashlib
import inspect
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import CodeType
from typing import Any
from weakref import WeakKeyDictionary

from raysim.core.plugins import DIGITS, MAIN, OWN, file_of, module_of
from raysim.core.warm import kept

_unreadable: WeakKeyDictionary[Any, str] = WeakKeyDictionary()  # class -> what stands for its lost text


def code_of(thing: Any) -> str:
    """Return a digest of the code that a class or function belongs to; empty for code that comes with raysim.

    Of a plug-in file it is that of its text; of an installed package that of all its Python files, so that it
    is equal on machines with equal code; of a class of a script or of a notebook's cell that of its text.
    Where Python keeps no text (a script on standard input, an interpreter), it is one digest for each class:
    the same at every call, and that of no other class.
    """
    module = module_of(thing)
    top = module.partition(".")[0]
    if top in OWN or top in sys.stdlib_module_names:
        return ""
    file = file_of(module)
    if file is not None:
        return file.digest
    if top != MAIN:
        return code_of_package(top)
    source = _source_of(thing) or _unreadable.setdefault(thing, uuid.uuid4().hex)
    return hashlib.sha256(source.encode()).hexdigest()[:DIGITS]


def _source_of(thing: Any) -> str:
    """Return the text of a class or function of a script or of a cell; empty where it is not kept."""
    if isinstance(thing, type) and (source := _source_of_class(thing)):
        return source
    try:
        return inspect.getsource(thing)
    except (OSError, TypeError, SyntaxError):
        return ""


def _source_of_class(cls: type) -> str:
    """Return the text of a class; empty where none of its functions says where it is.

    Python looks for a class in the file of its module, which a notebook has not. A function knows its cell.
    """
    for code in _codes(cls):
        try:
            lines, _ = inspect.findsource(code)
            tree = ast.parse("".join(lines))
        except (OSError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and node.name == cls.__name__:
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                last = node.end_lineno or first
                if first <= code.co_firstlineno <= last:
                    return "".join(lines[first - 1 : last])
    return ""


def _codes(cls: type) -> Iterator[CodeType]:
    """Yield the code of the functions that are written in the body of a class."""
    for thing in vars(cls).values():
        inner: Any = thing.fget if isinstance(thing, property) else getattr(thing, "func", thing)
        code = getattr(inspect.unwrap(getattr(inner, "__func__", inner)), "__code__", None)
        if isinstance(code, CodeType) and code.co_qualname.startswith(f"{cls.__qualname__}."):
            yield code


@kept("code of packages", maxsize=64)
def code_of_package(top: str) -> str:
    """Return the digest of all Python files of a top-level package or module that is imported."""
    found = sys.modules[top]
    places = [Path(place) for place in getattr(found, "__path__", None) or [found.__file__ or ""]]
    digest = hashlib.sha256()
    for place in places:
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(str(path.relative_to(place)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:DIGITS]
