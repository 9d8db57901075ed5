"""`make cluster-test`: cluster.yaml's variant for one's own machines on two hosts, with a real `ray up`.

The hosts are namespaces of this machine (`hosts.py`). Needs root. It prints what happens, and a table.
Words choose steps by their names, beside `ray up` and `ray down`: `python -m tests.cluster.proof sweep`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.cluster import hosts, wheels
from tests.cluster.hosts import GROUND, Host, until

ROOT = Path(__file__).parents[2]
CONFIG = GROUND / "on-premise.yaml"
SMALL = "scenario.clients=4 task.shots=8"
TWO = "--workers 2 resources.cpus=2"  # a client actor takes a whole host
FEDRSCLIP = f"fedrsclip --rounds 2 {SMALL}"
SAFE = f"safe --rounds 2 scenario=even {SMALL} task.views=1"
LONG = f"fedrsclip --rounds 60 scenario=even {SMALL} evaluation.every=10"
PAUSE = 20  # seconds for which a lost host stays away

SURVEY = """
import json, pathlib
import pyarrow.dataset as tables
folder = pathlib.Path.home() / "results/{name}/tables"
trials = tables.dataset(folder / "trials", format="parquet").to_table().to_pylist()
there = set(tables.dataset(folder / "rounds", format="parquet").to_table()["run"].to_pylist())
print(json.dumps([[t["state"], set(t["runs"]) <= there, t["reason"]] for t in trials]))
"""


class Proof:
    """The two hosts, what lives where, and what was seen."""

    def __init__(self) -> None:
        self.head, self.worker = Host(2), Host(3)
        self.table: list[tuple[str, str, str]] = []
        self.seen: Counter[tuple[str, str]] = Counter()
        self.ended = threading.Event()
        self.environment = {
            **os.environ, "HOME": str(GROUND / "home"), "RAY_TMPDIR": str(GROUND / "ray"), "TERM": "dumb",
        }  # fmt: skip
        for name in ("RAY_ADDRESS", "RAYSIM_DATA", "RAYSIM_CACHE", "PYTHONPATH"):
            self.environment.pop(name, None)
        self.environment["PATH"] = f"{sys.prefix}/bin:{self.environment['PATH']}:/usr/sbin"

    def here(self, command: str, seconds: float = 900) -> str:
        """Run a command on the machine of the user, in the folder of cluster.yaml; return all it prints."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=self.environment, text=True, check=False, timeout=seconds,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        print(done.stdout, flush=True)
        if done.returncode:
            raise RuntimeError(f"status {done.returncode} of: {command}\n{done.stdout[-1500:]}")
        return done.stdout

    def exec(self, command: str, seconds: float = 900) -> str:
        """Run a command on the head by `ray exec`."""
        return self.here(f"ray exec {CONFIG} '{command}'", seconds)

    def result(self, name: str, command: str) -> tuple[dict[str, Any], str]:
        """Run `raysim run` on the head; return the JSON object that it prints, and all that it prints."""
        printed = self.exec(f"{command} --json --out ~/results/{name}")
        [line] = [line for line in printed.splitlines() if line.startswith('{"id"')]
        return json.loads(line), " ".join(printed.split())

    def watch(self) -> None:
        """Count who is seen where, until `ended` is set."""
        while not self.ended.wait(0.3):
            for host in (self.head, self.worker):
                self.seen.update((name, host.address) for name in host.actors())

    def where(self, *names: str) -> dict[str, list[int]]:
        """Return the hosts on which processes of these names were seen since the last call."""
        found = {n: sorted({int(a.split(".")[-1]) for m, a in self.seen if m == n}) for n in names}
        self.seen.clear()
        return found

    def nodes(self) -> int:
        """Return the number of nodes that Ray says are there; each has all cores of this machine."""
        done = self.head.ssh(". ~/.raysim_env; ray status --address=auto")
        total = re.search(r"/([0-9.]+) CPU", done.stdout)
        return round(float(total[1]) / (os.cpu_count() or 1)) if total else 0

    def step(self, what: str, work: Callable[[], str]) -> None:
        """Carry out a step; note what was seen, or how it failed."""
        print(f"\n===== {what}", flush=True)
        started = time.monotonic()
        try:
            said, state = work(), "holds"
        except Exception as error:
            said, state = f"{type(error).__name__}: {error}".replace("\n", " ")[:400], "FAILS"
        self.table.append((what, state, f"{said} ({time.monotonic() - started:.0f} s)"))
        print(f"===== {state}: {said}", flush=True)

    # The steps

    def up(self) -> str:
        """`ray up` of the variant for one's own machines."""
        for host in (self.head, self.worker):
            host.up()
        edits = "; ".join(
            f"s#{a}#{b}#"
            for a, b in {
                "192.168.1.10": "10.200.0.2",
                "[[]192.168.1.11, 192.168.1.12[]]": "[10.200.0.3]",
                "ssh_user: ubuntu": "ssh_user: root",
                "~/.ssh/id_ed25519": f"{GROUND}/keys/id",
                "_workers: 2": "_workers: 1",
            }.items()
        )
        self.here("ray get-auth-token --generate > /dev/null")
        self.here(f"sed -n 's/^#| \\{{0,1\\}}//p' cluster.yaml | sed '{edits}' > {CONFIG}")
        self.here(f"ray up --yes --no-config-cache {CONFIG}")
        until(lambda: self.nodes() == 2, 180, "two nodes")
        return "both hosts joined"

    def bits(self, name: str, words: str) -> str:
        """The same bits on two hosts as in one process; the driver on the head."""
        serial, _ = self.result(f"{name}-serial", f"raysim run {words} --engine serial")
        self.where()
        both, printed = self.result(f"{name}-two", f"RAY_ADDRESS=auto raysim run {words} {TWO}")
        where = self.where("ClientActor", "Driver")
        expect(where == {"ClientActor": [2, 3], "Driver": [2]}, f"seen: {where}")
        expect(serial["state_sha256"] == both["state_sha256"], "other bits than in one process")
        expect("host3 gets MiB of the features" in printed, "features were not sent")
        expect("above 64 KB travel in messages" in printed, "it was not said how networks travel")
        digest = both["state_sha256"][:12]
        return f"state_sha256 {digest} in one process and on both; driver on the head; features were sent"

    def doctor(self) -> str:
        """`raysim doctor` on a cluster."""
        printed = self.exec("RAY_ADDRESS=auto raysim doctor")
        for host in (self.head, self.worker):
            expect(f"{host.address} (host{host.number}): Python" in printed, f"no line about {host.address}")
        expect("2 nodes agree" in printed, "the nodes do not agree")
        return "a line for each host, and they agree"

    def lost_in_run(self) -> str:
        """A run that spans both hosts, of which one dies and comes back."""
        undisturbed, _ = self.result("undisturbed", f"raysim run {LONG} --engine serial")
        command = f"RAY_ADDRESS=auto raysim run {LONG} {TWO} --out ~/results/lost"
        printed, thread = self.in_background(command)
        self.disturb("lost", thread)
        thread.join(900)
        return self.compare("lost", undisturbed["state_sha256"], "\n".join(printed))

    def lost_in_sweep(self) -> str:
        """A sweep, one of whose hosts dies and comes back."""
        words = f"--trials 1 --seeds 1 --rounds 40 --no-contrasts scenario=even {SMALL} resources.workers=2"
        command = f"RAY_ADDRESS=auto python -m raysim.sweep fedrsclip {words} {TWO} --out ~/results/sweep"
        printed, thread = self.in_background(command)
        self.disturb("sweep", thread)
        thread.join(900)
        return self.survey("sweep", "\n".join(printed), [2, 3])

    def launch_line(self) -> str:
        """The launch line of cluster.yaml, but for its size: `ray exec --tmux`."""
        [line] = re.findall(
            r"^#   (ray exec cluster.yaml --tmux .*)$", (ROOT / "cluster.yaml").read_text(), re.M
        )
        small = f"--workers 2 --trials 1 --seeds 1 --rounds 2 --no-contrasts scenario=even {SMALL}"
        line = line.replace("cluster.yaml", str(CONFIG)).replace("--workers 16 resources.gpus=0.25", small)
        self.here(line)
        record = "~/results/sweep/run.json"
        until(lambda: '"done"' in self.head.ssh(f"grep status {record}").stdout, 300, "the sweep in tmux")
        said = self.survey("sweep", "")
        self.head.ssh("mv ~/results/sweep ~/results/launched")
        return said

    def down(self) -> str:
        """`ray down`: nothing of Ray is left."""
        self.here(f"ray down --yes {CONFIG}")
        started = time.monotonic()
        hosts = (self.head, self.worker)
        until(lambda: not any(list(host.actors()) or host.rays() for host in hosts), 180, "the end of Ray")
        return f"no process of Ray is left on either host, {time.monotonic() - started:.0f} s afterwards"

    # Parts of them

    def in_background(self, command: str) -> tuple[list[str], threading.Thread]:
        """Start a command on the head; return what it will have printed, and the thread that waits."""
        printed: list[str] = []

        def work() -> None:
            try:
                printed.append(self.exec(command))
            except Exception as error:
                printed.append(str(error))

        self.where()
        thread = threading.Thread(target=work)
        thread.start()
        return printed, thread

    def disturb(self, folder: str, thread: threading.Thread) -> None:
        """Let the worker crash once rounds lie in a folder, and bring it back."""

        def trains() -> bool:
            parts = self.head.ssh(f"ls ~/results/{folder}/tables/rounds 2>/dev/null | wc -l").stdout
            return int(parts or 0) > 5 or not thread.is_alive()

        until(trains, 300, "rounds")
        expect(thread.is_alive(), "it ended before a host could crash")
        self.worker.crash()
        print(f"--- host {self.worker.number} has crashed", flush=True)
        time.sleep(PAUSE)
        self.worker.up()
        self.seen.clear()
        print(f"--- host {self.worker.number} is back", flush=True)

    def compare(self, name: str, sha256: str, printed: str) -> str:
        """Say how a disturbed run ended: with the same bits, or with the line to resume."""
        where = self.where("ClientActor")
        resumed = ""
        if f"state_sha256 {sha256}" not in printed:
            expect("--resume" in printed, f"no line to resume: {printed[-600:]}")
            resumed, printed = (
                "a clear end; after --resume ",
                self.exec(f"RAY_ADDRESS=auto raysim run {LONG} {TWO} --out ~/results/{name} --resume"),
            )
        expect(f"state_sha256 {sha256}" in printed, "other bits")
        expect(3 in where["ClientActor"], "the host that came back got no work")
        return f"{resumed}the same bits; the host that came back got work again"

    def survey(self, name: str, printed: str, used: Sequence[int] = ()) -> str:
        """Check that all trials of a sweep ended well on these hosts, and that all files are on the head."""
        program = SURVEY.format(name=name)
        where = self.where("ClientActor", "ResourceTrainable")
        rows = json.loads(self.head.ssh(f"~/raysim-env/bin/python -c '{program}'").stdout)
        expect(
            bool(rows) and all(state == "COMPLETE" and files for state, files, _ in rows),
            f"{rows}; {printed[-600:]}",
        )
        expect(where["ResourceTrainable"] in ([2], []), f"trial processes on {where}")
        expect(set(used) <= set(where["ClientActor"]), f"client actors were seen on {where}")
        seen = ", ".join(map(str, where["ClientActor"]))
        return f"{len(rows)} trials complete, all tables on the head; client actors on hosts {seen}"


