"""Search spaces and recipes: Python files in `search_spaces/`, or anywhere, loaded by name or path.

A space has
    base() -> Experiment                     the anchor: every choice at its default
    SCENARIOS: list of overrides             the axis of the study, never sampled
    CONTRASTS: {path: [levels]}              one-factor contrasts around the anchor; a level is a value, or the overrides that
                                             go together where a value alone would change another choice's meaning
    space(trial) -> overrides                define-by-run, Optuna's trial
    ANCHORS: list of overrides               where the search starts (the papers' own values)
    RIVALS: {label: overrides}               what every contrast and the winner are compared with, untuned
A recipe has `base`, `SCENARIOS` and
    GRID: {label: overrides}                 a declared set of runs
    TUNE: {path: [levels]}                   if any: each entry is first tuned over these, all with as many trials
    FIGURES: list of figures                 what the report draws of it beside its usual figures (`analysis/recipes/`)
Both may have
    SEEDS: int                               seeds per trial where the command line does not say
    TUNE_SEEDS: int                          seeds on which a recipe is tuned, at most SEEDS; all by default
"""

from __future__ import annotations

import importlib.util
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import raysim
from raysim.config import UserError, suggest
from raysim.experiment import Experiment, at, override, paths, to_dict

Overrides = Mapping[str, Any]
DECLARATIONS: dict[str, tuple[type[dict[str, Any]] | type[list[Any]], str]] = {
    "SCENARIOS": (list, "a list of overrides, [{path: value}, ..]"),
    "CONTRASTS": (dict, "lists of levels by path, {path: [level, ..]}"),
    "ANCHORS": (list, "a list of overrides, [{path: value}, ..]"),
    "RIVALS": (dict, "overrides by label, {label: {path: value}}"),
    "GRID": (dict, "overrides by label, {label: {path: value}}"),
    "TUNE": (dict, "lists of levels by path, {path: [level, ..]}"),
    "FIGURES": (list, "a list of figures, [{'kind': kind, ..}, ..]"),
}
IN_WORDS = {
    "scenario.clients": "{} clients", "task.classes": "{} classes", "training.batch": "batches of {}", "task.dataset": "{}"
}  # fmt: skip


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
    figures: tuple[Mapping[str, Any], ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    tune_seeds: int | None = None

    def experiments(self) -> dict[str, Experiment]:
        """The base experiment in every scenario, by name: its label, and what sets it apart where that is not enough.

        Raises:
            UserError: two scenarios cannot be told apart.
        """
        found = [override(self.base, {**scenario, **self._kept(scenario)}) for scenario in self.scenarios]
        labels = _told_apart(found)
        if len(set(labels)) < len(labels):
            raise UserError(
                f"space '{self.name}': SCENARIOS: two are called '{max(labels, key=labels.count)}'; run them in sweeps of their own"
            )
        return dict(zip(labels, found, strict=True))

    def _kept(self, scenario: Overrides) -> dict[str, Any]:
        """The command line has the last word, also over a scenario's own fields."""
        return {path: value for path, value in self.fixed.items() if path in scenario}


def _told_apart(experiments: Sequence[Experiment]) -> list[str]:
    """The scenarios' labels; experiments that share one are told apart by the settings in which they differ."""
    labels = [experiment.scenario.label for experiment in experiments]
    values = [to_dict(experiment) for experiment in experiments]
    told = []
    for label, own in zip(labels, values, strict=True):
        twins = [other for name, other in zip(labels, values, strict=True) if name == label]
        differing = [path for path in paths(own) if any(at(other, path) != at(own, path) for other in twins)]
        shown = {path: "all" if at(own, path) is None else at(own, path) for path in differing}
        said = [IN_WORDS.get(path, f"{path.rpartition('.')[2]}={{}}").format(value) for path, value in shown.items()]
        told.append(", ".join([label, *said]))
    return told


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
        changes: Overrides by dotted path; a list for a path that the recipe tunes replaces its levels.
        base_only: For one run of the base: what the space declares beside it may not fit another method, and need not.

    Raises:
        UserError: there is no such space, or its file is wrong: with file, line and what is wrong.
    """
    path = Path(name) if name.endswith(".py") else shipped("search_spaces") / f"{name}.py"
    if not path.exists():
        raise UserError(f"unknown space '{name}'{suggest(name, names())} Known: {', '.join(names())}; or give a path to a .py file")
    module = _execute(path)
    said = {name: _declared(path, module, name) for name in DECLARATIONS}
    tune = {**said["TUNE"], **{path: value for path, value in (changes or {}).items() if path in said["TUNE"] and isinstance(value, list)}}
    changes = {path: value for path, value in (changes or {}).items() if tune.get(path) is not value}
    base = override(_call(path, module, "base"), changes)
    scenarios = tuple(said["SCENARIOS"]) or ({},)
    if "scenario" in changes or "scenario.name" in changes:
        scenarios = ({},)
    space = Space(
        name=path.stem,
        title=(module.__doc__ or path.stem).strip().splitlines()[0],
        base=base,
        scenarios=scenarios,
        contrasts={factor: tuple(levels) for factor, levels in said["CONTRASTS"].items() if factor not in changes},
        sample=getattr(module, "space", None),
        anchors=tuple(said["ANCHORS"]),
        rivals=dict(said["RIVALS"]),
        grid=dict(said["GRID"]),
        tune={path: tuple(levels) for path, levels in tune.items() if path not in changes},
        figures=tuple(said["FIGURES"]),
        fixed=changes,
        seeds=_seeds(path, module, "SEEDS", 3),
        tune_seeds=_seeds(path, module, "TUNE_SEEDS", None),
    )
    if not base_only:
        _check(path, space)
    return space


def _declared(path: Path, module: ModuleType, name: str) -> Any:
    """A declaration of the file, of the shape it must have.

    Raises:
        UserError: it has another.
    """
    shape, words = DECLARATIONS[name]
    found = getattr(module, name, shape())
    inside = list(found.values()) if isinstance(found, Mapping) else list(found) if isinstance(found, list | tuple) else []
    kind = list | tuple if name in ("CONTRASTS", "TUNE") else Mapping
    if not isinstance(found, Mapping if shape is dict else list | tuple) or not all(isinstance(item, kind) for item in inside):
        raise UserError(f"{path}: {name} should be {words}, it is {found!r}"[:400])
    return found


def _seeds(path: Path, module: ModuleType, name: str, default: Any) -> Any:
    seeds = getattr(module, name, default)
    if seeds is not default and (not isinstance(seeds, int) or seeds < 1):
        raise UserError(f"{path}: {name} = {seeds!r} is not allowed: a whole number, at least 1")
    return seeds


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
