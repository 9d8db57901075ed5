"""The page of a run, with the tables that are there."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest

from analysis import write_report
from tests.fakes import results as fake_results


def text_of(folder: Path) -> str:
    """The page without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", (folder / "report" / "index.html").read_text(encoding="utf-8")))


@pytest.mark.parametrize("tables", [(), ("rounds",), ("rounds", "clients", "classes", "signatures")])
def test_run_page(tmp_path: Path, tables: tuple[str, ...]) -> None:
    status = "done" if len(tables) == 4 else "running"
    folder = fake_results.fake_run(tmp_path, status=status, tables=tables, rounds=6)
    page = write_report(folder).read_text(encoding="utf-8")
    missing = set(re.findall(r'<figure id="(\w+)"[^>]*>\s*<h3>[^<]*</h3>\s*<p class="missing">', page))
    assert missing == {
        (): {"four", "distribution", "curve", "losses", "partition", "classes"},
        ("rounds",): {"four", "distribution", "classes"},
    }.get(tables, set())
    said = {(): "has not been evaluated yet", ("rounds",): "6 of 6 rounds are finished"}.get(
        tables, "reaches 73.0% validation accuracy"
    )
    assert said in text_of(folder)
