"""Queries in SQL: missing tables, damaged parts, parts that vanish, views of one space, printed text."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.read import columns as declared
from analysis.read.columns import TABLES
from analysis.read.queries import Database, literal, with_values
from analysis.read.results import Results, open_results
from raysim.core.columns import MEASURED_COLUMNS, TRAFFIC_COLUMNS
from raysim.storage.run_tables import COLUMNS
from raysim.storage.trials import TRIAL_COLUMNS
from tests.fakes import results as fake_results
from tests.fakes import sensitivity as fake_sensitivity
from tests.fakes import tables as fake_tables


def run_plainly(results: Results, text: str) -> list[tuple[object, ...]]:
    """The rows that plain DuckDB gives in the result folder, in a process of its own."""
    code = "import duckdb, sys; print(duckdb.sql(sys.stdin.read()).df().to_json(orient='values'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=text,
        text=True,
        capture_output=True,
        cwd=results.folder,
        check=True,
    )
    return [tuple(row) for row in json.loads(done.stdout)]


def test_every_declared_table_can_be_read_where_it_is_missing(tmp_path: Path) -> None:
    results = open_results(fake_results.fake_run(tmp_path, tables=()))
    for name, columns in TABLES.items():
        assert results.sql(f"FROM {name}") == []
        text = f"SELECT {', '.join(f'max({c!r})' for c in columns)} FROM {name}".replace("'", '"')
        assert list(results.sql(text)[0].values()) == [None] * len(columns)
    assert results.sql("FROM scenarios") == [] and results.sql("SELECT kind FROM meta") == [{"kind": "run"}]


def test_columns_that_raysim_writes_are_declared_with_their_types() -> None:
    con = duckdb.connect()
    for name, written in {"trials": TRIAL_COLUMNS, **COLUMNS}.items():
        empty = pa.table({c: pa.array([], kind) for c, kind in written.items()})
        described = con.execute("DESCRIBE FROM empty").fetchall()
        assert {row[0]: row[1] for row in described}.items() <= TABLES[name].items(), name
        assert empty.num_rows == 0
    assert set(MEASURED_COLUMNS) <= set(declared.MEASURED) and set(TRAFFIC_COLUMNS) == set(declared.TRAFFIC)


def test_missing_columns_are_empty_and_missing_values_are_told_from_lost_ones(tmp_path: Path) -> None:
    write = fake_tables.write
    write(
        tmp_path / "tables" / "rounds" / "a.parquet", [{"run": "a", "round": 0, "split": "test", "loss": 1.0}]
    )
    write(tmp_path / "tables" / "rounds" / "b.parquet", [{"run": "b", "round": 0, "split": "test", "new": 2}])
    (tmp_path / "run.json").write_text(json.dumps({"kind": "run"}))
    rows = open_results(tmp_path).sql("SELECT run, loss, new, acc_personal_own FROM rounds ORDER BY run")
    assert [tuple(row.values()) for row in rows] == [("a", 1.0, None, None), ("b", None, 2, None)]


def test_a_damaged_part_is_left_out_and_named_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=6, rounds=2)
    whole = {row["trial"] for row in open_results(folder).sql("SELECT trial FROM trials")}
    trials = folder / "tables" / "trials"
    (trials / "00002.parquet").write_bytes(b"PAR1 cut off")
    page = bytearray((trials / "00003.parquet").read_bytes())
    page[4:80] = b"\xff" * 76  # the end of the file is whole, its data are not
    (trials / "00003.parquet").write_bytes(page)
    (trials / ".00099.parquet").write_bytes(b"being written")
    results = open_results(folder)
    for _ in range(2):
        assert {r["trial"] for r in results.sql("FROM trials")} == whole - {2, 3}
        results.forget("trials")
    assert sorted(text.split(" ")[0] for text in results.unreadable) == [
        "tables/trials/00002.parquet",
        "tables/trials/00003.parquet",
    ]
    counted = results.shown("SELECT count(*) FROM trials")
    assert run_plainly(results, counted) == [(len(whole) - 2,)]


@pytest.mark.parametrize("table", ["rounds", "classes"])
def test_parts_that_are_joined_while_a_query_runs_are_read_again(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fake_results.fake_run(tmp_path, tables=("rounds",), rounds=6)
    for file in sorted((folder / "tables" / "rounds").glob("*.parquet")):
        rows = [{**row, "scope": "shared"} for row in pq.read_table(file).to_pylist()]
        fake_tables.write(folder / "tables" / table / file.name, rows)
    home = folder / "tables" / table
    results, missing = open_results(folder), Database._missing
    (home / ".hidden.parquet").write_bytes(b"")  # so that the parts are listed by name

    def joined(self: Database, name: str, files: list[Path]) -> dict[str, str]:
        found = missing(self, name, files)
        listed = sorted(home.glob("[!.]*.parquet"))
        if len(listed) > 1:  # the parts were listed, and are joined before they are read
            everything = [row for file in listed for row in pq.read_table(file).to_pylist()]
            fake_tables.write(listed[-1], everything)
            for file in listed[:-1]:
                file.unlink()
        return found

    monkeypatch.setattr(Database, "_missing", joined)
    assert results.sql(f"SELECT list(round ORDER BY round) AS r FROM {table}") == [{"r": list(range(7))}]
    assert results.unreadable == []


def test_rows_that_are_there_twice_count_once(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=4, rounds=2)
    for table in ("trials", "rounds"):
        home = folder / "tables" / table
        (home / "00009.parquet").write_bytes((home / "00002.parquet").read_bytes())
    results = open_results(folder)
    assert [row["trial"] for row in results.sql("FROM trials ORDER BY trial")] == [0, 1, 2, 3]
    counted = results.sql(
        "SELECT count(*) AS n, count(DISTINCT (run, round, split)) AS distinct_n FROM rounds"
    )
    assert counted[0]["n"] == counted[0]["distinct_n"] > 0


def test_a_view_of_a_space_has_its_trials_alone_also_in_print(tmp_path: Path) -> None:
    folder = fake_sensitivity.write(
        tmp_path, fake_sensitivity.full("m", "m"), fake_sensitivity.full("other", "other")
    )
    views = open_results(folder).views()
    text = "SELECT study, count(*) AS n FROM trials GROUP BY ALL ORDER BY ALL"
    for view, space in zip(views, ("m", "other"), strict=True):
        rows = view.sql(text)
        assert rows and all(row["study"].startswith(f"{space} ") for row in rows)
        assert run_plainly(view, view.shown(text)) == [(row["study"], row["n"]) for row in rows]


def test_the_printed_text_is_the_text_that_ran(full_sweep: Path) -> None:
    results = open_results(full_sweep)
    text = """WITH seeds AS (
  SELECT scenario, label, unnest(acc_personal_own) AS y FROM trials WHERE kind = $kind)
