"""Search spaces and recipes: Python files in `search_spaces/`, or anywhere, loaded by name or path.

A space has
    base() -> Experiment                     the anchor: every choice at its default
    SCENARIOS: list of overrides             the axis of the study, never sampled
    CONTRASTS: {path: [levels]}              one-factor contrasts around the anchor; a level is a value, or the overrides that
                                             go together where a value alone would change another choice's meaning
    space(trial) -> overrides                define-by-run, Optuna's trial
    ANCHORS: list of overrides               where the search starts (the papers' own values)
    RIVALS: {label: overrides}               what the winner is compared with, untuned
A recipe has `base`, `SCENARIOS` and
    GRID: {label: overrides}                 a declared set of runs
    TUNE: {path: [levels]}                   if any: each entry is first tuned over these, all with as many trials
Both may have
    SEEDS: int                               seeds per trial where the command line does not say
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import raysim
from raysim.config import UserError, suggest
from raysim.experiment import Experiment, override

Overrides = Mapping[str, Any]


@dataclass(frozen=True)
class Space:
    """A loaded space or recipe, with the command line's overrides applied to its base."""

    name: str
    title: str
    base: Experiment
    scenarios: tuple[Overrides, ...]
    contrasts: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    sample: Callable[[Any], Overrides] | None = None
    anchors: tuple[Overrides, ...] = ()
    rivals: Mapping[str, Overrides] = field(default_factory=dict)
    grid: Mapping[str, Overrides] = field(default_factory=dict)
    tune: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3

    def experiments(self) -> dict[str, Experiment]:
        """The base experiment in every scenario, by name: its label, and the number of clients where that is not enough.

        Raises:
            UserError: two scenarios cannot be told apart.
        """
        found = [override(self.base, {**scenario, **self._kept(scenario)}) for scenario in self.scenarios]
        labels = [experiment.scenario.label for experiment in found]
        if len(set(labels)) < len(labels):
            labels = [f"{label}, {experiment.scenario.clients} clients" for label, experiment in zip(labels, found, strict=True)]
        if len(set(labels)) < len(labels):
            raise UserError(
                f"space '{self.name}': SCENARIOS: two are called '{max(labels, key=labels.count)}'; run them in sweeps of their own"
            )
        return dict(zip(labels, found, strict=True))

    def _kept(self, scenario: Overrides) -> dict[str, Any]:
        """The command line has the last word, also over a scenario's own fields."""
        return {path: value for path, value in self.fixed.items() if path in scenario}


def changes_of(factor: str, level: Any) -> dict[str, Any]:
    """The overrides of a contrast's level."""
    return dict(level) if isinstance(level, Mapping) else {factor: level}


def level_name(factor: str, level: Any) -> str:
    """A level in words: its value, and what goes with it."""
    changes = changes_of(factor, level)
    rest = [f"{path.rpartition('.')[2]}={value}" for path, value in changes.items() if path != factor]
    return ", ".join([str(changes[factor]), *rest])


def shipped(name: str) -> Path:
    """The folder `search_spaces` or `analysis`: beside the package in a checkout, inside it in a wheel."""
    package = Path(raysim.__file__).parent
    inside = package / "_shipped" / name
    return inside if inside.exists() else package.parent / name


def names() -> list[str]:
    """The spaces and recipes that come with raysim."""
    return sorted(path.stem for path in shipped("search_spaces").glob("*.py") if not path.stem.startswith("_"))


def load_space(name: str, changes: Overrides | None = None, base_only: bool = False) -> Space:
    """Load a space by name or path and apply overrides to its base.

    Args:
        name: One that came with raysim, or a path to a .py file.
        changes: Overrides by dotted path.
        base_only: For one run of the base: what the space declares beside it may not fit another method, and need not.

    Raises:
        UserError: there is no such space, or its file is wrong: with file, line and what is wrong.
    """
    path = Path(name) if name.endswith(".py") else shipped("search_spaces") / f"{name}.py"
    if not path.exists():
        raise UserError(f"unknown space '{name}'{suggest(name, names())} Known: {', '.join(names())}; or give a path to a .py file")
    module = _execute(path)
    changes = dict(changes or {})
    base = override(_call(path, module, "base"), changes)
    scenarios = tuple(getattr(module, "SCENARIOS", ())) or ({},)
    if "scenario" in changes or "scenario.name" in changes:
        scenarios = ({},)
    space = Space(
        name=path.stem,
        title=(module.__doc__ or path.stem).strip().splitlines()[0],
        base=base,
        scenarios=scenarios,
        contrasts={factor: tuple(levels) for factor, levels in getattr(module, "CONTRASTS", {}).items() if factor not in changes},
        sample=getattr(module, "space", None),
        anchors=tuple(getattr(module, "ANCHORS", ())),
        rivals=dict(getattr(module, "RIVALS", {})),
        grid=dict(getattr(module, "GRID", {})),
        tune={path: tuple(levels) for path, levels in getattr(module, "TUNE", {}).items() if path not in changes},
        fixed=changes,
        seeds=int(getattr(module, "SEEDS", 3)),
    )
    if not base_only:
        _check(path, space)
    return space


def _check(path: Path, space: Space) -> None:
    """Every declared override must apply, before any work."""
    declared: list[tuple[str, Overrides]] = [(f"SCENARIOS[{index}]", values) for index, values in enumerate(space.scenarios)]
    declared += [(f"TUNE['{tuned}']", {tuned: level}) for tuned, levels in space.tune.items() for level in levels]
    for factor, levels in space.contrasts.items():
        for level in levels:
            changes = changes_of(factor, level)
            if factor not in changes:
                raise UserError(f"{path}: CONTRASTS['{factor}']: the level {dict(level)} does not set {factor}")
            declared.append((f"CONTRASTS['{factor}']", changes))
    declared += [(f"ANCHORS[{index}]", values) for index, values in enumerate(space.anchors)]
    declared += [(f"RIVALS['{label}']", values) for label, values in space.rivals.items()]
    declared += [(f"GRID['{label}']", values) for label, values in space.grid.items()]
    for where, values in declared:
        try:
            override(space.base, values)
        except UserError as error:
            raise UserError(f"{path}: {where}: {error}") from None


def _execute(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"raysim_space_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(located(path, error)) from None
    return module


def _call(path: Path, module: ModuleType, name: str) -> Experiment:
    function = getattr(module, name, None)
    if function is None:
        raise UserError(f"{path}: has no function {name}(); a space needs base() -> Experiment")
    try:
        made = function()
    except UserError as error:
        raise UserError(f"{path}: {name}(): {error}") from None
    except Exception as error:
        raise UserError(located(path, error)) from None
    if not isinstance(made, Experiment):
        raise UserError(f"{path}: {name}() returned {type(made).__name__}, an Experiment is needed")
    return made


def located(path: Path, error: Exception) -> str:
    """A mistake in a space file as one line: file, line, what."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename) == path]
    line = getattr(error, "lineno", None) if isinstance(error, SyntaxError) else (lines[-1] if lines else None)
    return f"{path}{f':{line}' if line else ''}: {type(error).__name__}: {error}"
