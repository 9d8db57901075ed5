"""The wheel as others get it: built, installed in a fresh environment, and used outside of the checkout.

What the package needs is taken from the environment that runs this script: nothing is downloaded twice.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = (  # the last one needs what a checkout has beside the package: search_spaces/ and analysis/
    ("--version",),
    ("explain", "method.lam"),
    ("run", "fedrsclip", "rounds=1", "scenario.clients=6", "--engine", "serial", "--out", "run"),
)


def main() -> None:
    """Build, install, run.

    Raises:
        subprocess.CalledProcessError: A step failed; its output says why.
        SystemExit: The package came from elsewhere, or left no report.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", name, str(ROOT)]
        subprocess.run(build, check=True)
        (wheel,) = folder.glob("raysim-*.whl")
        python = fresh_environment(folder / "venv")
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        where = subprocess.run(
            [python, "-c", "import raysim; print(raysim.__file__)"],
            cwd=folder, env=environment, check=True, capture_output=True, text=True,
        ).stdout  # fmt: skip
        if not where.startswith(str(folder)):
            raise SystemExit(f"raysim was imported from {where.strip()}, not from the wheel")
        for words in COMMANDS:
            print("raysim", *words, flush=True)
            subprocess.run([python, "-m", "raysim", *words], cwd=folder, env=environment, check=True)
        if not (folder / "run/report/index.html").is_file():
            raise SystemExit("the run has left no report: is analysis/ in the wheel?")


def fresh_environment(folder: Path) -> str:
    """Make an environment that sees the packages of this one, behind its own; return its interpreter."""
    venv.create(folder, with_pip=True)
    paths = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=paths))
    # the path alone: an editable install's own .pth file would bring the checkout in
    (packages / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")


if __name__ == "__main__":
    main()
