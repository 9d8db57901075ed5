"""`raysim new`: write a small, commented and complete file of one's own: a method, a scenario, a space."""

from __future__ import annotations

import argparse
import ast
import keyword
import re
from pathlib import Path
from typing import Any

from raysim.backbones.own import BACKBONES
from raysim.clients.partition import SCENARIOS
from raysim.core.errors import UserError
from raysim.core.registry import Registry
from raysim.data.registry import DATASETS
from raysim.methods import METHODS
from raysim.storage.figures import REPORT_FIGURES
from raysim.storage.files import write_text
from raysim.storage.report import analysis_module

TEMPLATES = Path(__file__).parent / "templates"


def new(arguments: argparse.Namespace) -> None:
    """Write NAME.py here, and print what to do with it."""
    path = write_new(arguments.kind, arguments.name, Path.cwd() if arguments.out is None else arguments.out)
    print(f"{path}: a {arguments.kind} that runs; change what you need")
    where = {"dataset": " --path FOLDER", "backbone": " --path WEIGHTS"}.get(arguments.kind, "")
    print(f"  raysim check {path}{where}")
    if arguments.kind == "space":
        print(f"  raysim sweep {path} --dry-run")
    elif arguments.kind == "dataset":
        print(f"  raysim run task.dataset={arguments.name} task.path=FOLDER --plugin {path}")
    elif arguments.kind == "backbone":
        print(f"  raysim run task.backbone={arguments.name} task.backbone_path=WEIGHTS --plugin {path}")
    elif arguments.kind == "figure":
        print(f'  in a space: FIGURES = [{{"kind": "{arguments.name}"}}]')
        print(f"  raysim sweep SPACE --plugin {path}")
    else:
        print(f"  raysim run {arguments.kind}={arguments.name} --plugin {path}")


def write_new(kind: str, name: str, folder: Path) -> Path:
    """Write the file of a new thing, and return its path.

    Args:
        kind: Name of a file in `templates`.
        name: Its name on the command line: letters, digits and `_`, the first a letter, and no name that is
            taken.
        folder: Where NAME.py is written.

    Raises:
        UserError: The name cannot be one, or the file is there already.
    """
    word = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name) or {name, word} & set(keyword.kwlist):
        raise UserError(
            f"name '{name}' is not allowed: it should be letters, digits and _, the first one a letter, and "
            "no word of Python"
        )
    if name in _taken(kind):
        raise UserError(f"name '{name}' is not allowed: there is a {kind} of this name; choose another name")
    template = (TEMPLATES / f"{kind}.py").read_text()
    if word in {node.id for node in ast.walk(ast.parse(template)) if isinstance(node, ast.Name)}:
        raise UserError(
            f"name '{name}' is not allowed: the file needs another class {word}; choose another name"
        )
    path = folder / f"{name}.py"
    if path.exists():
        raise UserError(f"{path} is there already; choose another name, or move it")
    title = name.replace("_", " ").strip().capitalize()
    values = {"CLASS": word, "NAME": name, "TITLE": title, "FILE": path.name}
    # in one pass: a name may hold one of these words
    write_text(path, re.sub(r"\b(CLASS|NAME|TITLE|FILE)\b", lambda found: values[found[0]], template))
    return path


def _taken(kind: str) -> set[str]:
    """Return the names that things of a kind have already; a space is a file and may have any name."""
    registries: dict[str, Registry[Any]] = {
        "method": METHODS,
        "scenario": SCENARIOS,
        "dataset": DATASETS,
        "backbone": BACKBONES,
        "figure": REPORT_FIGURES,
    }
    names = set(registries.get(kind, ()))
    return names | set(analysis_module("declared").FIGURE_KINDS) if kind == "figure" else names
