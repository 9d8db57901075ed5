"""Ray of one's own beside others, and clusters that do not answer."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ray
from filelock import FileLock
from ray._private.node import Node

from raysim.core.errors import LostProcess, UserError
from raysim.engines import ray_session
from raysim.engines.ray_pool import RayPool


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1", "127.0.0.1:0", ":6379"])
def test_an_address_that_is_none_is_refused_at_once(address: str) -> None:
    with pytest.raises(UserError, match=r"RAY_ADDRESS = .*should be HOST:PORT.*token"):
        ray_session.check_answers(address)


def test_a_port_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_session, "PORT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UserError, match=rf"RAY_ADDRESS = 127.0.0.1:{port}: .*refused"):
        ray_session.check_answers(f"127.0.0.1:{port}")


def test_a_port_where_no_ray_answers_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_session, "ANSWER_SECONDS", 1)
    started = time.monotonic()
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(UserError, match="did not answer as a Ray within 1 s"),
    ):
        ray_session.check_answers(f"127.0.0.1:{server.getsockname()[1]}")
    assert time.monotonic() - started < 20


def test_local_is_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, address in (("local", ""), (" ", ""), ("10.0.0.5:6379", "10.0.0.5:6379")):
        monkeypatch.setenv("RAY_ADDRESS", value)
        assert ray_session.cluster_address() == address


def test_folders_of_killed_processes_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Path("/tmp") / f"t{time.time_ns() % 10**8}"  # short: names of sockets have 107 bytes
    monkeypatch.setenv("RAY_TMPDIR", str(base))
    monkeypatch.setattr(ray_session, "_folders", [])
    for name in ("rsray-1", "rsray-2", "rsray-3"):
        (base / name).mkdir(parents=True)
    (base / "rsray-1" / ray_session.LOCK).touch()
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    words = {"agent": f"--log-dir={base}/rsray-1/logs", "reader": f"{base}/rsray-1/logs"}
    words |= {"other": f"--log-dir={base}/rsray-2/logs"}
    processes = {name: subprocess.Popen([*program, word]) for name, word in words.items()}
    with FileLock(base / "rsray-2" / ray_session.LOCK):
        folder = ray_session.own_folder(ray_session.RAY)
        names = {path.name for path in base.iterdir()}
    assert names == {"rsray-2", "rsray-3", folder.name} and folder.parent == base
    assert processes.pop("agent").wait(10) == -signal.SIGKILL
    assert all(process.poll() is None for process in processes.values())
    for process in processes.values():
        process.kill()
        process.wait()
    ray_session.remove_own_folders(ray_session.RAY)
    assert not folder.exists()
    for path in sorted(base.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    base.rmdir()


def test_a_long_temporary_folder_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("long" * 20)))
    monkeypatch.setattr(ray_session, "_folders", [])
    assert ray_session.own_folder(ray_session.RAY).parent == Path("/tmp")
    ray_session.remove_own_folders(ray_session.RAY)


@pytest.mark.parametrize("kind", [RuntimeError, Exception])  # what Ray raises where its raylet is killed
def test_a_ray_that_does_not_start_is_a_lost_process(
    kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise kind("Timed out waiting for file gcs_server_port\nand more")

    monkeypatch.setattr(ray_session, "_folders", [])
    monkeypatch.setattr(ray_session.ray, "init", fail)
    monkeypatch.setenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    with pytest.raises(LostProcess, match=r"Ray did not start: Timed out waiting for file gcs_server_port$"):
        ray_session.start_own(1)
    ray_session.remove_own_folders(ray_session.RAY)


def test_a_cluster_is_asked_once_and_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(ray_session, "check_answers", asked.append)
    monkeypatch.setattr(ray_session, "_answered", set())
    monkeypatch.setattr(ray_session.ray, "is_initialized", lambda: False)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    ray_session.check_cluster()
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.5:6379")
    for _ in range(2):
        ray_session.check_cluster()
    assert asked == ["10.0.0.5:6379"]


def test_a_ray_of_this_process_starts_what_it_uses(four_workers: RayPool) -> None:
    """The dashboard's server and two monitors would take two CPU seconds of every start."""
    assert set(ray._private.worker._global_node.all_processes) == {"gcs_server", "raylet"}
    assert all(getattr(Node, name).__name__ == name for name in ray_session.UNUSED), "as they were"
