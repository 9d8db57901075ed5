"""The versions of everything that raysim installs: pin them, or try the newest ones.

python .ci/versions.py lock      write constraints.txt: the newest versions that pyproject.toml allows
python .ci/versions.py compare   print where newer versions are allowed than in constraints.txt
python .ci/versions.py newest    the same, and test them in an environment of their own

Lock with Debian's Python 3.11.2 or older: some packages have newer versions for 3.11.5 and later only.
All resolve the dependencies in a fresh environment and need the network.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
NEWEST = ROOT / ".venv-newest"
QUICK_TESTS = [
    "tests/core",
    "tests/nn",
    "tests/methods",
    "tests/engines",
    "tests/simulation",
    "-m",
    "not slow",
]
HEADER = """\
# The version of everything that `make sweep`, `make test` and `make lint` install, so that a release of
# another project cannot break this one. Written by `make lock`, which resolves the newest versions that
# pyproject.toml allows (on Linux with Python {python}); do not edit. What a platform does not need is not
# installed there.
"""


def python_of(environment: Path) -> str:
    """The interpreter of a virtual environment."""
    return str(environment / ("Scripts" if sys.platform == "win32" else "bin") / "python")


def requirements() -> list[str]:
    """What has to be resolved: the package with all its tools, and what builds it."""
    build: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    return [f"{ROOT}[dev]", *build, "editables"]


def resolve() -> dict[str, str]:
    """The newest allowed version of every package, by name.

    Raises:
        subprocess.CalledProcessError: pip found no solution, or the network cannot be reached.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment, report = Path(folder, "venv"), Path(folder, "report.json")
        venv.create(environment, with_pip=True)
        command = [
            python_of(environment),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--dry-run",
            "--ignore-installed",
        ]
        subprocess.run(
            [*command, "--report", str(report), *requirements()],
            cwd=folder,
            check=True,
            stderr=subprocess.PIPE,
            text=True,
        )
        packages = [item["metadata"] for item in json.loads(report.read_text())["install"]]
    # a suffix such as +cpu names a build of the version, and only one index has it
    versions = {
        item["name"]: item["version"].partition("+")[0] for item in packages if item["name"] != "raysim"
    }
    return dict(sorted(versions.items(), key=lambda item: plain(item[0])))


def plain(name: str) -> str:
    """A package's name in its normal form."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """The versions in constraints.txt, by name."""
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def differences(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """One line for every package whose version differs."""
    old = {plain(name): version for name, version in before.items()}
    new = {plain(name): version for name, version in after.items()}
    return [
        f"  {name} {old.get(name, 'none')} -> {new.get(name, 'none')}"
        for name in sorted(old | new)
        if old.get(name) != new.get(name)
    ]


def lock() -> None:
    """Write constraints.txt, and print what changed."""
    versions = resolve()
    changed = differences(pinned(), versions) if CONSTRAINTS.exists() else []
    CONSTRAINTS.write_text(
        HEADER.format(python=platform.python_version())
        + "".join(f"{name}=={version}\n" for name, version in versions.items())
    )
    print("\n".join([f"constraints.txt: {len(versions)} packages, {len(changed)} changed", *changed]))


def compare() -> list[str]:
    """Compare constraints.txt with the newest allowed versions: print and return where they differ."""
    changed = differences(pinned(), resolve())
    if changed:
        print("\n".join([f"{len(changed)} packages are newer than in constraints.txt", *changed]), flush=True)
    else:
        print("the newest allowed versions are those in constraints.txt")
    return changed


def newest() -> None:
    """Compare constraints.txt with the newest allowed versions; if they differ, test those."""
    if not compare():
        return
    shutil.rmtree(NEWEST, ignore_errors=True)
    try:
        venv.create(NEWEST, with_pip=True)
        install = [python_of(NEWEST), "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}[test]"]
        subprocess.run(install, cwd=ROOT, check=True, stderr=subprocess.PIPE, text=True)
        tests = subprocess.run([python_of(NEWEST), "-m", "pytest", *QUICK_TESTS], cwd=ROOT, check=False)
    finally:
        shutil.rmtree(NEWEST, ignore_errors=True)
    if tests.returncode:
        print("newest: WARNING: the quick tests FAIL with the newest allowed versions (see above)")
    else:
        print("newest: the quick tests pass with the newest allowed versions; `make lock` would take them")


def main() -> int:
    """Run one of the three commands."""
    commands = {"lock": lock, "compare": compare, "newest": newest}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        commands[sys.argv[1]]()
    except subprocess.CalledProcessError as error:
        print(f"{sys.argv[1]}: pip failed; is the network reachable?\n{(error.stderr or '').strip()[-2000:]}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
