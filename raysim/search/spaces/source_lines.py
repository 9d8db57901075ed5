"""File and line of a mistake in a user's space file, for error messages."""

from __future__ import annotations

import ast
import re
from pathlib import Path


def line_of(path: Path, declaration: str, mistake: object = "") -> str:
    """Return `file:line` of a part of a declaration or function of a space file.

    Args:
        path: The file.
        declaration: The part, such as `CONTRASTS['method.lam']`, `SCENARIOS[0]` or `space`.
        mistake: The error, or the word that it is about. A line with a path from the error is preferred.

    Returns:
        The most exact place that can be found; the file without a line where the declaration is not in it.
    """
    name = declaration.partition("[")[0].partition("(")[0]
    keys = re.findall(r"\[['\"]([^'\"]+)['\"]\]", declaration)
    indices = [int(index) for index in re.findall(r"\[(\d+)\]", declaration)]
    node = _definition(ast.parse(path.read_text()), name)
    if node is None:
        return str(path)
    for index in indices:
        value = getattr(node, "value", None)
        if isinstance(value, ast.List | ast.Tuple) and index < len(value.elts):
            node = value.elts[index]
    texts = [
        (constant.value, constant.lineno)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and isinstance(constant.value, str)
    ]
    named_paths = [
        line
        for text, line in texts
        if "." in text and re.search(rf"(?<![\w.]){re.escape(text)}(?![\w.])", str(mistake))
    ]
    key_lines = [line for text, line in texts if text in keys]
    return f"{path}:{[*named_paths, *key_lines, getattr(node, 'lineno', 1)][0]}"


def _definition(tree: ast.Module, name: str) -> ast.AST | None:
    """Return the last assignment or function of that name."""
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
