"""A page as Markdown, for a repository or an issue: linked figures, tables and code blocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from pathlib import Path
from typing import Any

from ..look.output import environment
from ..look.page import Cell, Page, Table, show

SPECIAL = re.compile(r"([\\`*_{}\[\]|$~#])")
CODE = re.compile(r"(`[^`\\]+`)")  # a command in a sentence


def render(page: Page) -> str:
    """Write a page as Markdown; its figures are in `figures/` beside it."""
    env = environment(Path(__file__).parent / "templates")
    env.filters |= {
        "text": text,
        "sentence": sentence,
        "grid": grid,
        "code": code,
        "show": show,
        "plain": escape,
    }
    names = page.names()
    made = env.get_template("report.md").render(
        page=page, kind=lambda part: type(part).__name__, name=lambda part: names.get(id(part), "")
    )
    return "\n".join(_squeezed(made.split("\n"))).strip() + "\n"


def _squeezed(lines: Iterable[str]) -> Iterator[str]:
    """Reduce several empty lines to one, outside of code."""
    previous, fence = "", ""
    for line in lines:
        if not fence and not line and not previous:
            continue
        if line.startswith("```"):
            fence = "" if line == fence else fence or line.rstrip("abcdefghijklmnopqrstuvwxyz")
        yield line
        previous = line


def code(source: str, language: str = "") -> str:
    """Write a code block; its fence is longer than any inside."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", source))])
    return f"{fence}{language}\n{source}\n{fence}"


def grid(table: Table) -> str:
    """Write a table as Markdown."""
    head = [[text(str(name)) for name in table.columns], ["---"] * len(table.columns)]
    body = [[_cell(value) for value in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in [*head, *body])


def _cell(value: Any) -> str:
    if not isinstance(value, Cell):
        return text(show(value))
    if value.look == "again":
        return ""
    words = "; ".join(text(line) for line in show(value.text).split("\n"))
    inside = value.link.startswith("#")  # Markdown makes its own anchors
    return f"[{words}]({value.link})" if value.link and not inside else words


def text(words: str) -> str:
    """Escape a text, so that nothing in it is markup."""
    return _escaped(" ".join(str(words).split()))


def sentence(words: str) -> str:
    """Escape a sentence, but for the command in it, which is between backticks."""
    pieces = CODE.split(" ".join(words.split()))
    return "".join(piece if place % 2 else _escaped(piece) for place, piece in enumerate(pieces))


def _escaped(words: str) -> str:
    return SPECIAL.sub(r"\\\1", escape(words, quote=False))
