"""The page of a run, with the tables that are there."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from analysis import write_report
from analysis.figures.outcomes import one_run
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes.tables import client_rows, write


def text_of(folder: Path) -> str:
    """The page without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", (folder / "report" / "index.html").read_text(encoding="utf-8")))


@pytest.mark.parametrize("tables", [(), ("rounds",), ("rounds", "clients", "classes", "signatures")])
def test_run_page(tmp_path: Path, tables: tuple[str, ...]) -> None:
    status = "done" if len(tables) == 4 else "running"
    folder = fake_results.fake_run(tmp_path, status=status, tables=tables, rounds=6)
    page = write_report(folder).read_text(encoding="utf-8")
    missing = set(re.findall(r'<p class="missing" id="(\w+)"', page))
    assert missing == {
        (): {"four", "curve", "losses", "partition", "classes"},
        ("rounds",): {"four", "classes"},
    }.get(tables, set())
    said = {(): "is not evaluated", ("rounds",): "6 of 6 rounds are finished"}.get(
        tables, "reaches 73.0% validation accuracy"
    )
    assert said in text_of(folder)


def test_clients_are_those_of_the_last_evaluation(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=6, clients=20)
    rng = np.random.default_rng(1)
    for number in range(6):
        rows = client_rows("0123456789ab", number, 20, rng)
        write(folder / "tables" / "clients" / f"{number}.parquet", rows)
    last = client_rows("0123456789ab", 6, 20, rng)
    write(folder / "tables" / "clients" / "6.parquet", last)
    rows = open_results(folder).sql(one_run.QUERY)
    assert [(row["client"], row["round"]) for row in rows] == [(client, 6) for client in range(20)]
    assert [row["acc_personal_own"] for row in rows] == [row["acc_personal_own"] for row in last]
