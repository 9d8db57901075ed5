"""`raysim check`: does a plug-in file or a space keep what raysim relies on?"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raysim.backbones.own import BACKBONES
from raysim.cli import contracts, data_contracts
from raysim.cli.contracts import Check
from raysim.clients.partition import SCENARIOS
from raysim.core import plugins
from raysim.core.errors import UserError, why_unreadable
from raysim.core.registry import Registry
from raysim.data.registry import DATASETS, needs_path
from raysim.methods import METHODS
from raysim.nn.convnets import NETWORKS
from raysim.search.spaces.checks import check_figures
from raysim.search.spaces.files import load_space
from raysim.search.sweep import prepare
from raysim.storage.figures import REPORT_FIGURES


def check(arguments: argparse.Namespace) -> None:
    """Run the checks of all that a file adds, and of the space that it is; print a line for each.

    Raises:
        UserError: The file cannot be loaded, or a check fails.
    """
    path = Path(arguments.file)
    module = plugins.load_plugin(path) if not _is_space(path) else plugins.load(path)
    failed = 0
    contracts_of: tuple[tuple[Registry[Any], Callable[[str], list[Check]]], ...] = (
        (METHODS, contracts.of_method),
        (SCENARIOS, contracts.of_scenario),
        (DATASETS, lambda name: data_contracts.of_dataset(name, arguments.path)),
        (NETWORKS, data_contracts.of_network),
        (BACKBONES, lambda name: data_contracts.of_backbone(name, arguments.path)),
        (REPORT_FIGURES, data_contracts.of_figure),
    )
    groups = [
        (f"{registry.kind} {name}", checks_of(name))
        for registry, checks_of in contracts_of
        for name in registry
        if registry.module(name) == module.__name__
    ]
    if any(file.path == module.__file__ for file in plugins.active()):
        groups.insert(0, (path.name, [Check("workers can load it", _loadable)]))
    if _is_space(path):
        groups.append((f"space {path.stem}", [Check("every declaration is possible", lambda: _space(path))]))
    lacking = [name for name in DATASETS if DATASETS.module(name) == module.__name__ and needs_path(name)]
    if lacking and arguments.path is None:
        raise UserError(f"{path}: dataset '{lacking[0]}' needs its images: add --path DIR")
    for title, checks in groups:
        print(title)
        for name, fault in contracts.results(checks):
            print(f"  {'FAILS' if fault else 'ok':6}{name}" + (f": {fault}" if fault else ""), flush=True)
            failed += bool(fault)
    if failed:
        raise UserError(f"{path}: {failed} check{'s' if failed > 1 else ''} failed")


def _is_space(path: Path) -> bool:
    """Whether a file declares a space: it has a function base()."""
    try:
        return "\ndef base(" in f"\n{path.read_text()}"
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {why_unreadable(error)}") from None


def _loadable() -> str:
    plugins.check_loadable()
    return ""


def _space(path: Path) -> str:
    space = load_space(str(path))
    check_figures(space)
    prepare([space], quiet=True)
    return ""
