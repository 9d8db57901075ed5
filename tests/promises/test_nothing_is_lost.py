"""Every finished round and trial is on disk before the next one starts.

A kill -9 anywhere costs at most the round in flight.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from raysim.cli.main import main
from raysim.core.errors import UserError
from raysim.engines.serial import Serial
from raysim.experiment import to_dict
from raysim.search.plans.sweep_plan import SweepPlan
from raysim.search.trial_spec import TrialSpec
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from raysim.storage.trials import TrialRow, read_trials
from tests.experiments import small
from tests.fakes.sweeps import ONE_STUDY, toy_options, toy_space
from tests.sweep_commands import (
    FinishedSweep,
    group_members,
    left_behind,
    run_sweep,
    sweep_command,
    sweep_words,
    trial_parts,
    trial_rows,
    wait_for_parts,
    wait_for_silence,
    write_tiny_space,
)

Run = Callable[..., Simulation]
FOUR_CLASSES = {"task__classes": 4, "scenario": "even", "scenario__clients": 3}

RUN = """
import json, sys, time
from pathlib import Path
from raysim.engines.serial import Serial
from raysim.experiment import from_dict
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store

experiment = from_dict(json.loads(Path(sys.argv[1]).read_text()))
for record in Simulation(experiment, Serial(), Store(Path(sys.argv[2]), experiment)).open().rounds():
    print(record.round, flush=True)
    if record.round == 20:
        time.sleep(600)  # a slow reader must not find the run at its end
"""

KILLS = """
import json, os, signal, sys
from pathlib import Path
from raysim.engines.serial import Serial
from raysim.experiment import from_dict
from raysim.simulation.rounds import Simulation
from raysim.storage import checkpoints
from raysim.storage.store import Store

checkpoints.FLUSH_SHARE = float(sys.argv.pop())  # how many files a round writes must not depend on the time
experiment = from_dict(json.loads(Path(sys.argv[1]).read_text()))
replace, fresh = os.replace, Simulation(experiment, Serial(), Store(Path(sys.argv[2]), experiment))
fresh.engine.initial(fresh.experiment_text)  # what is warm is inherited by every child
for place in map(int, sys.argv[3:]):
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        continue
    written = []

    def dying_replace(*paths):
        written.append(paths)
        if len(written) == place:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    os.replace = dying_replace
    store = Store(Path(sys.argv[2]) / str(place), experiment)
    list(Simulation(experiment, Serial(), store).open().rounds())
