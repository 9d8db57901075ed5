"""Where in a user's space file a mistake stands."""

from __future__ import annotations

import ast
import re
import traceback
from pathlib import Path


def located(path: Path, error: Exception) -> str:
    """A mistake in a space file as one line: file, line, what, and the source of that line."""
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path
    ]
    line = (
        getattr(error, "lineno", None) if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    )
    source = (
        path.read_text().splitlines()[line - 1].strip() if line and not isinstance(error, SyntaxError) else ""
    )
    return (
        f"{path}{f':{line}' if line else ''}: {type(error).__name__}: "
        f"{error}{f' in: {source}' if source else ''}"
    )


def place(path: Path, where: str, about: object = "") -> str:
    """`file:line` of what a declaration or function of a space file says.

    Args:
        path: The file.
        where: The declaration or function, as `CONTRASTS['method.lam']`, `SCENARIOS[0]`, `space`.
        about: The mistake, or the word that it is about: a line that names a path in it is the one.

    Returns:
        The place, as exactly as it can be had; without a line where the declaration comes from somewhere
        else.
    """
    name, inside = re.match(r"\w*", where).group(), re.findall(r"['\"]([^'\"]+)['\"]|\[(\d+)\]", where)  # type: ignore[union-attr]
    node = _named(ast.parse(path.read_text()), name)
    if node is None:
        return str(path)
    words = [word for word, _ in inside if word]
    for index in (int(index) for _, index in inside if index):
        value = getattr(node, "value", None)
        if isinstance(value, ast.List | ast.Tuple) and index < len(value.elts):
            node = value.elts[index]
    strings = [
        (found.value, found.lineno)
        for found in ast.walk(node)
        if isinstance(found, ast.Constant) and isinstance(found.value, str)
    ]
    told = [
        line
        for text, line in strings
        if "." in text and re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", str(about))
    ]
    own = [line for text, line in strings if text in words]
    return f"{path}:{[*told, *own, getattr(node, 'lineno', 1)][0]}"


def _named(tree: ast.Module, name: str) -> ast.AST | None:
    """The assignment or function of that name, the last one."""
    for node in reversed(tree.body):
        targets = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AnnAssign)
            else []
        )
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return node
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None
