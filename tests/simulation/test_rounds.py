"""One answer: serial, Ray with 1, 2 and 4 workers, a resume, a killed worker and a used pool all give the same bits."""

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

import numpy as np
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
import torch

from raysim.core.errors import UserError
from raysim.core.types import MicroCohort, RoundRecord, Score, ServerState
from raysim.engines.serial import Serial
from raysim.experiment import Resources, to_dict
from raysim.simulation.accuracy import accuracies, cell_totals
from raysim.simulation.cohorts import micro_cohorts
from raysim.simulation.federation import Federation
from raysim.simulation.images import Images
from raysim.simulation.rounds import Simulation
from raysim.storage.files import hold
from raysim.storage.store import Store
from tests.experiments import small, smallest

Run = Callable[..., Simulation]


def toy(
    labels: list[int], parts: list[int], shards: list[list[int]], frequencies: list[list[float]]
) -> Federation:
    images = Images(np.array(labels), np.zeros(len(labels), int), np.array(parts), ("a", "b"), ("all",))
    return Federation(
        small(),
        images,
        tuple(np.array(shard) for shard in shards),
        np.array([], dtype=int),
        np.array(frequencies),
    )


def test_the_four_accuracies_on_paper() -> None:
    """Two classes, 4 and 2 validation images; the shared model gets 2 of 4 and 2 of 2; client 0 holds class a only."""
    federation = toy([0, 0, 0, 0, 1, 1], [1] * 6, [[0], [1]], [[1.0, 0.0], [0.25, 0.75]])
    shared = Score(-1, "shared", (), np.array([[2.0, 2.0]]))
    personal = {0: np.array([4.0, 0.0]), 1: np.array([2.0, 2.0])}
    summary, clients, classes = accuracies(federation, "validation", np.array([0, 1]), shared, personal)
    assert clients[0] == {
        "client": 0,
        "acc_shared_own": 0.5,
        "acc_shared_global": pytest.approx(4 / 6),
        "acc_personal_own": 1.0,
        "acc_personal_global": pytest.approx(4 / 6),
    }
    assert clients[1]["acc_personal_own"] == pytest.approx(0.25 * 0.5 + 0.75 * 1.0)
    assert summary["acc_personal_own"] == pytest.approx((1 + 0.875) / 2)
    assert summary["worst_client_accuracy"] == pytest.approx(0.875)
    assert [(row["scope"], row["correct"], row["total"]) for row in classes] == [
        ("shared", 2, 4),
        ("shared", 2, 2),
        ("personal", 3, 4),
        ("personal", 1, 2),
    ]
    assert cell_totals(federation, "validation").tolist() == [4, 2]


def test_classes_without_held_out_images_are_left_out_of_own() -> None:
    federation = toy([0, 0], [1, 1], [[0]], [[0.5, 0.5]])
    summary, _, _ = accuracies(
        federation, "validation", np.array([0]), Score(-1, "shared", (), np.array([[1.0, 0.0]])), None
    )
    assert summary["acc_shared_own"] == 0.5


