"""The messages that docs/trouble.md explains are messages of raysim: their words stand in its source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.test_docs import ROOT, SPAN

PAGE = ROOT / "docs/trouble.md"
SECTIONS = ("Files of a result", "Images", "Weights", "Owners of images", "Plug-ins", "Settings", "Starting")
# what differs from case to case: dots, words in capital letters, numbers, names of files; and punctuation
BETWEEN = re.compile(r"\.\.\.|\b[A-Z]+\b|\b\d+\b|\S+\.json|\S*/\S*|[()'\";:?]|, (?:and )?| = |\. ")


def texts(source: str) -> Iterator[str]:
    """The strings of a module; what an f-string fills in is a zero byte, or what it says on a condition."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(constant(part) or "\0" for part in node.values)
            yield "".join(constant(part) or on_condition(part) for part in node.values)
        else:
            yield constant(node)


def constant(node: ast.AST) -> str:
    """The text of a constant; empty for all else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def on_condition(node: ast.AST) -> str:
    """The text that `{'text' if ... else ''}` fills in; else a zero byte."""
    value = node.value if isinstance(node, ast.FormattedValue) else None
    return constant(value.body) if isinstance(value, ast.IfExp) else "\0"


@cache
def source_texts() -> str:
    """All strings of raysim and of the analysis."""
    files = [path for name in ("raysim", "analysis") for path in sorted((ROOT / name).rglob("*.py"))]
    return "\0".join(text for path in files for text in texts(path.read_text()))


def messages(page: str) -> Iterator[str]:
    """The messages that a page quotes: the code of the first cells of its tables."""
    for line in page.splitlines():
        if line.startswith("| "):
            yield from SPAN.findall(line.split(" | ")[0])


def missing_words(message: str) -> list[str]:
    """The words of a message that no string of the source has one after the other."""
    pieces = [piece.strip(" .,") for piece in BETWEEN.split(message)]
    return [piece for piece in pieces if piece not in source_texts()]


@pytest.mark.parametrize("message", dict.fromkeys(messages(PAGE.read_text())))
def test_a_message_of_the_page_is_one_of_raysim(message: str) -> None:
    assert missing_words(message) == []


@pytest.mark.parametrize(
    "wrong",
    [
        "is a damaged or shortened FORMAT file (...)",
        "has N bands and does not say what is red, green and blue",
        "scenario.file = '...' cannot be deciphered: there is no such file",
    ],
)
def test_the_check_can_fail(wrong: str) -> None:
    assert missing_words(wrong) != []


def test_the_page_has_the_sections_that_it_promises() -> None:
    headings = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    assert [heading.startswith(name) for heading, name in zip(headings, SECTIONS, strict=True)] == [True] * 7
