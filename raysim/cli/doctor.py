"""`raysim doctor`: what raysim finds on this machine, and on each node of the cluster that RAY_ADDRESS names.

A line is printed as soon as it is known, because torch and open_clip take seconds to load.
"""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raysim.core.errors import UserError
from raysim.data.memo import cache_folder
from raysim.storage.provenance import gpus, machine, versions


def doctor(arguments: argparse.Namespace) -> None:
    """Print hardware, versions, folders, whether the bundled backbone is intact, and the nodes of a cluster.

    Raises:
        UserError: Nodes of the cluster differ in what must be equal, or one of them cannot be asked.
    """
    here, free = machine(), shutil.disk_usage(Path.cwd()).free / 2**30
    cores = f"{here['cores']} core{'s' if here['cores'] != 1 else ''}"
    _print(f"{here['cpu']}, {cores}, {here['memory_gib']} GiB memory, {free:.0f} GiB of disk free here")
    _print("  " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    _print(
        f"  cache: {cache_folder()}   RAYSIM_DATA: {os.environ.get('RAYSIM_DATA') or 'not set'}   "
        f"RAY_ADDRESS: {os.environ.get('RAY_ADDRESS') or 'not set (Ray starts here)'}"
    )
    offline = os.environ.get("HF_HUB_OFFLINE")
    _print(f"  hub: {'offline (HF_HUB_OFFLINE)' if offline else 'asked when weights are missing'}")
    _print(f"  GPUs: {', '.join(gpus()) or 'none'}")
    _print(f"  bundled backbone: {_bundled_backbone()}")
    address = os.environ.get("RAY_ADDRESS", "").strip()
    if address not in ("", "local"):
        _cluster(address, arguments.out)


def _cluster(address: str, out: Path) -> None:
    """Print what each node of a cluster is and has.

    Raises:
        UserError: Nodes differ in what must be equal, or one of them cannot be asked.
    """
    from raysim.engines.survey import survey  # Ray takes seconds to load

    _print(f"asking the nodes of the cluster {address} ...")
    try:
        nodes, differences = survey(out)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written here ({error.strerror or error})") from None
    for node in nodes:
        _print("\n".join(node_lines(node, out)))
    if differences:
        raise UserError("the nodes differ, or cannot be used:\n  " + "\n  ".join(differences))
    _print(f"{len(nodes)} node{'s agree' if len(nodes) > 1 else ''}: the same versions, raysim and data")


def node_lines(node: Mapping[str, Any], out: Path) -> list[str]:
    """Return the lines about a node, from its facts (`raysim.engines.survey`)."""
    name = f"{node['address']} ({node['host']})"
    if node["problem"]:
        return [f"{name}: {node['problem']}"]
    ahead, error = node["clock"]
    graphics, listens = ", ".join(node["gpus"]) or "none", ", ".join(node["listens"]) or "not known"
    data = f"{node['folder']} (names and sizes {node['data']})" if node["folder"] else "not set"
    return [
        f"{name}: Python {node['python']}, ray {node['ray']}, torch {node['torch']}, raysim {node['raysim']} "
        f"(files {node['source']})",
        f"  {node['cpu']}, {node['cores']} cores, {node['memory_gib']} GiB memory; GPUs: {graphics}",
        f"  RAYSIM_DATA: {data}; cache: {node['cache']} ({_gib(node['cache_free'])} free)",
        f"  --out {out}: {'seen' if node['sees_out'] else 'not seen here, which is fine'}, "
        f"{_gib(node['out_free'])} free; clock {ahead:+.2f} s (to {error:.2f} s)",
        f"  token: {node['token']}; Ray listens on: {listens}",
    ]


def _gib(number: float | None) -> str:
    """Return a size in words."""
    return "?" if number is None else f"{number:g} GiB"


def _bundled_backbone() -> str:
    """Load the bundled backbone; its name, size and fingerprint, or what is wrong with it."""
    from raysim.backbones.registry import load_backbone

    try:
        backbone = load_backbone()
    except UserError as error:
        return str(error)
    return f"{backbone.name}, {backbone.image_size} px, sha256 {backbone.fingerprint[:12]}: good"


def _print(line: str) -> None:
    """Print a line at once, also into a pipe."""
    print(line, flush=True)
