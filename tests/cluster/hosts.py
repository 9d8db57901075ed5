"""Hosts on one machine, as namespaces: each with an address, processes, a home and an environment of its own.

All of them lie inside an outer set of namespaces that ends with the program, so that nothing is left on the
machine: no process, no interface, no mount, also after kill -9.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

GROUND = Path("/mnt")  # where the outer namespace has a disk in memory: homes, keys, packages
NETWORK = "10.200.0"
GATEWAY = f"{NETWORK}.1"
INSIDE = "RAYSIM_CLUSTER_INSIDE"  # set in the outer namespace
NEEDED = {
    "sshd": "openssh-server", "ssh": "openssh-client", "rsync": "rsync", "ip": "iproute2", "tmux": "tmux",
    "unshare": "util-linux", "setpriv": "util-linux",
}  # fmt: skip
SSH = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
       "-o", "ConnectTimeout=5", "-i", str(GROUND / "keys/id"))  # fmt: skip


def run(*words: str | Path, check: bool = True) -> str:
    """Run a program; return what it prints."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, words))}: {done.stdout}{done.stderr}")
    return done.stdout


def missing() -> str:
    """Return what this machine lacks; empty where nothing."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    packages = {package for name, package in NEEDED.items() if not shutil.which(name, path=path)}
    root = [] if os.geteuid() == 0 else ["root"]
    return ", ".join([*root, *sorted(packages)])


def enter(wheels: Path) -> int:
    """Run this program again inside the outer namespaces; return its exit status."""
    inside = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
    command = [sys.executable, "-m", "tests.cluster.proof", *sys.argv[1:]]
    environment = {**os.environ, INSIDE: str(wheels)}
    return subprocess.run(
        ["setpriv", "--pdeathsig", "KILL", *inside, *command], env=environment, check=False
    ).returncode


def ground() -> None:
    """Set up the outer namespace: a disk in memory, keys, a bridge."""
    run("mount", "-t", "tmpfs", "tmpfs", GROUND)
    for name in ("keys", "home/.ssh", "ray", "tmp", "wheels"):
        (GROUND / name).mkdir(parents=True)
    run("mount", "--bind", os.environ[INSIDE], GROUND / "wheels")
    if not Path(__file__).is_relative_to("/tmp"):  # Ray's launcher leaves files there
        run("mount", "--bind", GROUND / "tmp", "/tmp")
    for name in ("id", "host"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", GROUND / "keys" / name)
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "bridge", "type", "bridge")
    run("ip", "addr", "add", f"{GATEWAY}/24", "dev", "bridge")
    run("ip", "link", "set", "bridge", "up")


class Host:
    """A host; `up` starts it, `crash` is a power cut, after which `up` starts it again with the same disk."""

    def __init__(self, number: int) -> None:
        self.number, self.address = number, f"{NETWORK}.{number}"
        self.folder = GROUND / f"host{number}"
        self.process: subprocess.Popen[bytes] | None = None

    def up(self) -> None:
        """Start the host, and wait until it can be reached."""
        self.folder.mkdir(exist_ok=True)
        ours, theirs = f"veth{self.number}", f"eth{self.number}"
        spaces = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc"]
        script = Path(__file__).with_name("host.sh")
        words = ["bash", script, self.folder, theirs, self.address, GATEWAY, sys.prefix, sys.base_prefix]
        with (GROUND / f"host{self.number}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*spaces, *map(str, words)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        while os.readlink(f"/proc/{self.process.pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            time.sleep(0.05)
        run("ip", "link", "delete", ours, check=False)  # of the host before the crash
        run("ip", "link", "add", ours, "type", "veth", "peer", "name", theirs)
        run("ip", "link", "set", theirs, "netns", str(self.process.pid))
        run("ip", "link", "set", ours, "master", "bridge", "up")
        until(lambda: self.ssh("true").returncode == 0, 60, f"SSH on {self.address}")

    def crash(self) -> None:
        """Cut the network and end all processes at once."""
        assert self.process is not None
        run("ip", "link", "set", f"veth{self.number}", "down")
        self.process.kill()  # unshare's --kill-child ends the others
        self.process.wait()

    def ssh(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(
            ["ssh", *SSH, f"root@{self.address}", command],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def rays(self) -> bool:
        """Return whether Ray runs here."""
        return bool(self.ssh("pgrep -x 'raylet|gcs_server'").stdout.strip())

    def actors(self) -> Iterator[str]:
        """Yield the names of the Ray actors and workers that live here."""
        if self.process is None or self.process.poll() is not None:
            return
        home = os.readlink(f"/proc/{self.process.pid}/ns/net")
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(folder / "ns/net") == home:
                    words = (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
                    if words.startswith("ray::"):
                        yield words.removeprefix("ray::").split(".")[0].split(":")[0].split("(")[0]
            except OSError:  # it has ended
                continue


def until(holds: object, seconds: float, what: str) -> None:
    """Wait until a function returns something true.

    Raises:
        TimeoutError: It did not.
    """
    end = time.monotonic() + seconds
    while not holds():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.5)
