"""`raysim new`: write a small, commented and complete file of one's own: a method, a scenario, a space."""

from __future__ import annotations

import argparse
import keyword
from pathlib import Path

from raysim.core.errors import UserError
from raysim.storage.files import write_text

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
        name: Its name on the command line: letters, digits and `_`, the first a letter.
        folder: Where NAME.py is written.

    Raises:
        UserError: The name cannot be one, or the file is there already.
    """
    if not (name.isascii() and name.isidentifier() and not keyword.iskeyword(name)):
        raise UserError(f"name '{name}' is not allowed: letters, digits and _, the first one a letter")
    path = folder / f"{name}.py"
    if path.exists():
        raise UserError(f"{path} is there already; choose another name, or move it")
    title = name.replace("_", " ").strip().capitalize()
    text = (TEMPLATES / f"{kind}.py").read_text()
    for word, value in {
        "CLASS": "".join(part[:1].upper() + part[1:] for part in name.split("_")) or "Mine",
        "NAME": name,
        "TITLE": title,
        "FILE": path.name,
    }.items():
        text = text.replace(word, value)
    write_text(path, text)
    return path