def test_micro_cohorts_keep_stacks_full() -> None:
    federation = Federation.of(small())
    groups = micro_cohorts(federation, range(5), {})
    steps = [len(federation.shard(client)) // -16 for group in groups for client in group.clients]
    assert steps == sorted(steps) and [len(group.clients) for group in groups] == [3, 2]


def test_the_run_is_on_disk(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(), folder=tmp_path / "run")
    rounds = ds.dataset(tmp_path / "run/tables/rounds").to_table().sort_by("round").to_pylist()
    assert [row["round"] for row in rounds] == [0, 1, 2, 3]
    assert [row["acc_personal_own"] is not None for row in rounds] == [True, False, True, True]
    assert sum(row["bytes_up"] for row in rounds) == simulation.totals["bytes_up"] == 3 * 5 * 4 * 64 * 4
    partition = pq.read_table(tmp_path / "run/partition.parquet").to_pylist()
    train = simulation.federation.images.where("train")
    assert {row["image"] for row in partition} <= set(train.tolist())
    assert len(partition) == len({row["image"] for row in partition}) == 24 * 8
    described = json.loads((tmp_path / "run/run.json").read_text())
    assert described["status"] == "done" and described["test"] is None
    assert described["result"]["state_sha256"] == simulation.result()["state_sha256"]


def test_partial_participation_keeps_private_states(simulate: Run, tmp_path: Path) -> None:
    simulation = simulate(small(participation=0.4, rounds=4), folder=tmp_path / "run")
    clients = ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist()
    took_part = {row["client"] for row in clients if row["loss"] is not None}
    assert set(simulation.privates) == took_part and 2 <= len(took_part) <= 5
    restored = Store(tmp_path / "run", simulation.experiment).restore()
    assert restored is not None
    assert all(
        torch.equal(restored[1][client][name], tensor)
        for client, private in simulation.privates.items()
        for name, tensor in private.items()
    )


def test_a_sample_of_many_clients_is_evaluated(simulate: Run, tmp_path: Path) -> None:
    simulate(small(scenario__clients=30, evaluation__clients=4, rounds=1), folder=tmp_path / "run")
    clients = ds.dataset(tmp_path / "run/tables/clients").to_table().to_pylist()
    assert {
        row["round"]: sum(
            other["acc_personal_own"] is not None and other["round"] == row["round"] for other in clients
        )
        for row in clients
    } == {0: 4, 1: 4}


@pytest.mark.parametrize("method", ["fedrsclip", "promptfl_ft", "local"])
def test_resume_equals_uninterrupted(method: str, simulate: Run, tmp_path: Path) -> None:
    experiment = small(method=method, rounds=4, participation=0.6)
    whole = simulate(experiment).result()
    broken = Simulation(experiment, Serial(), Store(tmp_path / "broken", experiment))
    for record in broken.rounds():
        if record.round == 2:
            break
    store = Store(tmp_path / "broken", experiment)
    store.write_rows(
        RoundRecord(3, {"loss": 99.0}, [], []), "validation"
    )  # a round that was killed before its manifest
    resumed = simulate(experiment, folder=tmp_path / "broken", resume=True)
    assert resumed.result()["state_sha256"] == whole["state_sha256"]
    for name in ("bytes_up", "flops", "acc_personal_own"):
        assert resumed.result()[name] == whole[name]
    rounds = ds.dataset(tmp_path / "broken/tables/rounds").to_table().to_pylist()
    assert sorted(row["round"] for row in rounds) == [0, 1, 2, 3, 4]
    assert 99.0 not in [row["loss"] for row in rounds]


def test_kill_9_costs_at_most_the_round_in_flight(simulate: Run, tmp_path: Path) -> None:
    experiment = small(rounds=30, evaluation__every=30)
    (tmp_path / "experiment.json").write_text(json.dumps(to_dict(experiment)))
    code = (
        "import json, sys; from pathlib import Path; from raysim.experiment import from_dict\n"
        "from raysim.simulation.rounds import *; from raysim.storage.store import Store\n"
        "e = from_dict(json.loads(Path(sys.argv[1]).read_text()))\n"
        "for record in Simulation(e, Serial(), Store(Path(sys.argv[2]), e)).rounds(): print(record.round, "
        "flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "experiment.json", tmp_path / "run"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) >= 5:
            break
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=30)
    manifest = json.loads((tmp_path / "run/checkpoints/manifest.json").read_text())
    assert 5 <= manifest["round"] < 30
    resumed = simulate(experiment, folder=tmp_path / "run", resume=True)
    assert resumed.result()["state_sha256"] == simulate(experiment).result()["state_sha256"]


@pytest.mark.timeout(240)
def test_ray_gives_the_bits_of_the_serial_engine(ray_session: None, simulate: Run) -> None:
    from raysim.engines.ray_pool import RayPool

    for name in ("fedrsclip", "fedavg"):
        experiment = smallest(name, rounds=2)
        expected = simulate(experiment)
        for workers in (1, 2, 4) if name == "fedrsclip" else (2,):
            pool = RayPool(Resources(workers=workers))
            try:
                found = simulate(experiment, pool).result()
            finally:
                pool.close()
            assert found["state_sha256"] == expected.result()["state_sha256"]
            assert found["acc_personal_own"] == expected.result()["acc_personal_own"]


@pytest.mark.timeout(240)
def test_a_killed_worker_changes_nothing(ray_session: None, simulate: Run, tmp_path: Path) -> None:
    import ray

    from raysim.engines.ray_pool import RayPool

    experiment = small(rounds=4)
    pool = RayPool(Resources(workers=2))
    try:
        simulation = Simulation(experiment, pool, Store(tmp_path / "run", experiment))
        for record in simulation.rounds():
            if record.round == 1:
                os.kill(ray.get(pool.actors[1].where.remote())[0], signal.SIGKILL)
                time.sleep(0.5)
    finally:
        pool.close()
    assert simulation.result()["state_sha256"] == simulate(experiment).result()["state_sha256"]


@pytest.mark.timeout(240)
def test_the_driver_actor_yields_rounds_and_a_result(
    ray_session: None, simulate: Run, tmp_path: Path
) -> None:
    from raysim.engines.driver import run_on_ray

    experiment = small(rounds=2, resources__workers=2)
    *records, result = run_on_ray(experiment, tmp_path / "run", False, True)
    assert [record.round for record in records if isinstance(record, RoundRecord)] == [0, 1, 2]
    assert isinstance(result, dict) and 0 < result["test"]["acc_personal_own"] <= 1
    assert result["state_sha256"] == simulate(experiment).result()["state_sha256"]
    assert json.loads((tmp_path / "run/run.json").read_text())["test_opened"]


def test_more_workers_than_the_machine_can_give_are_refused(ray_session: None) -> None:
    from raysim.engines.ray_pool import reserve

    with pytest.raises(UserError, match=r"lower resources\.workers"):
        reserve(Resources(workers=1000))


def test_a_failing_client_is_named(simulate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from raysim.core.errors import ClientError, Diverged
    from raysim.methods import METHODS

    with pytest.raises(
        Diverged, match=r"round \d: the loss of client \d became infinite or NaN; lower training.lr = 100"
    ):
        simulate(small(method="fedavg", training__lr=100.0, training__epochs=5))

    def broken(*args: Any) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(METHODS["promptfl"], "loss", broken)
    with pytest.raises(ClientError, match=r"round 1, clients \d, \d, \d: ZeroDivisionError: on purpose"):
        simulate(small(method="promptfl"))


def test_two_processes_may_not_write_one_folder(tmp_path: Path) -> None:
    lock = hold(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from raysim.storage.store import hold; hold(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "run"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    lock.release()
    assert "another process is writing there" in done.stderr


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "run", small())
    with pytest.raises(UserError, match="holds run"):
        Store(tmp_path / "run", small(seed=5))


def test_stale_checkpoints_are_collected(simulate: Run, tmp_path: Path) -> None:
    simulate(small(rounds=6), folder=tmp_path / "run")
    assert [path.name for path in (tmp_path / "run/checkpoints").glob("round-*")] == [
        "round-000006.safetensors"
    ]
    state, privates, progress = Store(tmp_path / "run", small(rounds=6)).restore() or (
        ServerState(0, {}),
        {},
        {},
    )
    assert state.round == 6 and len(privates) == 5 and progress["totals"]["bytes_up"] > 0
    assert MicroCohort(0, (), ()).clients == ()


def test_some_classes_only(simulate: Run, tmp_path: Path) -> None:
    """Six evenly spaced classes: nothing of the others is trained on, measured or offered as an answer."""
    whole, some = Federation.of(small()).images, Federation.of(small(task__classes=6, scenario="even")).images
    assert some.class_names == tuple(whole.class_names[index] for index in (0, 5, 9, 14, 18, 23))
    kept = np.isin(whole.labels, [0, 5, 9, 14, 18, 23])
    assert (some.parts[kept] == whole.parts[kept]).all() and (some.parts[~kept] == -1).all()
    simulate(small(task__classes=6, scenario="even", rounds=1), folder=tmp_path / "run")
    partition = pq.read_table(tmp_path / "run/partition.parquet").to_pylist()
    assert {row["label"] for row in partition} == set(range(6)) and len(partition) == 6 * 8
    classes = ds.dataset(tmp_path / "run/tables/classes").to_table().to_pylist()
    assert {row["class_name"] for row in classes} == set(some.class_names)


def test_more_classes_than_there_are() -> None:
    with pytest.raises(UserError, match=r"task\.classes = 25 is not allowed: scenes has 24 classes"):
        Federation.of(small(task__classes=25))