"""


def rounds_on_disk(folder: Path) -> list[int]:
    return sorted(ds.dataset(folder / "tables/rounds").to_table()["round"].to_pylist())


def manifest_round(folder: Path) -> int:
    """The last round that a resume will find; -1 where there is none."""
    path = folder / "checkpoints/manifest.json"
    return int(json.loads(path.read_text())["round"]) if path.exists() else -1


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_round_is_on_disk_before_the_next_starts(tmp_path: Path) -> None:
    experiment = small(rounds=3)
    simulation = Simulation(experiment, Serial(), Store(tmp_path / "run", experiment)).open()
    for record in simulation.rounds():
        assert manifest_round(tmp_path / "run") == record.round
        assert rounds_on_disk(tmp_path / "run") == list(range(record.round + 1))
        state, privates, _ = Store(tmp_path / "run", experiment).restore() or pytest.fail("no checkpoint")
        assert state.round == record.round and set(privates) == set(simulation.privates)


def test_every_trial_is_on_disk_before_the_plan_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from raysim.search.running.tune import PlanSearcher

    plan, told = SweepPlan([toy_space(**ONE_STUDY)], toy_options(3)), []
    tell = plan.tell

    def checked_tell(spec: TrialSpec, row: TrialRow) -> None:
        told.append(spec.key)
        assert {row["key"] for row in read_trials(tmp_path, damaged="refuse").rows} == set(told)
        tell(spec, row)

    monkeypatch.setattr(plan, "tell", checked_tell)
    searcher = PlanSearcher(plan, tmp_path, lambda: None, lambda: None)
    outcome = {"state": "COMPLETE", "reason": "", "objective": 0.5, "curve": "[[20, 0.5]]", "rounds": 20}
    for number in range(100):
        if not isinstance(searcher.suggest(str(number)), dict):
            break
        searcher.on_trial_complete(str(number), {"row": json.dumps({**outcome, "wall_seconds": 1.0})})
    assert plan.next() is None and len(told) == len(plan.finished) == 5


def test_kill_9_costs_at_most_the_round_in_flight(simulate: Run, tmp_path: Path) -> None:
    experiment = small(**FOUR_CLASSES, rounds=30, evaluation__every=30)
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(experiment)))
    child = subprocess.Popen(
        [sys.executable, "-c", RUN, tmp_path / "experiment.json", tmp_path / "run"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 5:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    assert 5 <= manifest_round(tmp_path / "run") < 30
    resumed = simulate(experiment, folder=tmp_path / "run", resume=True)
    assert resumed.result()["state_sha256"] == simulate(experiment).result()["state_sha256"]


@pytest.mark.parametrize("flush_share", ["inf", "-1"], ids=["the disk is waited for", "never"])
def test_kill_9_at_any_file_of_a_round(simulate: Run, tmp_path: Path, flush_share: str) -> None:
    """Killed before a file takes its place: the rounds before are kept, the answer is the same."""
    experiment = small(**FOUR_CLASSES, rounds=3, evaluation__every=2)
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(experiment)))
    places = range(4, 24)
    done = subprocess.run(
        [sys.executable, "-c", KILLS, tmp_path / "experiment.json", tmp_path, *map(str, places), flush_share],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    expected = simulate(experiment).result()
    finished = [manifest_round(tmp_path / str(place)) for place in places]
    assert finished == sorted(finished) and {-1, 0, 1, 2} <= set(finished), finished
    for place in places:
        resumed = simulate(experiment, folder=tmp_path / str(place), resume=True).result()
        assert {**resumed, "seconds": 0} == {**expected, "seconds": 0}
        assert rounds_on_disk(tmp_path / str(place)) == [0, 1, 2, 3]


def test_an_unfinished_run_is_kept_until_somebody_says_otherwise(simulate: Run, tmp_path: Path) -> None:
    experiment, folder = small(), tmp_path / "run"
    whole = simulate(experiment).result()
    for record in Simulation(experiment, Serial(), Store(folder, experiment)).open().rounds():
        if record.round == 1:
            break
    before = contents(folder)
    with pytest.raises(
        UserError, match=r"run: holds an unfinished run of this experiment; continue it with --resume"
    ):
        Simulation(experiment, Serial(), Store(folder, experiment)).open()
    assert contents(folder) == before
    Store(folder, experiment).clear()
    fresh = Simulation(experiment, Serial(), Store(folder, experiment)).open()
    assert [record.round for record in fresh.rounds()] == [0, 1, 2, 3]
    assert fresh.result()["state_sha256"] == whole["state_sha256"]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["serial", "ray"])
def test_ctrl_c_is_130_and_the_run_goes_on(engine: str, tmp_path: Path) -> None:
    words = [
        "run",
        "fedrsclip",
        "scenario.clients=3",
        "task.shots=4",
        "rounds=400",
        "evaluation.every=400",
        "--engine",
        engine,
        "--workers",
        "1",
        "--out",
        str(tmp_path / "run"),
    ]
    child = subprocess.Popen(
        [sys.executable, "-m", "raysim", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while manifest_round(tmp_path / "run") < 3 and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(child.pid, signal.SIGINT)
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "--resume" in said and "Traceback" not in said
    assert not group_members(child.pid)
    assert 3 <= manifest_round(tmp_path / "run") < 400


def outcomes(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What must not depend on timing, order, kills or workers."""
    names = ("key", "kind", "label", "state", "params", "objective", "test_acc_personal_own")
    return sorted(tuple(str(row[name]) for name in names) for row in rows)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_killed_and_continued_sweep_is_the_same_study(
    finished_sweep: FinishedSweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    space, whole, out = finished_sweep.space, trial_rows(finished_sweep.folder), tmp_path / "out"
    child = subprocess.Popen(sweep_command(space, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_parts(out, 3)
    before = trial_rows(out)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    assert 3 <= len(before) < len(whole)
    wait_for_silence(10)
    assert main(["sweep", *sweep_words(space, out)]) == 2 and "--resume" in capsys.readouterr().err
    run_sweep(space, out, "--resume")
    after = trial_rows(out)
    assert outcomes(after) == outcomes(whole)
    assert trial_parts(out) == len(after)
    wait_for_silence()
    assert not left_behind()


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_ctrl_c_leaves_everything_readable_and_nothing_running(tmp_path: Path) -> None:
    out = tmp_path / "out"
    child = subprocess.Popen(
        sweep_command(write_tiny_space(tmp_path), out),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_parts(out, 2)
    os.killpg(child.pid, signal.SIGINT)  # a terminal sends it to all
    _, said = child.communicate(timeout=60)
    assert child.returncode == 130, said
    assert "interrupted; everything finished is on disk" in said and "--resume" in said
    assert "Traceback" not in said
    assert json.loads((out / "run.json").read_text())["status"] == "interrupted"
    assert len(trial_rows(out)) >= 2
    assert not group_members(child.pid)