SELECT s.place, label, avg(y) AS mean FROM seeds JOIN scenarios s USING (scenario)
WHERE label IN $labels GROUP BY ALL ORDER BY ALL"""
    values = {"kind": "rival", "labels": ["near", "it's"]}
    rows = results.sql(text, **values)
    assert rows and set(rows[0]) == {"place", "label", "mean"}
    printed = run_plainly(results, results.shown(text, **values))
    assert [(p, name, pytest.approx(mean)) for p, name, mean in printed] == [tuple(r.values()) for r in rows]
    levels = results.sql("SELECT path, level FROM factors WHERE is_anchor")
    assert {row["path"] for row in levels} <= {row["path"] for row in results.sql("SELECT path FROM factors")}


def test_values_are_written_as_sql() -> None:
    assert with_values("$a + $ab", {"a": 1, "ab": "it's"}) == "1 + 'it''s'"
    assert literal([None, True, 0.5, [1]]) == "[NULL, true, 0.5, [1]]"
    assert duckdb.sql(f"SELECT isnan({literal(float('nan'))})").fetchall() == [(True,)]
    with pytest.raises(KeyError, match="kind"):
        with_values("SELECT $kind", {})


def test_nothing_of_a_report_loads_duckdb_before_a_query() -> None:
    code = "import analysis.report, sys; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_partitions_and_runs_are_tables_without_the_damaged_ones(tmp_path: Path) -> None:
    folder = fake_results.fake_sweep(tmp_path, search=1, stop=2, rounds=2)
    homes = sorted((folder / "runs").iterdir())
    (homes[0] / "run.json").write_text("{ cut off")
    (homes[1] / "partition.parquet").write_bytes(b"PAR1")
    results = open_results(folder)
    for table, left_out in (("runs", homes[0]), ("partition", homes[1])):
        text = f"SELECT DISTINCT run FROM {table} ORDER BY run"
        found = [row["run"] for row in results.sql(text)]
        assert found == [home.name for home in homes if home != left_out]
        assert run_plainly(results, results.shown(text)) == [(run,) for run in found]
    assert len(results.unreadable) == 2
    alone = open_results(fake_results.fake_run(tmp_path / "run"))
    assert alone.sql("SELECT run, status FROM runs") == [{"run": "0123456789ab", "status": "done"}]
    assert alone.sql("SELECT count(*) > 0 AS there, any_value(run) AS run FROM partition") == [
        {"there": True, "run": None}
    ]


def test_numbers_are_added_in_one_order(tmp_path: Path) -> None:
    """Several threads add in another order each time, and the last digit of a mean would change."""
    results = open_results(fake_results.fake_run(tmp_path, tables=()))
    assert results.sql("SELECT current_setting('threads') AS threads") == [{"threads": 1}]
