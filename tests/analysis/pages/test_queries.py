"""The command and the query of each number: every query runs in plain DuckDB and gives the numbers shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analysis.look.page import Cell, Exhibit, Page, Table
from analysis.read.results import open_results
from analysis.report import PAGES, pages_of
from tests.fakes.pages import PAGE_KINDS, results_of_kind

NUMBER = re.compile(r"[+\u2212]?\d+\.\d\b")  # points and percentages have one digit


def answered(page: Page) -> Iterator[tuple[Exhibit | Table, list[Any]]]:
    """Each part with a query, and all numbers that it gives in the current folder."""
    for part in page.parts():
        if isinstance(part, Exhibit | Table) and not (isinstance(part, Exhibit) and part.missing):
            assert part.source, f"{part.title}: has no query"
            rows = duckdb.connect().execute(part.source).fetchall()
            yield part, list(numbers_in(rows))


def numbers_in(value: Any) -> Iterator[float]:
    """All numbers inside rows, lists and objects."""
    if isinstance(value, bool):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers_in(item)
    elif isinstance(value, dict):
        yield from numbers_in(list(value.values()))


@pytest.mark.parametrize("kind", PAGE_KINDS)
def test_every_query_runs_in_plain_duckdb(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = results_of_kind(kind, tmp_path)
    monkeypatch.chdir(results.folder)
    assert len([found for _, found in answered(PAGES[results.kind](results)) if found]) >= 3


def test_the_answer_and_the_evidence_show_the_numbers_of_their_queries(
    reported_whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reported_whole)
    checked = 0
    for part, found in answered(pages_of(open_results(reported_whole))[0]):
        table = part.numbers if isinstance(part, Exhibit) else part
        if part.key not in ("answer", "rivals", "choices", "pairs", "tuning", "transfer", "leads-table"):
            continue
        known = {f"{abs(100 * number):.1f}" for number in found}
        for cell in (cell for row in table.rows for cell in row) if table else ():
            text = cell.text if isinstance(cell, Cell) and cell.look != "code" else ""
            text = re.sub(r" at .*|dirichlet alpha=0.1|.* = .*", "", text)
            shown = [number.lstrip("+\u2212") for number in NUMBER.findall(text)]
            assert set(shown) <= known, f"{part.title}: {text}"
            checked += len(shown)
    assert checked > 60


def test_each_figure_and_table_has_the_command_and_its_query_folded_under_it(reported_whole: Path) -> None:
    page = (reported_whole / "report" / "index.html").read_text(encoding="utf-8")
    made = pages_of(open_results(reported_whole))[0]
    folds = re.findall(
        r'<details class="source"><summary>Command and query</summary>\s*<pre[^>]*><code>(.*?)</code></pre>'
        r".*?"
        r"<code>(.*?)</code></pre>\s*</details>",
        page,
        re.S,
    )
    shown = [p for p in made.parts() if isinstance(p, Exhibit | Table) and not getattr(p, "missing", "")]
    assert [unescape(query) for _, query in folds] == [p.source for p in shown]
    assert all(f"raysim report {reported_whole}" in unescape(command) for command, _ in folds)
    names = re.findall(r'<span class="count">(\w+ \d+)</span>', page)
    assert sorted(names) == sorted(made.names().values())
