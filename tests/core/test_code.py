"""Digests of code: a class of a notebook's cell, and one whose text is nowhere."""

from __future__ import annotations

import gc
import linecache
from collections.abc import Iterator
from typing import Any

import pytest

from raysim.core.code import code_of

CELL = '''{before}
class Mine:
    """A class of a cell."""

    rate = {rate}

    def loss(self):
        return self.rate
{after}
'''


@pytest.fixture
def cells() -> Iterator[list[str]]:
    """Names under which a test keeps the text of cells, as a notebook does."""
    names: list[str] = []
    yield names
    for name in names:
        linecache.cache.pop(name, None)


def typed(text: str, cells: list[str] | None = None) -> Any:
    """Execute a text in the module of a notebook or script; return its class `Mine`."""
    name = "<stdin>" if cells is None else f"/tmp/cells/{len(cells)}.py"
    if cells is not None:
        cells.append(name)
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(text, name, "exec"), space)
    return space["Mine"]


def test_the_text_of_a_cells_class_decides_and_not_its_cell(cells: list[str]) -> None:
    first = typed(CELL.format(before="", rate=1, after=""), cells)
    again = typed(CELL.format(before="import os", rate=1, after="later = Mine()"), cells)
    other = typed(CELL.format(before="", rate=2, after=""), cells)
    assert first is not again and code_of(first) == code_of(again) != code_of(other)
    decorated = typed(CELL.format(before="@lambda cls: cls", rate=1, after=""), cells)
    assert code_of(decorated) not in (code_of(first), code_of(other))


def test_a_class_whose_text_is_nowhere_has_one_digest_as_long_as_it_lives() -> None:
    text = CELL.format(before="", rate=1, after="")
    first, second = typed(text), typed(text)
    seen = {code_of(first), code_of(second)}
    assert [code_of(first), code_of(second)] == [code_of(first), code_of(second)] and len(seen) == 2
    del first, second
    gc.collect()  # a class that comes to lie at the same place is another one
    assert code_of(typed(text)) not in seen


def test_a_class_without_a_function_of_its_own_has_one_digest(cells: list[str]) -> None:
    bare = typed("class Mine(dict):\n    rate = 1\n", cells)
    assert code_of(bare) == code_of(bare) != ""
