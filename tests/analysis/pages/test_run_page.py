"""The page of a run, with the tables that are there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import write_report
from analysis.figures.outcomes import curves
from analysis.look.page import Table
from analysis.pages.run_page import run_page
from analysis.read.results import open_results
from raysim.storage.run_tables import COMMON
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


def test_the_page_of_a_run_says_what_the_server_computed(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=6)
    assert "FLOPs of the server" not in [row[0] for row in costs_of(folder)]  # not recorded
    for number in range(7):
        row = {"run": "0123456789ab", "round": number, "split": "validation", "flops_server": 1e9}
        schema = pa.schema([*COMMON.items(), ("flops_server", pa.float64())])
        write(folder / "tables" / "rounds" / f"s{number}.parquet", [row], schema)
    for part in (folder / "tables" / "rounds").glob("[!s]*.parquet"):
        part.unlink()
    assert ["FLOPs of the server", "7e+09"] in costs_of(folder)


def test_a_round_in_which_all_clients_drop_out_does_not_spoil_the_mean(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=2)
    before = costs_of(folder)
    (part, *_) = sorted((folder / "tables" / "rounds").glob("*.parquet"))
    (row,) = pq.read_table(part).to_pylist()
    nobody = {**row, "round": 3, "clients": 0, "bytes_up": 0, "bytes_down": 0}
    write(part.with_name("x.parquet"), [nobody])
    after = costs_of(folder)
    assert not [cell for line in after for cell in line if "nan" in str(cell)]
    each = [line for line in before if "client" in str(line[0]) and "round" in str(line[0])]
    assert each and [line for line in after if line[0] in [name for name, *_ in each]] == each


def costs_of(folder: Path) -> Sequence[Sequence[Any]]:
    """The rows of the table of communication and cost."""
    tables = [
        p for p in run_page(open_results(folder)).parts() if isinstance(p, Table) and p.key == "table-cost"
    ]
    return tables[0].rows


def test_clients_are_those_of_the_last_evaluation(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=6, clients=20)
    rng = np.random.default_rng(1)
    for number in range(6):
        rows = client_rows("0123456789ab", number, 20, rng)
        write(folder / "tables" / "clients" / f"{number}.parquet", rows)
    last = client_rows("0123456789ab", 6, 20, rng)
    write(folder / "tables" / "clients" / "6.parquet", last)
    rows = open_results(folder).sql(curves.CLIENTS)
    assert [(row["client"], row["round"]) for row in rows] == [(client, 6) for client in range(20)]
    assert [row["acc_personal_own"] for row in rows] == [row["acc_personal_own"] for row in last]
