"""The same experiment gives the same bits on the serial engine and on Ray, with any number of workers.

So does a run that was stopped and resumed, and a run one of whose workers was killed. Resources are no part
of an experiment's identity.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from raysim.cli.main import main
from raysim.core.types import RoundRecord, StoredState, nbytes
from raysim.engines import ray_pool
from raysim.engines.ray_pool import RayPool
from raysim.engines.serial import Serial
from raysim.experiment.records import identity
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.experiments import QUICK_WORDS, four_clients, small, smallest

Run = Callable[..., Simulation]
PoolOf = Callable[[int], RayPool]


def test_resources_are_no_part_of_the_identity() -> None:
    one = small(resources__workers=1)
    for change in ({"workers": 4}, {"cpus": 2.0}, {"gpus": 0.5}):
        other = small(**{f"resources__{name}": value for name, value in change.items()})
        assert other.id == one.id and identity(other) == identity(one)


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_ray_gives_the_bits_of_the_serial_engine(simulate: Run, pool_of: PoolOf) -> None:
    for name in ("fedrsclip", "fedavg"):
        experiment = smallest(name, rounds=2)
        expected = simulate(experiment)
        for workers in (1, 2, 4) if name == "fedrsclip" else (2,):
            found = simulate(experiment, pool_of(workers)).result()
            assert found["state_sha256"] == expected.result()["state_sha256"]
            assert found["acc_personal_own"] == expected.result()["acc_personal_own"]


@pytest.mark.slow
def test_ray_gives_the_bits_of_the_serial_engine_for_safe(simulate: Run, pool_of: PoolOf) -> None:
    """With BatchNorm, embeddings, noise, large private states, and shared tensors that are streamed."""
    experiment = four_clients(method__width=32, method__autoscale=0.7, rounds=2, evaluation__every=2)
    serial = simulate(experiment)
    assert (
        nbytes(serial.state.shared) > ray_pool.STREAMED_BYTES and len(list(serial.store.vault.iterdir())) == 4
    )
    found = simulate(experiment, engine=pool_of(2)).result()
    assert found["state_sha256"] == serial.result()["state_sha256"]
    assert found["acc_personal_own"] == serial.result()["acc_personal_own"]


@pytest.mark.slow
def test_any_worker_serves_any_client_with_a_large_private_state(
    simulate: Run, pool_of: PoolOf, miniature: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 private tokens of width 512 are 80 KB: a large state, kept as a file that all workers read."""
    monkeypatch.setenv("RAYSIM_CACHE", str(tmp_path / "cache"))
    task = {
        "task__dataset": "folder",
        "task__path": str(miniature),
        "task__backbone": "ViT-B-32/random",
        "task__shots": None,
    }
    private = {"method__h_p": 40, "method__private_init": "random", "method__w_dpa": 0, "method__w_ot": 0}
    experiment = small(
        **task, **private, scenario="even", scenario__clients=2, rounds=2, training__micro_cohort=1
    )
    serial = simulate(experiment)
    parallel = simulate(experiment, engine=pool_of(2))
    assert all(isinstance(state, StoredState) for state in parallel.privates.values())
    assert parallel.result()["state_sha256"] == serial.result()["state_sha256"]


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_killed_worker_changes_nothing(simulate: Run, pool_of: PoolOf, tmp_path: Path) -> None:
    import ray

    experiment, pool = small(rounds=4), pool_of(2)
    simulation = Simulation(experiment, pool, Store(tmp_path / "run", experiment)).open()
    victim = ray.get(pool.actors[1].place.remote())[0]
    for record in simulation.rounds():
        if record.round == 1:
            os.kill(victim, signal.SIGKILL)
            time.sleep(0.5)
    assert ray.get(pool.actors[1].place.remote())[0] != victim
    assert simulation.result()["state_sha256"] == simulate(experiment).result()["state_sha256"]


@pytest.mark.slow
def test_a_worker_killed_while_streaming_changes_nothing(simulate: Run, pool_of: PoolOf) -> None:
    import ray

    experiment = four_clients(method__width=32, rounds=3, evaluation__every=3, training__epochs=2)
    expected = simulate(experiment).result()["state_sha256"]
    pool = pool_of(2)
    victim = ray.get(pool.actors[0].place.remote())[0]
    pool.initial(identity(experiment))
    timer = threading.Timer(1.0, os.kill, (victim, signal.SIGKILL))
    timer.start()
    found = simulate(experiment, engine=pool).result()["state_sha256"]
    timer.join()
    assert ray.get(pool.actors[0].place.remote())[0] != victim
    assert found == expected


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_command_gives_one_answer_on_both_engines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`raysim run` on Ray; the test split is opened by the serial engine afterwards."""
    words = ["run", "fedrsclip", *QUICK_WORDS, "--workers", "2", "--json"]
    serial, on_ray = str(tmp_path / "serial"), str(tmp_path / "ray")
    done = subprocess.run(
        [sys.executable, "-m", "raysim", *words, "--engine", "ray", "--out", on_ray],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert main([*words, "--engine", "serial", "--out", serial]) == 0
    expected = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert len(found["state_sha256"]) == 64
    assert {**found, "seconds": 0} == {**expected, "seconds": 0}
    assert (tmp_path / "ray/report/index.html").exists()
    assert main([*words, "--engine", "serial", "--out", on_ray, "--resume", "--open-test"]) == 0
    opened = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert opened["state_sha256"] == found["state_sha256"] and opened["test"]["acc_personal_own"] > 0
    assert json.loads((tmp_path / "ray/run.json").read_text())["test_opened"]


@pytest.mark.parametrize("method", ["fedrsclip", "promptfl_ft", "local"])
def test_resume_equals_uninterrupted(method: str, simulate: Run, tmp_path: Path) -> None:
    experiment = small(method=method, rounds=4, participation=0.6)
    whole = simulate(experiment).result()
    broken = Simulation(experiment, Serial(), Store(tmp_path / "broken", experiment)).open()
    for record in broken.rounds():
        if record.round == 2:
            break
    store = Store(tmp_path / "broken", experiment)
    store.write_rows(
        RoundRecord(round=3, row={"loss": 99.0}, clients=[], classes=[]), "validation"
    )  # a round that was killed before its manifest
    resumed = simulate(experiment, folder=tmp_path / "broken", resume=True)
    assert resumed.result()["state_sha256"] == whole["state_sha256"]
    for name in ("bytes_up", "flops", "acc_personal_own"):
        assert resumed.result()[name] == whole[name]
    rounds = ds.dataset(tmp_path / "broken/tables/rounds").to_table().to_pylist()
    assert sorted(row["round"] for row in rounds) == [0, 1, 2, 3, 4]
    assert 99.0 not in [row["loss"] for row in rounds]


@pytest.mark.parametrize(
    "changes",
    [{}, {"method__norm": "group", "method__autoscale": 0.7}, {"method__network": "cnn+small_resnet"}],
)
def test_resume_equals_uninterrupted_for_safe(changes: dict[str, Any], simulate: Run, tmp_path: Path) -> None:
    experiment = four_clients(participation=0.5, rounds=4, evaluation__every=2, **changes)
    whole = simulate(experiment).result()
    begun = Simulation(experiment, Serial(), Store(tmp_path / "cut", experiment)).open().rounds()
    for _ in range(3):
        next(begun)
    again = simulate(experiment, folder=tmp_path / "cut", resume=True).result()
    assert {name: again[name] for name in again if name != "seconds"} == {
        name: whole[name] for name in whole if name != "seconds"
    }
