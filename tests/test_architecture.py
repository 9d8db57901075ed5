"""The house: who may import whom, and how large a room may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import raysim

PACKAGE = Path(raysim.__file__).parent
ROOT = PACKAGE.parent
RANKS = {
    "config": 0, "seeds": 0, "types": 0, "vault": 1, "faults": 1,
    "nn": 1, "data": 1, "backbones": 1,
    "methods": 2,
    "experiment": 3,
    "federation": 4, "accuracy": 5, "novel": 5, "store": 5, "worker": 6, "gallery": 7, "clock": 7, "simulate": 8,
    "mistakes": 5, "spaces": 6, "console": 6, "provenance": 6, "designs": 3, "racing": 3, "samplers": 4, "spec": 9,
    "study": 10, "ray_pool": 9, "search": 11, "trial": 11, "inspection": 9, "reports": 9, "export": 9,
    "overview": 12,
    "arguments": 10, "sweep": 13, "stress": 14, "cli_sweep": 15,
    "cli": 16, "__main__": 17, "__init__": 17,
}  # fmt: skip
ONLY_IN = {
    "ray": {"ray_pool", "sweep"},
    "optuna": {"study", "export", "samplers", "designs", "spaces"},
    "open_clip": {"backbones", "nn"},
    "torchvision": {"backbones", "data", "nn"},
}
LONGEST = 420


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path, top_level_only: bool = False) -> set[str]:
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    here = room(path)
    assert here in RANKS, f"give {here} a rank"
    for name in imports(path, top_level_only=True):
        parts = name.split(".")
        if parts[0] == "raysim" and len(parts) > 1 and parts[1] != here and parts[1] in RANKS and parts[1] != "__init__":
            allowed = RANKS[parts[1]] < RANKS[here] or {here, parts[1]} <= {"data", "backbones", "nn"}
            assert allowed, f"{path.name} (rank {RANKS[here]}) imports {name} (rank {RANKS[parts[1]]})"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    for name in imports(path):
        library = name.split(".")[0]
        if library in ONLY_IN:
            assert room(path) in ONLY_IN[library], f"{path.name} imports {library}"


def test_methods_never_see_data() -> None:
    for path in (PACKAGE / "methods").glob("*.py"):
        assert not any(name.startswith(("raysim.data", "raysim.federation")) for name in imports(path)), path


def test_analysis_reads_files_only() -> None:
    for path in (ROOT / "analysis").rglob("*.py"):
        closed = {"raysim", "torch", "ray", "optuna", "search_spaces"} - ({"optuna"} if path.stem == "importances" else set())
        assert not any(name.split(".")[0] in closed for name in imports(path)), path


def test_pages_are_made_of_figures_and_not_the_reverse() -> None:
    order = ["", "sensitivity", "figures", "recipes", "pages", "compare"]  # "" holds what all rooms use: results, intervals, words, style
    home = ROOT / "analysis"
    for path in home.rglob("*.py"):
        here = path.parent.name if path.parent != home else ""
        if path.parent == home and path.stem in ("report", "__init__"):
            continue  # the door
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                room = (node.module or "").split(".")[0] if node.level == (2 if here else 1) else here
                room = room if room in order else "" if node.level == (2 if here else 1) else here
                assert order.index(room) <= order.index(here), f"{path.relative_to(home)} imports from {room}"


def test_importing_raysim_is_light() -> None:
    code = "import sys, raysim; print(sorted({'ray', 'optuna', 'open_clip', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", [*files(), *(ROOT / "analysis").rglob("*.py")], ids=lambda path: path.name)
def test_rooms_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST
