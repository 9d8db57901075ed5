"""A watch over the processes of a run: one that no longer moves is named and ended, its work is repeated.

A process can stop without dying: SIGSTOP, a network mount that does not answer. Ray waits for it for ever.
How long a step may take is not known: the first one loads weights and encodes images. So it is not timed.
What is looked at is whether the main thread still moves: its CPU time and its wake-ups. One that computes
uses CPU time; one that waits for Ray wakes every second; one that waits for a file's lock polls. A process
whose main thread does neither for `resources.patience` seconds is ended by SIGKILL. Then happens what happens
whenever a process dies: Ray starts a client actor again and repeats its call, at most three times, with the
same result; Tune starts a trial's process again, and it goes on from its last round; the driver of a run ends
the run, with the line to resume. Where the system has no /proc no process is ended.

Ray's own server (GCS) and the process of a local Ray that starts the others (raylet) are looked at, too: some
time after one is lost Ray would end this process without a word.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self

import ray
from ray._private.state import actors as actor_table
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raysim.core import signals
from raysim.core.errors import LostProcess
from raysim.engines import ray_session

LOOKS = 6  # looks at each process within the patience
LONGEST_INTERVAL = 10.0  # seconds between two looks
SAY_EVERY = 20.0  # seconds between two lines about the same wait
SERVER_EVERY = 2.0  # seconds between two looks at Ray's server
OWN_SERVER_SECONDS, SERVER_SECONDS = 4.0, 40.0  # without it, here and on a cluster; Ray ends us after 60
OWN_GROUP = "raysim"  # how the names of placement groups begin that are not Tune's
LEAVE_SECONDS = 10.0  # for the main thread to leave the context, when the server is lost
SERVER_LOST = "Ray's server (GCS) was lost"
RAYLET_LOST = "Ray's process that starts the others (raylet) was lost"
STOPPED, TRACED, ENDED = "T", "t", "ZX"  # states of a process; a debugger traces
STATES = {STOPPED: "a signal has stopped it", "D": "it waits for a disk or a network mount"}
KINDS = {  # class of an actor -> its name in messages, what follows when it is ended
    "ClientActor": ("client actor", "its work is repeated"),
    "Driver": ("driver of the run", "the run ends"),
    "Library": ("sender of the features", "hosts that lack features compute them"),
}
TRIAL = ("trial's process", "Tune starts the trial again")


class Sign(NamedTuple):
    """A sign of life of a process: while it moves, two of them differ.

    Attributes:
        start: When the process was started, in the system's ticks: two processes may have one number.
        cpu: CPU time of its main thread, in ticks.
        wakes: How often its main thread was taken up by a core.
        state: The letter of its state, as `ps` shows it.
        host: Name of its host.
    """

    start: int
    cpu: int
    wakes: int
    state: str
    host: str


def signs(pids: Collection[int]) -> dict[int, Sign]:
    """Return a sign of life of each process of this host that is a worker of Ray; others are left out."""
    return {pid: sign for pid in pids if (sign := _sign(pid)) is not None}


def end(pid: int, start: int) -> None:
    """End a process of this host, unless its number belongs to another one by now."""
    sign = _sign(pid)
    if sign is not None and sign.start == start:
        os.kill(pid, signal.SIGKILL)


def _sign(pid: int) -> Sign | None:
    """Return a sign of life of one of Ray's workers; None where there is no such process."""
    thread = Path(f"/proc/{pid}/task/{pid}")
    try:
        if not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"ray::"):
            return None
        fields = (thread / "stat").read_text().rsplit(")", 1)[1].split()
        status = (thread / "status").read_text().splitlines()
    except (OSError, IndexError):  # it has ended
        return None
    wakes = sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
    return Sign(int(fields[19]), int(fields[11]) + int(fields[12]), wakes, fields[0], os.uname().nodename)


