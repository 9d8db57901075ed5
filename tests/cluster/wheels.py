"""The packages that a host installs and the environment does not have yet: hosts have no internet."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def download(folder: Path) -> None:
    """Download what the pip lines of cluster.yaml will look for."""
    pip = [sys.executable, "-m", "pip"]
    [ray] = set(re.findall(r'"(ray\[default,tune\]==.*?)"', (ROOT / "cluster.yaml").read_text()))
    report = folder / "report.json"
    dry = [*pip, "install", "--quiet", "--dry-run", "--report", str(report), ray]
    subprocess.run(dry, check=True, stderr=subprocess.DEVNULL)
    needed = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    report.unlink()
    words = [f"{data['name']}=={data['version']}" for data in needed]
    download = [*pip, "download", "--quiet", "-d", str(folder)]
    if words:
        subprocess.run([*download, "--no-deps", *words], check=True, stderr=subprocess.DEVNULL)
    subprocess.run([*download, "hatchling"], check=True, stderr=subprocess.DEVNULL)  # builds raysim
