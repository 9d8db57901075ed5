"""The law of the house: rooms import from lower floors only, and no file imports in a circle.

`docs/architecture.md` explains the rooms. Nothing is exempt: imports inside functions and for types count,
and the files that import a module by its name are listed with their reason.
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from xml.etree import ElementTree

import pytest

import raysim

PACKAGE = Path(raysim.__file__).parent
ROOT = PACKAGE.parent
ANALYSIS = ROOT / "analysis"
FLOORS = [
    {"core"},
    {"nn", "data"},
    {"backbones", "clients", "methods"},
    {"experiment"},
    {"storage"},
    {"simulation"},
    {"engines", "prediction"},
    {"search"},
    {"stress"},
    {"api"},
    {"cli"},
    {"__main__", "sweep", "__init__"},
]
NEVER = {("methods", "data"), ("methods", "clients"), ("methods", "backbones")}  # they receive batches, names
ONLY_IN = {
    "ray": {"engines", "search/running"},
    "optuna": {"search", "storage/export"},
    "open_clip": {"backbones", "nn"},
    "torchvision": {"backbones", "data", "nn"},
}
ANALYSIS_FLOORS = [
    {"stats"},
    {"read"},
    {"verdicts"},
    {"look"},
    {"figures", "compare"},
    {"declared"},
    {"pages", "explore"},
    {"report", "__init__"},
]
OPTUNA_IN_ANALYSIS = {"analysis/stats/importances.py"}  # importances of adaptive trials are Optuna's
BY_NAME = {  # files that import a module by its name, and what that name may be
    "raysim/__init__.py": "public names, when they are first used",
    "raysim/backbones/tokens.py": "open_clip's tokenizer, without the rest of open_clip",
    "raysim/cli/options.py": "the function behind a command, in raysim.cli",
    "raysim/core/registry.py": "what stands behind a name, when it is first used",
    "raysim/storage/report.py": "analysis, which is no part of the package",
}
CACHED_BY_HAND = {  # small caches that belong to no experiment
    "raysim/data/scenes/canvas.py": "noise and the pixel grid of a drawing",
    "raysim/data/segmentation.py": "the last raw images while they are cut, with the dataset that owns them",
}
LONGEST = 330  # lines of a file


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.py") if "templates" not in path.parts)  # files of users


def room(path: Path, home: Path) -> str:
    return path.relative_to(home).parts[0].removesuffix(".py")


def floor(name: str, floors: list[set[str]]) -> int:
    return next(number for number, rooms in enumerate(floors) if name in rooms)


def imports(path: Path) -> set[str]:
    """Absolute names of what a file imports, also inside functions and for types."""
    modules: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            package = ".".join(path.relative_to(ROOT).parts[: -node.level]) if node.level else ""
            base = ".".join(part for part in (package, node.module) if part)
            modules |= {f"{base}.{alias.name}" for alias in node.names} | {base}
    return modules


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


in_package = pytest.mark.parametrize("path", files(PACKAGE), ids=short)
everywhere = pytest.mark.parametrize("path", [*files(PACKAGE), *files(ANALYSIS)], ids=short)


@in_package
def test_imports_go_down(path: Path) -> None:
    here = room(path, PACKAGE)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "raysim":
            continue
        assert len(parts) > 1 or here == "__init__", f"{here} imports the public face of the package"
        if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() and parts[1] != here:
            assert floor(parts[1], FLOORS) < floor(here, FLOORS), f"{here} imports {name}"
            assert (here, parts[1]) not in NEVER, f"{here} imports {name}"


def test_every_room_stands_on_a_floor_and_says_what_it_holds() -> None:
    rooms = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert rooms == set.union(*FLOORS) - {"__main__", "sweep", "__init__"}
    for path in [*PACKAGE.rglob("__init__.py"), *ANALYSIS.rglob("__init__.py")]:
        said = ast.get_docstring(ast.parse(path.read_text())) or ""
        assert len(said.split()) > 4 and "The room `" not in said, f"{short(path)} does not say what it holds"


def test_no_file_imports_in_a_circle() -> None:
    paths = [*files(PACKAGE), *files(ANALYSIS)]
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in paths
    }
    graph = {
        name: {module for module in imports(path) if module in modules and module != name}
        for name, path in modules.items()
    }
    faces = {name for name, path in modules.items() if path.name == "__init__.py"}
    for name in (
        graph
    ):  # `from package import module` runs the package's face, which is no import of the face's names
        graph[name] = {
            other for other in graph[name] if other not in faces or not name.startswith(f"{other}.")
        }
    assert not list(circles(graph))


def circles(graph: dict[str, set[str]]) -> Iterator[list[str]]:
    """Circles of a graph, one at least where there is any."""
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        yield error.args[1]


def test_a_circle_is_seen() -> None:
    assert list(circles({"a": {"b"}, "b": {"c"}, "c": {"a"}})) and not list(circles({"a": {"b"}, "b": set()}))


@in_package
def test_heavy_libraries_stay_in_their_rooms(path: Path) -> None:
    here = str(path.relative_to(PACKAGE).with_suffix(""))
    folders = {here, *(str(folder) for folder in Path(here).parents)}
    for name in imports(path):
        rooms = ONLY_IN.get(name.split(".")[0])
        assert rooms is None or rooms & folders, f"{here} imports {name}"


@everywhere
def test_modules_are_imported_by_name_in_the_listed_files_only(path: Path) -> None:
    text = path.read_text()
    by_name = any(word in text for word in ("import_module(", "__import__(", "exec_module("))
    assert by_name == (short(path) in BY_NAME)


@everywhere
def test_what_stays_warm_has_one_owner(path: Path) -> None:
    if short(path) not in CACHED_BY_HAND:
        assert not {"functools.lru_cache", "functools.cache"} & imports(path), "use raysim.core.warm"


def test_analysis_reads_files_only_and_is_built_on_floors() -> None:
    for path in files(ANALYSIS):
        here = room(path, ANALYSIS)
        for name in imports(path):
            parts = name.split(".")
            assert parts[0] not in {"raysim", "torch", "ray", "search_spaces"}, (
                f"{short(path)} imports {name}"
            )
            assert parts[0] != "optuna" or short(path) in OPTUNA_IN_ANALYSIS, f"{short(path)} imports {name}"
            if (
                parts[0] == "analysis"
                and len(parts) > 1
                and (ANALYSIS / parts[1]).is_dir()
                and parts[1] != here
            ):
                assert floor(parts[1], ANALYSIS_FLOORS) < floor(here, ANALYSIS_FLOORS), (
                    f"{short(path)} imports {name}"
                )


def test_spaces_use_public_names_only() -> None:
    for path in files(ROOT / "search_spaces"):
        names = {name for name in imports(path) if name.startswith("raysim")}
        assert names <= {"raysim", *(f"raysim.{name}" for name in raysim.__all__)}, short(path)


def test_the_drawing_shows_the_rooms_on_their_floors() -> None:
    """`docs/architecture.svg` shows the floors from top to bottom."""
    heights: dict[str, float] = {}
    for node in ElementTree.parse(ROOT / "docs/architecture.svg").iter("{http://www.w3.org/2000/svg}text"):
        if node.get("class") == "name":
            heights[str(node.text)] = float(node.get("y", "nan"))
    drawn = [
        {name for name in heights if heights[name] == y} for y in sorted(set(heights.values()), reverse=True)
    ]
    assert drawn == FLOORS[:-1]


def test_the_round_loop_of_the_document_is_that_of_the_code() -> None:
    block = (ROOT / "docs/architecture.md").read_text().split("```python\n")[1].split("```")[0]
    lines = [line.strip() for line in block.splitlines() if line.strip()]
    code = [line.strip() for line in (PACKAGE / "simulation/rounds.py").read_text().splitlines()]
    assert len(lines) == 4 and lines == code[code.index(lines[0]) :][:4]


def test_importing_raysim_is_light() -> None:
    heavy = {"ray", "optuna", "open_clip", "matplotlib", "torch"}
    code = f"import sys, raysim; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "[]"


@everywhere
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", files(ROOT / "benchmarks"), ids=short)
def test_benchmarks_import_what_is_there(path: Path) -> None:
    """Many of their imports stand inside functions, where nothing else finds out that a name has moved."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("raysim", "analysis")):
            module = importlib.import_module(node.module or "")
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
