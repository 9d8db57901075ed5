"""The table of trials: typed columns, one reader, damaged parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from raysim.core.columns import FLOPS_COLUMNS, MEASURED_COLUMNS, TRAFFIC_COLUMNS
from raysim.core.errors import UserError
from raysim.storage.trials import (
    TRIAL_COLUMNS,
    TrialRow,
    complete_row,
    latest_rows,
    mean_of,
    read_trials,
    trials_folder,
    write_trial,
)


def row(trial: int, key: str = "", **more: Any) -> TrialRow:
    columns = {"key": key or f"key{trial}", "trial": trial, "state": "COMPLETE", "finished": float(trial)}
    return complete_row({**columns, **more})


def test_columns_are_those_on_disk() -> None:
    text = {"key", "study", "method", "scenario", "kind", "label", "state", "reason", "space", "tuning"}
    text |= {"factor", "level", "factor2", "level2", "params", "experiment", "curve", "violated"}
    lists = {*MEASURED_COLUMNS, *(f"test_{name}" for name in MEASURED_COLUMNS)}
    expected = {
        **dict.fromkeys(text, pa.string()),
        **dict.fromkeys(("point", "trial", "number", "rounds", "patches"), pa.int32()),
        **dict.fromkeys((*TRAFFIC_COLUMNS, "bytes_setup", "shared_parameters"), pa.int64()),
        **dict.fromkeys(("finished", "objective", *FLOPS_COLUMNS), pa.float64()),
        **dict.fromkeys(("seconds", "wall_seconds", "startup_seconds"), pa.float64()),
        **dict.fromkeys((*lists, "unit"), pa.list_(pa.float64())),
        "runs": pa.list_(pa.string()),
        "outcomes": pa.list_(pa.string()),
        "seeds": pa.list_(pa.int64()),
    }
    assert expected == TRIAL_COLUMNS


def test_a_row_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = [row(1, seeds=[0, 1], acc_personal_own=[0.25, 0.75], bytes_up=100), row(0, unit=[0.5])]
    for one in written:
        write_trial(tmp_path, one)
    table = read_trials(tmp_path, damaged="refuse")
    assert table.rows == [written[1], written[0]] and not table.damaged_parts
    assert mean_of(table.rows[1], "acc_personal_own") == 0.5 and mean_of(table.rows[1], "bytes_up") == 100
    assert mean_of(table.rows[0], "acc_personal_own") is None and mean_of(table.rows[0], "flops") is None


def test_an_older_part_has_every_column_and_keeps_its_own(tmp_path: Path) -> None:
    folder = trials_folder(tmp_path)
    folder.mkdir(parents=True)
    pq.write_table(
        pa.table({"key": ["a"], "trial": [3], "finished": [1.0], "extra": [7]}), folder / "a.parquet"
    )
    [old] = read_trials(tmp_path, damaged="refuse").rows
    assert old["factor2"] is None and set(TRIAL_COLUMNS) < set(old) and old["extra"] == 7  # type: ignore[typeddict-item]


def test_of_a_trial_that_was_run_again_the_last_row_counts(tmp_path: Path) -> None:
    for one in (row(24, "a", finished=1.0, state="FAIL"), row(20, "a", finished=5.0), row(22)):
        write_trial(tmp_path, one)
    assert [one["trial"] for one in read_trials(tmp_path, damaged="leave out").rows] == [20, 22]
    assert [one["trial"] for one in latest_rows([row(3, "a"), row(4, "a", finished=None)])] == [3]


def test_an_empty_folder_has_no_trials(tmp_path: Path) -> None:
    assert read_trials(tmp_path, damaged="refuse").rows == []


def test_damaged_parts_are_left_out_and_named_or_refused(tmp_path: Path) -> None:
    write_trial(tmp_path, row(0))
    write_trial(tmp_path, row(1))
    whole = (trials_folder(tmp_path) / "000001-key1.parquet").read_bytes()
    (trials_folder(tmp_path) / "000001-key1.parquet").write_bytes(whole[: len(whole) // 2])
    (trials_folder(tmp_path) / "000002-key2.parquet").write_bytes(b"")
    table = read_trials(tmp_path, damaged="leave out")
    assert [one["trial"] for one in table.rows] == [0] and len(table.damaged_parts) == 2
    with pytest.raises(UserError) as error:
        read_trials(tmp_path, damaged="refuse")
    for name, sentence in zip(("000001-key1", "000002-key2"), table.damaged_parts, strict=True):
        assert f"{name}.parquet is damaged" in sentence and "remove this file" in sentence
        assert sentence in str(error.value)
