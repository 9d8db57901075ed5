"""Parts of tables: damaged ones, compacted ones, rows that were written twice."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from analysis import write_report
from analysis.read import results as results_module
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import tables as fake_tables


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


def test_a_table_that_is_made_one_part_while_it_is_read_is_listed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_results.fake_run(tmp_path, status="running", tables=("rounds",), rounds=6)
    parts = sorted((folder / "tables" / "rounds").glob("*.parquet"))
    read, results = results_module.Results._part, open_results(folder)

    def compacting(self: Any, path: Path, *rest: Any) -> Any:
        if path == parts[0] and path.exists():  # it was listed, and is gone before it is read
            rows = [row for part in parts for row in pq.read_table(part).to_pylist()]
            fake_tables.write(tmp_path / "whole.parquet", rows)
            (tmp_path / "whole.parquet").replace(parts[-1])
            for part in parts[:-1]:
                part.unlink()
        return read(self, path, *rest)

    monkeypatch.setattr(results_module.Results, "_part", compacting)
    assert sorted(results.table("rounds")["round"].to_pylist()) == list(range(7))
    assert results.unreadable == []
    (folder / "tables" / "rounds" / "gone.parquet").symlink_to(tmp_path / "nowhere")
    monkeypatch.setattr(results_module, "LISTINGS", 2)
    with pytest.raises(FileNotFoundError):
        results.table("rounds")


def test_rows_that_a_resume_wrote_twice_count_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=4, rounds=2)
    (folder / "tables" / "trials" / "00009.parquet").write_bytes(
        (folder / "tables" / "trials" / "00002.parquet").read_bytes()
    )
    assert [t["trial"] for t in open_results(folder).trials] == [0, 1, 2, 3]
