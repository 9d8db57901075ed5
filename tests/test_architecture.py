"""The house: a room imports from lower floors only, every import counts, and no room grows too large."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import raysim

PACKAGE = Path(raysim.__file__).parent
ROOT = PACKAGE.parent
FLOORS = [
    {"core"},
    {"nn", "data"},
    {"backbones", "clients", "methods"},
    {"experiment"},
    {"storage"},
    {"simulation"},
    {"engines"},
    {"search"},
    {"stress"},
    {"cli"},
    {"__main__", "sweep", "__init__"},
]
NEVER = {
    ("methods", "data"),
    ("methods", "clients"),
    ("methods", "backbones"),
}  # methods receive batches and names
ONLY_IN = {
    "ray": {"engines", "search/tune", "search/trackers", "search/sweep"},
    "optuna": {"search", "storage/export"},
    "open_clip": {"backbones", "nn"},
    "torchvision": {"backbones", "data", "nn"},
}
ANALYSIS = [
    {"stats"},
    {"read"},
    {"look"},
    {"figures", "compare"},
    {"declared"},
    {"pages"},
    {"report", "__init__"},
]
LONGEST = 370


def files(home: Path) -> list[Path]:
    return sorted(home.rglob("*.py"))


def room(path: Path, home: Path) -> str:
    return path.relative_to(home).parts[0].removesuffix(".py")


def floor(name: str, floors: list[set[str]]) -> int:
    return next(number for number, rooms in enumerate(floors) if name in rooms)


def imports(path: Path, home: Path) -> set[str]:
    """Every module that a file imports: inside functions and for types too; relative names made absolute."""
    found: set[str] = set()
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = (
                ".".join([home.name, *path.relative_to(home).parts[: -node.level]]) if node.level else ""
            )
            base = ".".join(part for part in (package, node.module) if part)
            found |= {f"{base}.{alias.name}" for alias in node.names} | {base}
    return found


@pytest.mark.parametrize("path", files(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = room(path, PACKAGE)
    for name in imports(path, PACKAGE):
        parts = name.split(".")
        if parts[0] == "raysim" and len(parts) > 1 and (PACKAGE / parts[1]).is_dir() and parts[1] != here:
            assert floor(parts[1], FLOORS) < floor(here, FLOORS), f"{here} imports {name}"
            assert (here, parts[1]) not in NEVER, f"{here} imports {name}"


@pytest.mark.parametrize("path", files(PACKAGE), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    here = str(path.relative_to(PACKAGE).with_suffix(""))
    for name in imports(path, PACKAGE):
        rooms = ONLY_IN.get(name.split(".")[0])
        assert rooms is None or here in rooms or here.split("/")[0] in rooms, f"{here} imports {name}"


def test_analysis_reads_files_only_and_is_built_in_floors() -> None:
    home = ROOT / "analysis"
    for path in files(home):
        here = room(path, home)
        closed = {"raysim", "torch", "ray", "optuna", "search_spaces"} - (
            {"optuna"} if path.stem == "importances" else set()
        )
        for name in imports(path, home):
            parts = name.split(".")
            assert parts[0] not in closed, f"{path} imports {name}"
            if parts[0] == "analysis" and len(parts) > 1 and (home / parts[1]).is_dir() and parts[1] != here:
                assert floor(parts[1], ANALYSIS) < floor(here, ANALYSIS), (
                    f"{path.relative_to(home)} imports {name}"
                )


def test_importing_raysim_is_light() -> None:
    code = (
        "import sys, raysim; print(sorted({'ray', 'optuna', 'open_clip', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", [*files(PACKAGE), *files(ROOT / "analysis")], ids=lambda path: path.name)
def test_rooms_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST
