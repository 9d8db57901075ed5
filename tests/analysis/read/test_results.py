"""The reader of result folders: what is damaged is left out and named, the rest is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis import write_report
from analysis.read.files import DamagedFile, read_object, read_table
from analysis.read.results import open_results
from tests.fakes import results as fake_results
from tests.fakes import safe as fake_safe
from tests.fakes import tables as fake_tables
from tests.fakes.whole import whole_sweep


def test_a_damaged_run_json_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    made = fake_safe.safe_recipe(tmp_path, [])
    damaged = sorted(tmp_path.glob("runs/*/run.json"))[0]
    damaged.write_text("{ cut off")
    results = open_results(tmp_path)
    assert results.run_meta(damaged.parent.name) == {} and results.run_meta("not-there-yet") == {}
    named = f"runs/{damaged.parent.name}/run.json ("
    assert [text.startswith(named) for text in results.unreadable] == [True]
    page = write_report(made.folder).read_text(encoding="utf-8")
    assert f"cannot be read: {named}" in page


@pytest.mark.parametrize("text", ["{ cut off", "[1, 2]", ""])
def test_a_file_that_is_no_object_is_damaged(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert read_object(path) == {}
    path.write_text(text)
    with pytest.raises(DamagedFile, match=r".+"):
        read_object(path)


def test_a_table_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "0.parquet"
    with pytest.raises(FileNotFoundError):
        read_table(path)
    fake_tables.write(path, [{"a": 1, "b": 2}])
    assert read_table(path).to_pylist() == [{"a": 1, "b": 2}]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(DamagedFile, match=r".+"):
        read_table(path)


def test_all_damaged_parts_are_named_or_counted(tmp_path: Path) -> None:
    folder = fake_results.fake_run(tmp_path, rounds=12)
    for path in sorted((folder / "tables" / "rounds").glob("*.parquet"))[:7]:
        path.write_bytes(b"PAR1")
    page = write_report(folder).read_text(encoding="utf-8")
    assert "tables/rounds/00004.parquet (" in page and "tables/rounds/00005.parquet (" not in page
    assert "and 2 others." in page


def test_a_folder_whose_name_is_a_pattern_is_read_as_it_is_named(tmp_path: Path) -> None:
    """DuckDB takes brackets, stars and question marks in a path for a pattern."""
    first, second = (whole_sweep(tmp_path / name, seed=seed) for seed, name in enumerate(("run1", "run[1]")))
    odd = whole_sweep(tmp_path / "what? [a]* 100%", seed=2)
    values = [
        [row["objective"] for row in open_results(folder).sql("SELECT objective FROM trials ORDER BY trial")]
        for folder in (first, second, odd)
    ]
    assert len(values[0]) == len(values[1]) == len(values[2]) > 40
    assert values[0] != values[1] != values[2]
