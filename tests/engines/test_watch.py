"""The watch over processes: one that has stopped is named and ended, and the answer stays what it was."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray

from raysim.core.errors import LostProcess, UserError
from raysim.engines import watch
from raysim.engines.ray_session import raylet_is_lost
from raysim.engines.watch import Sign, Watch
from raysim.experiment import Experiment, override
from raysim.experiment.records import identity_values
from raysim.simulation.rounds import Simulation
from raysim.storage.store import Store
from tests.experiments import small

Run = Callable[..., Simulation]
STILL = Sign(start=1, cpu=5, wakes=7, state="S", host="there")


@pytest.mark.timeout(120)
def test_the_work_of_a_stopped_client_actor_is_repeated(
    ray_session: None, simulate: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import ray

    from raysim.engines.ray_pool import RayPool
    from raysim.experiment import Resources

    experiment = small(rounds=4)
    pool = RayPool(Resources(workers=2, cpus=0.5)).start()
    pids = [pid for pid, _, _ in ray.get([actor.place.remote() for actor in pool.actors])]
    try:
        with Watch(patience=4):
            simulation = Simulation(experiment, pool, Store(tmp_path / "run", experiment)).open()
            for record in simulation.rounds():
                if record.round == 1:
                    os.kill(pids[1], signal.SIGSTOP)
        alive = [pid for pid, _, _ in ray.get([actor.place.remote() for actor in pool.actors])]
    finally:
        pool.close()
    assert simulation.result()["state_sha256"] == simulate(experiment).result()["state_sha256"]
    assert alive[0] == pids[0] and alive[1] != pids[1]  # the one that only waited lives
    said = capsys.readouterr().err
    assert f"the client actor (process {pids[1]} on " in said and "a signal has stopped it" in said


class Looks(Watch):
    """A watch over given processes, one sign of each per look; remembers which it ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: list[dict[int, Sign]]) -> None:
        super().__init__(6)
        rows = {
            str(pid): {
                "State": "ALIVE", "Pid": pid, "ActorClassName": "Driver", "Address": {"NodeID": "node"}
            }
            for pid in {pid for signs in looks for pid in signs}
        }  # fmt: skip
        monkeypatch.setattr(watch, "actor_table", lambda job_id: rows)
        monkeypatch.setattr(watch.ray.util, "placement_group_table", dict)
        self._job, self.looks, self.ended = None, iter(looks), list[int]()

    def _ask(self, node: str, function: Callable[..., Any], *arguments: Any) -> Any:
        if function is watch.end:
            self.ended.append(arguments[0])
            return {}
        return next(self.looks)


def test_only_who_does_not_move_for_the_whole_patience_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    moving = [{1: STILL._replace(cpu=look), 2: STILL._replace(wakes=look), 3: STILL} for look in range(8)]
    looks = Looks(monkeypatch, moving)
    for _ in range(6):
        looks.look()
    assert looks.ended == []
    looks.look()
    assert looks.ended == [3]


def test_a_process_under_a_debugger_and_a_node_that_does_not_answer_are_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    traced = [{1: STILL._replace(state="t")}] * 9
    silent: list[dict[int, Sign]] = [{1: STILL}, *[{}] * 8]
    for signs in (traced, silent):
        looks = Looks(monkeypatch, signs)
        for _ in signs:
            looks.look()
        assert looks.ended == []


def test_only_workers_of_ray_have_signs_and_can_be_ended() -> None:
    assert watch.signs([os.getpid(), 2**22 + 1]) == {}
    watch.end(os.getpid(), 0)  # this process would not come back


def test_what_ray_has_not_given_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looks = Looks(monkeypatch, [{}] * 80)
    groups = {
        name: {"state": "PENDING", "name": name, "bundles": {0: {"CPU": cpus}}}
        for name, cpus in (("", 64.0), (watch.OWN_GROUP, 32.0))
    }
    rows = {"b": {"State": "RESTARTING", "Pid": 0, "ActorClassName": "ClientActor"}}
    monkeypatch.setattr(watch.ray.util, "placement_group_table", lambda: groups)
    monkeypatch.setattr(watch, "actor_table", lambda job_id: rows)
    for _ in range(25):  # a look stands for a second
        looks.look()
    said = capsys.readouterr().err
    assert said.count("waiting for Ray to start 1 process, for 20 s") == 1
    assert said.count("waiting for Ray to reserve [{'CPU': 64.0}] for a trial, for 20 s") == 1
    assert "32" not in said  # `reserve` says it
    rows["c"] = {"State": "ALIVE", "Pid": 0, "ActorClassName": "ResourceTrainable"}
    for _ in range(20):
        looks.look()
    said = capsys.readouterr().err
    assert "start 1 process" in said and "64" not in said  # trials run: Tune prepares what comes later


def test_the_patience_is_no_part_of_an_id_and_has_a_least_value() -> None:
    assert override(Experiment(), {"resources.patience": 7}).id == Experiment().id
    assert "patience" not in identity_values(Experiment())["resources"]  # the id of a sweep has resources
    with pytest.raises(UserError, match=r"resources\.patience = 2.* should be 0 or at least 5 seconds"):
        override(Experiment(), {"resources.patience": 2})


def test_a_lost_raylet_ends_the_work(ray_session: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray itself would end this process without a word when it next asks the raylet for something."""
    assert not raylet_is_lost()  # the one of this session
    ended = subprocess.Popen(["true"])
    ended.wait()
    node = SimpleNamespace(dead_processes=lambda: [("raylet", ended)], kill_all_processes=pytest.fail)
    watch = Watch(60)
    watch.interval = 0.05
    with (
        pytest.raises(LostProcess, match=r"^Ray's process that starts the others \(raylet\) was lost$"),
        watch,
    ):
        monkeypatch.setattr(ray._private.worker, "_global_node", node)
        for _ in range(200):
            time.sleep(0.1)


def test_other_processes_of_ray_are_no_raylet(monkeypatch: pytest.MonkeyPatch) -> None:
    for node in (None, SimpleNamespace(dead_processes=lambda: [("log_monitor", None)])):
        monkeypatch.setattr(ray._private.worker, "_global_node", node)
        assert not raylet_is_lost()
