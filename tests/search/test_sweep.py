"""A real sweep of a few trials to its end, and the limits that a resumed one keeps to."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from raysim.search.sweep import original_limits
from tests.fakes.sweeps import toy_options
from tests.sweep_commands import FinishedSweep, left_behind, trial_rows, wait_for_silence


def test_a_resume_keeps_to_the_limits_of_the_start(tmp_path: Path) -> None:
    assert original_limits(tmp_path, toy_options(None, minutes=8.0), False).minutes == 8.0
    (tmp_path / "run.json").write_text(json.dumps({"trials": 20, "minutes": None}))
    resumed = original_limits(tmp_path, toy_options(None, minutes=8.0), False)
    assert (resumed.trials, resumed.minutes) == (20, None)
    longer = original_limits(tmp_path, toy_options(None, minutes=30.0), True)
    assert (longer.trials, longer.minutes) == (20, 30.0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_sweep_of_a_few_trials(finished_sweep: FinishedSweep) -> None:
    out = finished_sweep.folder
    rows = trial_rows(out)
    first = ["contrast"] * 6 + ["rival"] * 2 + ["search"] * 4
    assert [row["kind"] for row in rows[:12]] == first and {row["kind"] for row in rows[12:]} == {
        "race",
        "confirm",
        "transfer",
    }
    assert not any(row["study"].endswith(row["level"]) for row in rows if row["kind"] == "transfer")
    assert {"fedrsclip (tuned)", "zeroshot (untuned)"} <= {row["label"] for row in rows[12:]}
    assert {row["state"] for row in rows if row["factor"] != "method.s"} <= {"COMPLETE", "PRUNED"}
    described = json.loads((out / "run.json").read_text())
    assert described["status"] == "done" and [scenario["label"] for scenario in described["scenarios"]] == [
        "even",
        "dirichlet alpha=0.1",
    ]
    runs = {run for row in rows for run in row["runs"]}
    assert all(
        (out / "runs" / run / "config.json").exists() and (out / "runs" / run / "partition.parquet").exists()
        for run in runs
    )
    rounds = ds.dataset(out / "tables/rounds").to_table().to_pylist()
    assert {row["run"] for row in rounds} == runs
    page = (out / "report/index.html").read_text()
    assert "<svg" in page and "fedrsclip (tuned)" in page and "report:" in finished_sweep.printed
    wait_for_silence()
    assert not left_behind()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_trial_that_diverges_is_an_outcome(finished_sweep: FinishedSweep) -> None:
    failed = [row for row in trial_rows(finished_sweep.folder) if row["state"] == "FAIL"]
    assert {row["scenario"] for row in failed} == {"even", "dirichlet alpha=0.1"} and len(failed) == 2
    for row in failed:
        assert row["label"] == "method.s=1e+30" and row["reason"].startswith("diverged: round ")
        assert "lower training.lr" in row["reason"] and "ray::" not in row["reason"]
    assert "2 failed" in finished_sweep.printed
