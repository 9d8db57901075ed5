"""`raysim doctor`: what raysim finds on this machine.

A line is printed as soon as it is known, because torch and open_clip take seconds to load.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from raysim.core.errors import UserError
from raysim.data.memo import cache_folder
from raysim.storage.provenance import gpus, machine, versions


def doctor(arguments: argparse.Namespace) -> None:
    """Print hardware, versions, folders, and whether the bundled backbone is intact."""
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