def expect(holds: bool, otherwise: str) -> None:
    """Raise AssertionError where something does not hold."""
    if not holds:
        raise AssertionError(otherwise)


def main() -> int:
    """Carry out all steps; return 0 where all hold."""
    if hosts.INSIDE not in os.environ:
        if lacking := hosts.missing():
            print(f"make cluster-test: needs {lacking}", file=sys.stderr)
            return 2
        with tempfile.TemporaryDirectory() as folder:
            wheels.download(Path(folder))
            return hosts.enter(Path(folder))
    hosts.ground()
    proof = Proof()
    watcher = threading.Thread(target=proof.watch, daemon=True)
    watcher.start()
    steps = {
        "`ray up`": proof.up,
        "`raysim doctor`": proof.doctor,
        "FedRSCLIP on both hosts": lambda: proof.bits("fedrsclip", FEDRSCLIP),
        "SAFE on both hosts": lambda: proof.bits("safe", SAFE),
        "the launch line of cluster.yaml": proof.launch_line,
        "a run whose second host crashes and comes back": proof.lost_in_run,
        "a sweep whose second host crashes and comes back": proof.lost_in_sweep,
        "`ray down`": proof.down,
    }
    for what, work in steps.items():
        if not sys.argv[1:] or any(word in what for word in ("ray up", "ray down", *sys.argv[1:])):
            proof.step(what, work)
    proof.ended.set()
    watcher.join()
    print("\n| step | | seen |\n|---|---|---|")
    for row in proof.table:
        print("| " + " | ".join(row) + " |")
    return int(any(state != "holds" for _, state, _ in proof.table))


if __name__ == "__main__":
    sys.exit(main())
