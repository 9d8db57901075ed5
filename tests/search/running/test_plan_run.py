"""The steps that a sweep and a stress run have in common, without Ray."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.table import Table

from raysim.core.errors import UserError
from raysim.search.plans.protocol import Plan
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.running import plan_run
from raysim.search.running.plan_run import PlanSetup, run_plan
from raysim.storage.files import lock_folder, write_json
from raysim.storage.trials import TrialRow, trials_folder, write_trial
from raysim.stress.plan import StressPlan
from tests.fakes.stress import stress_options
from tests.fakes.sweeps import ONE_STUDY, rows_by_key, run_to_end, toy_options, toy_space

NEW = {"id": "abc", "kind": "sweep"}


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The records that were given to Tune, in place of which plans run to their end with made-up outcomes."""
    given: list[dict[str, Any]] = []

    def execute(plan: Plan, folder: Path, record: Mapping[str, Any], *more: Any, **options: Any) -> None:
        given.append(dict(record))
        run_to_end(plan)

    monkeypatch.setattr(plan_run, "execute", execute)
    return given


def setup_of(prepared: list[Plan]) -> PlanSetup[SweepPlan]:
    def make_plan(record: Mapping[str, Any], rows: list[TrialRow]) -> SweepPlan:
        return SweepPlan([toy_space(**ONE_STUDY)], toy_options(2), {row["key"]: row for row in rows})

    def prepare(plan: SweepPlan) -> dict[str, Any]:
        prepared.append(plan)
        return {"anchor": "toy"}

    return PlanSetup(
        new_record=NEW,
        identity="--seeds",
        make_plan=make_plan,
        prepare=prepare,
        panel=lambda plan: Table(),
        status_line=lambda plan: "",
    )


def test_a_new_run_is_described_and_its_folder_is_free_again(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    plan = run_plan(
        setup_of([]), tmp_path, resume=False, quiet=True, started=time.monotonic(), command="raysim sweep toy"
    )
    [record] = records
    assert NEW.items() <= record.items() and record["anchor"] == "toy" and record["status"] == "running"
    assert record["command"] == "raysim sweep toy" and record["slots"] == 2 and record["started"]
    assert [row["kind"] for row in plan.finished] == ["contrast", "search", "search", "confirm"]
    lock_folder(tmp_path).release()


def test_a_resumed_run_keeps_its_start_its_time_and_its_rows(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    first = run_plan(
        setup_of([]), tmp_path, resume=False, quiet=True, started=time.monotonic(), command="first"
    )
    write_json(
        tmp_path / "run.json", {**records[0], "status": "interrupted", "seconds": 100.0, "started": "s"}
    )
    for row in first.finished:
        write_trial(tmp_path, row)
    second = run_plan(
        setup_of([]), tmp_path, resume=True, quiet=True, started=time.monotonic(), command="second"
    )
    assert (records[1]["started"], records[1]["command"]) == ("s", "second") and second.budget.elapsed >= 100
    assert second.stored == rows_by_key(first) == rows_by_key(second)


def test_a_damaged_part_is_refused_before_any_work(records: list[dict[str, Any]], tmp_path: Path) -> None:
    write_json(tmp_path / "run.json", {**NEW, "status": "interrupted"})
    trials_folder(tmp_path).mkdir(parents=True)
    (trials_folder(tmp_path) / "000003-key.parquet").write_bytes(b"half a file")
    prepared: list[Plan] = []
    with pytest.raises(UserError, match=r"000003-key\.parquet is damaged .*remove this file, and --resume"):
        run_plan(setup_of(prepared), tmp_path, resume=True, quiet=True, started=time.monotonic(), command="")
    assert not prepared and not records
    lock_folder(tmp_path).release()


def test_both_plans_follow_the_protocol() -> None:
    """mypy checks the types; here the members are there when the program runs."""
    plans: list[Plan] = [
        SweepPlan([toy_space(**ONE_STUDY)], toy_options(1)),
        StressPlan([toy_space(**ONE_STUDY)], stress_options()),
    ]
    members = [name for name in vars(Plan) if not name.startswith("_")]
    assert len(members) == 13
    for plan in plans:
        assert all(hasattr(plan, name) for name in members)