class Watch:
    """Looks at the actors of this job and at Ray's server from a thread of its own, as a context.

    A look counts, not the time between two: the watch may be stopped, too, and goes on with its processes.
    Where the server or the raylet is lost, the main thread gets a KeyboardInterrupt, then a `LostProcess`.
    """

    def __init__(self, patience: float) -> None:
        """Remember how long to wait.

        Args:
            patience: Seconds without a sign of life after which a process is ended; 0: nothing is watched.
        """
        self.patience = patience
        self.interval = min(LONGEST_INTERVAL, patience / LOOKS)
        self._still: dict[tuple[str, int], tuple[Sign, float]] = {}  # node, process -> sign, seconds without
        self._waits: dict[str, float] = {}  # what is waited for -> seconds so far
        self._over, self._lost = threading.Event(), ""
        self._thread = threading.Thread(target=self._run, name="raysim-watch", daemon=True)

    def __enter__(self) -> Self:
        """Start to look."""
        context = ray.get_runtime_context()
        self._home, self._job = context.get_node_id(), ray.JobID(bytes.fromhex(context.get_job_id()))
        host, _, port = context.gcs_address.rpartition(":")
        self._server = host.strip("[]"), int(port)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        """Stop looking.

        Raises:
            LostProcess: Ray's server or raylet is lost.
        """
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(timeout=SERVER_EVERY)
        if self._lost and kind is not None and issubclass(kind, KeyboardInterrupt):
            raise LostProcess(self._lost) from None

    def look(self) -> None:
        """Look at every actor; end those that have not moved for too long, and say what is waited for."""
        actors = [actor for actor in actor_table(job_id=self._job).values() if actor["State"] != "DEAD"]
        by_node: dict[str, dict[int, str]] = {}
        for actor in actors:
            if actor["Pid"]:
                by_node.setdefault(actor["Address"]["NodeID"], {})[actor["Pid"]] = actor["ActorClassName"]
        still = {}
        for node, classes in by_node.items():
            for pid, sign in self._ask(node, signs, list(classes)).items():
                before, seconds = self._still.get((node, pid), (None, 0.0))
                seconds = seconds + self.interval if _same(before, sign) else 0.0
                if seconds >= self.patience:
                    self._end(node, pid, sign, classes[pid], seconds)
                    seconds = 0.0
                still[node, pid] = sign, seconds
        self._still = still
        self._say_waits(actors)

    def _run(self) -> None:
        """Look from time to time, until the context is left, or the server or the raylet is lost."""
        limit = SERVER_SECONDS if ray_session.cluster_address() else OWN_SERVER_SECONDS
        answered = looked = time.monotonic()
        while not self._over.wait(min(SERVER_EVERY, self.interval or SERVER_EVERY)):
            now = time.monotonic()
            if ray_session.raylet_is_lost():
                self._end_run(RAYLET_LOST)
                return
            if not _answers(self._server):  # then nothing can be asked: Ray would wait for it
                if now - answered >= limit:
                    self._end_run(SERVER_LOST)
                    return
                continue
            answered = now
            if self.patience > 0 and now - looked >= self.interval:
                looked = now
                with contextlib.suppress(RayError, RuntimeError, ValueError, OSError):  # Ray may be ending
                    self.look()

    def _end_run(self, lost: str) -> None:
        """Interrupt the main thread; where it hangs in a call of Ray's, end the process."""
        self._lost = lost
        _thread.interrupt_main()
        if not self._over.wait(LEAVE_SECONDS):
            ray_session.kill_own()
            signals.end_now(lost)

    def _ask(self, node: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function on a node: here, or by a task there, for which no answer is the answer {}."""
        if node == self._home:
            return function(*arguments)
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        task = ray.remote(num_cpus=0, max_retries=0)(function).options(scheduling_strategy=there)
        try:
            return ray.get(task.remote(*arguments), timeout=max(self.interval, LONGEST_INTERVAL)) or {}
        except RayError:  # the node is lost or busy; Ray finds out by itself which
            return {}

    def _end(self, node: str, pid: int, sign: Sign, class_name: str, seconds: float) -> None:
        """Name a process that does not move, and end it."""
        kind, follows = KINDS.get(class_name, TRIAL)
        why = STATES.get(sign.state, "it waits for something that does not come")
        _say(
            f"the {kind} (process {pid} on {sign.host}) has not moved for {seconds:.0f} s ({why}); it is "
            f"ended, and {follows}. resources.patience sets the limit"
        )
        self._ask(node, end, pid, sign.start)

    def _say_waits(self, actors: list[Mapping[str, Any]]) -> None:
        """Say what Ray has not given yet, from time to time."""
        starting = [actor for actor in actors if actor["State"] in ("PENDING_CREATION", "RESTARTING")]
        groups = [group for group in ray.util.placement_group_table().values() if _waits_for_tune(group)]
        if any(actor["State"] == "ALIVE" for actor in actors):  # else Tune prepares what comes later
            starting = [actor for actor in starting if actor["ActorClassName"] == "ClientActor"]
            groups = []
        count = f"{len(starting)} process" + "es" * (len(starting) > 1)
        waits = {f"start {count}": 0.0} if starting else {}
        waits |= {f"reserve {list(group['bundles'].values())} for a trial": 0.0 for group in groups}
        waits = {wait: self._waits.get(wait, 0.0) + self.interval for wait in waits}
        for wait, seconds in waits.items():
            if seconds // SAY_EVERY > (seconds - self.interval) // SAY_EVERY:
                _say(f"waiting for Ray to {wait}, for {seconds:.0f} s so far; Ctrl-C ends the wait")
        self._waits = waits


def _answers(server: tuple[str, int]) -> bool:
    """Return whether something listens at an address (host, port)."""
    try:
        socket.create_connection(server, timeout=5).close()
    except OSError:
        return False
    return True


def _same(before: Sign | None, now: Sign) -> bool:
    """Return whether a process has not moved; one that ended or that a debugger holds counts as moving."""
    return before == now and now.state != TRACED and now.state not in ENDED


def _waits_for_tune(group: Mapping[str, Any]) -> bool:
    """Return whether a placement group is one that Tune waits for; `bundles.reserve` speaks of others."""
    return group["state"] == "PENDING" and not group["name"].startswith(OWN_GROUP)


def _say(text: str) -> None:
    """Print a message to the person who waits."""
    print(f"raysim: {text}", file=sys.stderr, flush=True)
