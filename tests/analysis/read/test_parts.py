"""Parts of tables: damaged ones, compacted ones, rows that were written twice."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import write_report
from analysis.read import queries
from analysis.read.files import DamagedFile, read_table
from analysis.read.results import open_results
from tests.fakes import results as fake_results


def text_of(folder: Path) -> str:
    """The page without its tags."""
    return unescape(re.sub(r"<[^>]+>", " ", (folder / "report" / "index.html").read_text(encoding="utf-8")))


def test_damaged_parts_are_left_out_and_named(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=10, status="interrupted", rounds=4)
    (folder / "tables" / "trials" / "00005.parquet").write_bytes(b"PAR1 cut off")
    (folder / "tables" / "trials" / ".00099.parquet").write_bytes(b"being written")
    write_report(folder)
    text = text_of(folder)
    assert (
        "9 of 93 planned trials" in text
        and "cannot be read: tables/trials/00005.parquet" in text
        and "--resume" in text
    )


def test_a_part_that_keeps_vanishing_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fake_results.fake_run(tmp_path, status="running", tables=("rounds",), rounds=6)
    results, listed = open_results(folder), queries.Database.files
    gone = folder / "tables" / "rounds" / "gone.parquet"
    with monkeypatch.context() as patch:
        patch.setattr(queries, "ATTEMPTS", 2)
        patch.setattr(queries.Database, "files", lambda self, name: [*listed(self, name), gone])
        with pytest.raises(duckdb.IOException):
            results.sql("FROM rounds")
    assert len(results.sql("FROM rounds")) == 7 and results.unreadable == []


def test_rows_that_a_resume_wrote_twice_count_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=4, rounds=2)
    (folder / "tables" / "trials" / "00009.parquet").write_bytes(
        (folder / "tables" / "trials" / "00002.parquet").read_bytes()
    )
    assert [t["trial"] for t in open_results(folder).trials] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "columns", "why"),
    [
        ("tables/rounds/a.parquet", {"x": [1]}, "it has no column 'run'"),
        ("tables/rounds/a.parquet", {"run": ["a"], "round": ["first"]}, "its column 'round' holds string"),
        ("tables/clients/a.parquet", {"run": [["a"]]}, "its column 'run' holds list"),
        ("partition.parquet", {"client": [1], "label": [2]}, "it has no column 'domain'"),
    ],
)
def test_a_table_of_another_program_is_told(tmp_path: Path, name: str, columns: Any, why: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), tmp_path / name)
    with pytest.raises(DamagedFile, match=f"it is no table of raysim: {why}"):
        read_table(tmp_path / name)
