"""The reader of result folders: what is damaged is left out and named, the rest is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis import write_report
from analysis.read.files import DamagedFile, read_object, read_table
from analysis.read.results import NoResult, open_results
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


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"scenarios": 3}, "in run.json scenarios is 3, it should be a list"),
        ({"search": [1]}, "in run.json search is [1], it should be an object"),
    ],
)
def test_an_edited_run_json_is_named(values: dict[str, object], said: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"kind": "sweep", **values}))
    with pytest.raises(NoResult, match=re.escape(said)):
        open_results(tmp_path)


def test_run_json_of_another_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"id": "a" * 12}))
    (tmp_path / "run.json").write_text(json.dumps({"kind": "run", "id": "b" * 12}))
    with pytest.raises(NoResult, match=r"run\.json is of run bbbbbbbbbbbb, config\.json of run aaaaaaaaaaaa"):
        open_results(tmp_path)


def test_parts_of_other_runs_and_links_to_nowhere_are_left_out_and_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"kind": "run", "id": "a" * 12}))
    parts = tmp_path / "tables/rounds"
    parts.mkdir(parents=True)
    for number, run in enumerate(("a" * 12, "b" * 12)):
        columns = {"run": [run], "round": [number], "split": ["validation"]}
        pq.write_table(pa.table(columns), parts / f"{'a' * 12}-{number:06d}-validation.parquet")
    (parts / f"{'a' * 12}-000002-validation.parquet").symlink_to(tmp_path / "nowhere")
    results = open_results(tmp_path)
    assert [row["round"] for row in results.sql("FROM rounds")] == [0]
    assert sorted(results.unreadable) == [
        "tables/rounds/aaaaaaaaaaaa-000001-validation.parquet (its rows are of run bbbbbbbbbbbb)",
        "tables/rounds/aaaaaaaaaaaa-000002-validation.parquet (it is a link that leads nowhere)",
    ]
