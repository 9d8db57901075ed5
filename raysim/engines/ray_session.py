"""Ray for this process: the cluster that RAY_ADDRESS names, or a Ray of its own that nobody else sees.

A Ray of its own listens on 127.0.0.1, is not the one that somebody else started on the machine, and keeps its
files in a folder that is removed with it. A process that is killed removes nothing: the next one does.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
from filelock import FileLock, Timeout
from ray._private import ray_constants
from ray._private.node import Node

from raysim.core import signals
from raysim.core.errors import LostProcess, UserError
from raysim.core.machine import usable_cores
from raysim.storage.files import first_line

PORT_SECONDS = 15  # longest wait for the port of a cluster
ANSWER_SECONDS = 40  # longest wait for the Ray behind it; together less than a minute
LOCK = ".ray-of-raysim.lock"
LONGEST_BASE = 28  # bytes of a folder in which Ray's sockets still have names of at most 107 bytes
QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
UNUSED = ("start_api_server", "start_monitor", "start_log_monitor")  # of Ray's node
RAY, TUNE = "rsray", "raysim-tune"  # beginnings of the names of temporary folders
_folders: list[tuple[Path, FileLock]] = []  # temporary folders of this process, and the locks that keep them
_answered: set[str] = set()  # addresses where a Ray has answered


def cluster_address() -> str:
    """Return the address of the cluster to join; empty where Ray starts here."""
    address = os.environ.get("RAY_ADDRESS", "").strip()
    return "" if address == "local" else address


def check_cluster() -> None:
    """Check before any work that the cluster answers that RAY_ADDRESS names, if it names one; asked once.

    Raises:
        UserError: Nothing answers there, or it does not let us in.
    """
    address = cluster_address()
    if address and address not in _answered and not ray.is_initialized():
        check_answers(address)
        _answered.add(address)


def join() -> None:
    """Join the cluster that RAY_ADDRESS names.

    Raises:
        UserError: Nothing answers there, or it does not let us in.
    """
    check_cluster()
    ray.init(**QUIET)
    signals.set_handlers()  # Ray has set its own for SIGTERM


def start_own(cpus: int) -> None:
    """Start a Ray of this process, whatever else runs on the machine.

    Args:
        cpus: Number of CPUs that its tasks may reserve, at least; more where the process may use more.

    Raises:
        LostProcess: Ray did not start.
    """
    # Ray's workers yield to every other process (nice 15), so that a busy program beside them would take
    # nearly all of the time that a sweep is given
    os.environ.setdefault("RAY_worker_niceness", "0")
    # Ray listens on 127.0.0.1 only where it thinks that it is no cluster; its processes read the variable,
    # and this one has read it already
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False
    folder = str(own_folder(RAY))
    cpus = max(usable_cores(), cpus)
    try:
        with _without_helpers():
            ray.init(address="local", num_cpus=cpus, include_dashboard=False, _temp_dir=folder, **QUIET)
    except Exception as error:  # one of its processes was killed, or had no memory; Ray may raise just this
        raise LostProcess(f"Ray did not start: {first_line(error)}") from error
    signals.set_handlers()  # Ray has set its own for SIGTERM


@contextlib.contextmanager
def _without_helpers() -> Iterator[None]:
    """Leave out what a Ray of one process has no use for, while it starts.

    The dashboard's server, the autoscaler's monitor and the reader of logs take two CPU seconds of a start.
    `ray.init` has no settings for them. A version of Ray without these functions starts as it is.
    """
    starts = {name: getattr(Node, name) for name in UNUSED if hasattr(Node, name)}
    for name in starts:
        setattr(Node, name, lambda self, **settings: None)
    try:
        yield
    finally:
        for name, start in starts.items():
            setattr(Node, name, start)


def leave() -> None:
    """Leave the cluster; a Ray of this process ends with all its processes and files."""
    ray.shutdown()
    remove_own_folders(RAY, TUNE)


def raylet_is_lost() -> bool:
    """Return whether the process that starts all others has ended, of a Ray that this process started."""
    node = ray._private.worker._global_node
    return node is not None and any(
        kind == ray_constants.PROCESS_TYPE_RAYLET for kind, _ in node.dead_processes()
    )


def kill_own() -> None:
    """End the processes of a Ray of this process and remove its files, without asking Ray."""
    node = ray._private.worker._global_node
    if node is not None and not cluster_address():
        node.kill_all_processes(check_alive=False, allow_graceful=False)
    remove_own_folders(RAY, TUNE)


def remove_own_folders(*kinds: str) -> None:
    """Remove the temporary folders of this process of these kinds."""
    for folder, lock in [item for item in _folders if item[0].name.startswith(kinds)]:
        _folders.remove((folder, lock))
        for _ in range(20):  # a process that is ending may still write its log
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.05)
        lock.release()


def own_folder(kind: str) -> Path:
    """Make a temporary folder of this process, and remove those of processes that were killed.

    Args:
        kind: `RAY` or `TUNE`.
    """
    base = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir())
    if len(os.fsencode(base)) > LONGEST_BASE:  # names of sockets have 107 bytes at most
        base = Path("/tmp")
    base.mkdir(parents=True, exist_ok=True)
    for lock_file in base.glob(f"{kind}-*/{LOCK}"):  # with a lock that nobody holds: its process was killed
        with contextlib.suppress(OSError, Timeout), FileLock(lock_file, timeout=0):
            _end_processes_of(lock_file.parent)
            shutil.rmtree(lock_file.parent, ignore_errors=True)
    folder = base / f"{kind}-{os.getpid()}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:  # of a process in another namespace, with the same number
        folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=base))
    lock = FileLock(folder / LOCK)
    lock.acquire()
    _folders.append((folder, lock))
    return folder


def _end_processes_of(folder: Path) -> None:
    """End what a killed Ray has left: its two agents, which need more than a minute to see that."""
    import psutil  # Ray brings it

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(word.startswith("--") and f"={folder}/" in word for word in process.cmdline()):
                process.kill()


def check_answers(address: str) -> None:
    """Check that a Ray answers at an address, and lets this process in.

    Ray itself would try for many minutes, and could not be interrupted.

    Raises:
        UserError: It does not, within a minute.
    """
    reason = "" if address == "auto" else _port_problem(address)
    if not reason:
        words = [sys.executable, "-c", "import ray; ray.init(log_to_driver=False, logging_level='ERROR')"]
        try:
            done = subprocess.run(
                words,
                capture_output=True,
                text=True,
                timeout=ANSWER_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            reason = f"what listens there did not answer as a Ray within {ANSWER_SECONDS} s"
        else:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            reason = "" if done.returncode == 0 else (lines or ["no message"])[-1][:300]
    if reason:
        raise UserError(
            f"RAY_ADDRESS = {address}: no cluster can be joined there ({reason}). Start it (`ray up "
            "cluster.yaml`), correct the address, or unset RAY_ADDRESS to run on this machine; the cluster's "
            "token must be here too, in ~/.ray/auth_token, RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN"
        )


def _port_problem(address: str) -> str:
    """Return why no connection to HOST:PORT can be made; empty where one can."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        return "it should be HOST:PORT, for example 10.0.0.5:6379"
    end = time.monotonic() + PORT_SECONDS
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return ""
        except OSError as error:
            if time.monotonic() > end or isinstance(error, socket.gaierror):
                return f"{error.strerror or error}"
            time.sleep(1)
