"""Facts about a host of a cluster, collected there as plain data: what `raysim doctor` prints of it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raysim.data.files import data_roots
from raysim.data.memo import cache_folder
from raysim.storage.provenance import machine, versions

COMPARED = {  # what must be equal on all hosts -> its name in a message
    "python": "Python", "ray": "ray", "torch": "torch", "raysim": "raysim", "source": "raysim's files",
    "data": "files in RAYSIM_DATA (names and sizes)",
}  # fmt: skip
DIGITS = 12  # of a digest in a line
LISTENS = "0A"  # state of a socket in /proc/net/tcp


def facts(out: str, probe: str) -> dict[str, Any]:
    """Return what there is on this host.

    Args:
        out: The result folder.
        probe: A file in it that the command has written; whether this host sees it is told.
    """
    numbers, data = versions(), os.environ.get("RAYSIM_DATA", "")
    return {
        "host": os.uname().nodename,
        **{name: numbers[name] for name in ("python", "ray", "torch", "raysim")},
        "source": source_digest(),
        **machine(),
        "gpus": graphics(),
        "folder": data,
        "data": names_digest(data_roots()) if data else "",
        "cache": str(cache_folder()),
        "cache_free": free_gib(cache_folder()),
        "sees_out": os.path.exists(probe),
        "out_free": free_gib(Path(out)),
        "token": token_words(),
        "listens": listening(),
    }


def source_digest() -> str:
    """Return a digest of the files of the package, so that two states of a checkout differ, too."""
    root, content = Path(__file__).parents[1], hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if "_shipped" not in path.parts:  # a checkout has these files beside the package
            content.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return content.hexdigest()[:DIGITS]


def names_digest(folders: Sequence[Path]) -> str:
    """Return a digest of names and sizes of all files in folders; "missing" where one of them is not there.

    It takes moments where the files are many. The content is compared by a run, before its first round.
    """
    if not all(folder.is_dir() for folder in folders):
        return "missing"
    content = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
    return content.hexdigest()[:DIGITS]


def graphics() -> list[str]:
    """Return name and memory of the GPUs, as the driver names them, whether or not they are reserved."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def free_gib(folder: Path) -> float | None:
    """Return the free space in GiB where a folder lies or would lie."""
    there = next((path for path in [folder.absolute(), *folder.absolute().parents] if path.exists()), None)
    return None if there is None else round(shutil.disk_usage(there).free / 2**30, 1)


def token_words() -> str:
    """Return whether Ray asks for a token here, and whether others can read its file."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return "not asked for (RAY_AUTH_MODE)"
    if os.environ.get("RAY_AUTH_TOKEN"):
        return "in RAY_AUTH_TOKEN"
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    if not path.is_file():
        return f"{path} is missing"
    mode = stat.S_IMODE(path.stat().st_mode)
    return f"{path}, " + ("yours alone" if not mode & 0o077 else f"readable by others ({mode:o}): chmod 600")


def listening() -> list[str]:
    """Return the addresses on which Ray's processes of this host take connections; empty where not known."""
    inodes = {}
    for table in ("tcp", "tcp6"):
        try:
            lines = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            if fields[3] == LISTENS:
                inodes[f"socket:[{fields[9]}]"] = readable(fields[1].split(":")[0])
    return sorted({inodes[name] for name in ray_sockets() if name in inodes})


def readable(address: str) -> str:
    """Return an address of /proc/net/tcp as it is usually written."""
    if set(address) == {"0"}:
        return "all addresses"
    if len(address) == 8:
        return ".".join(str(int(address[start : start + 2], 16)) for start in (6, 4, 2, 0))
    return "127.0.0.1" if address.endswith("0100007F") else "an IPv6 address"


def ray_sockets() -> set[str]:
    """Return the open sockets of Ray's processes, as /proc names them."""
    sockets = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            if b"raylet" in words or b"gcs_server" in words or words.startswith(b"ray::"):
                sockets |= {os.readlink(handle) for handle in (process / "fd").iterdir()}
        except OSError:  # another user's, or it has ended
            continue
    return sockets
