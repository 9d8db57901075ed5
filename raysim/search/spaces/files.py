"""Search spaces and recipes: Python files in `search_spaces/`, or anywhere, loaded by name or path.

A space has
    base() -> Experiment                     the anchor: every choice at its default
    SCENARIOS: list of overrides             the axis of the study, never sampled
    CONTRASTS: {path: [levels]}              one-factor contrasts around the anchor. A level is a value, or
                                             overrides that belong together where the value alone would change
                                             the meaning of another choice
    space(trial) -> overrides                define-by-run; the trial is Optuna's
    ANCHORS: list of overrides               where the search starts (the papers' own values)
    RIVALS: {label: overrides}               what every contrast and the winner are compared with
    RIVAL_SPACES: {label: function(trial)}   define-by-run as space(trial); these rivals are tuned with as
                                             many trials as the method
    INTERACTIONS: [(path, path)]             contrasts that are also moved together, each to its last level
    MINUTES: number                          time of a first run without options
A recipe has `base`, `SCENARIOS` and
    GRID: {label: overrides}                 a declared set of runs
    TUNE: {path: [levels]}                   levels over which each entry is first tuned
    FIGURES: list of figures                 figures that the report adds (`analysis/declared/`)
Both may have
    SEEDS: int                               seeds per trial, where the command line does not give them
    TUNE_SEEDS: int                          seeds on which a recipe is tuned, at most SEEDS; all by default
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from raysim.core import plugins
from raysim.core.config import suggest
from raysim.core.errors import UserError
from raysim.experiment.overrides import names_first, override
from raysim.experiment.records import Experiment
from raysim.search.spaces.checks import check_declarations
from raysim.search.spaces.record import DEFAULT_MINUTES, DEFAULT_SEEDS, Overrides, Space
from raysim.search.spaces.source_lines import line_of
from raysim.storage.files import shipped_folder

# name -> type of the declaration, type of each item, and both in words
DECLARATIONS: dict[str, tuple[type[dict[str, Any]] | type[list[Any]], Any, str]] = {
    "SCENARIOS": (list, Mapping, "a list of overrides, [{path: value}, ..]"),
    "CONTRASTS": (dict, list | tuple, "lists of levels by path, {path: [level, ..]}"),
    "ANCHORS": (list, Mapping, "a list of overrides, [{path: value}, ..]"),
    "RIVALS": (dict, Mapping, "overrides by label, {label: {path: value}}"),
    "RIVAL_SPACES": (dict, Callable, "functions by label of RIVALS, {label: function(trial)}"),
    "INTERACTIONS": (list, list | tuple, "pairs of paths of CONTRASTS, [(path, path), ..]"),
    "GRID": (dict, Mapping, "overrides by label, {label: {path: value}}"),
    "TUNE": (dict, list | tuple, "lists of levels by path, {path: [level, ..]}"),
    "FIGURES": (list, Mapping, "a list of figures, [{'kind': kind, ..}, ..]"),
}


def space_names() -> list[str]:
    """Return the names of the spaces and recipes that come with raysim."""
    return sorted(
        path.stem for path in shipped_folder("search_spaces").glob("*.py") if not path.stem.startswith("_")
    )


def is_run(name: str | Path) -> bool:
    """Whether a user's word names the folder of a run or its config.json, and not a space."""
    text = str(name)
    if text.endswith(".json"):
        return True
    return not text.endswith(".py") and text not in space_names() and Path(text).expanduser().is_dir()


def load_space(name: str, changes: Overrides | None = None, base_only: bool = False) -> Space:
    """Load a space by name or path and apply overrides to its base.

    Args:
        name: Name of one that comes with raysim, or a path to a .py file.
        changes: Overrides by dotted path. A list for a path that the recipe tunes replaces its levels.
        base_only: Whether only the base is used, for one run. Then the other declarations are not checked,
            because they may not fit the method of the overrides.

    Raises:
        UserError: There is no such space, or its file has a mistake: with file, line and the mistake.
    """
    path = Path(name).expanduser() if name.endswith(".py") else shipped_folder("search_spaces") / f"{name}.py"
    if is_run(name):
        raise UserError(
            f"{name}: is one run, and a space is needed here; `raysim run {name}` runs it again, `raysim new "
            "space NAME` writes a space"
        )
    if not path.exists():
        raise UserError(
            f"unknown space '{name}'{suggest(name, space_names())} Known: {', '.join(space_names())}; or "
            "give a path to a .py file"
        )
    module, changes = _execute(path), names_first(changes or {})
    declared = {declaration: _declaration(path, module, declaration) for declaration in DECLARATIONS}
    new_levels = {
        setting: value
        for setting, value in changes.items()
        if setting in declared["TUNE"] and isinstance(value, list)
    }
    changes = {setting: value for setting, value in changes.items() if setting not in new_levels}
    space = _space(path, module, declared, new_levels, changes)
    if not base_only:
        _check_for_method(path, space, module, changes)
    return space


def _check_for_method(path: Path, space: Space, module: ModuleType, changes: Overrides) -> None:
    """Check the declarations; a method of the command line may not have what the space varies.

    Raises:
        UserError: A declaration is not possible.
    """
    try:
        check_declarations(path, space)
    except UserError as error:
        own, given = _base(path, module).method.name, space.base.method.name
        if own == given or not {"method", "method.name"} & changes.keys():
            raise
        raise UserError(
            f"{error}. This space studies {own}; for method={given} write one of its own: raysim new space "
            "NAME"
        ) from None


def _space(
    path: Path,
    module: ModuleType,
    declared: Mapping[str, Any],
    new_levels: Mapping[str, list[Any]],
    changes: Overrides,
) -> Space:
    """Return the space; what the command line sets is no longer varied."""
    scenarios = tuple(declared["SCENARIOS"]) or ({},)
    if "scenario" in changes or "scenario.name" in changes:
        scenarios = ({},)
    return Space(
        name=path.stem,
        title=(module.__doc__ or path.stem).strip().splitlines()[0],
        base=override(_base(path, module), changes),
        scenarios=scenarios,
        contrasts={
            factor: tuple(levels) for factor, levels in declared["CONTRASTS"].items() if factor not in changes
        },
        sample=getattr(module, "space", None),
        anchors=tuple(declared["ANCHORS"]),
        rivals=dict(declared["RIVALS"]),
        rival_spaces=dict(declared["RIVAL_SPACES"]),
        interactions=tuple(
            (str(first), str(second))
            for first, second in _pairs(path, declared["INTERACTIONS"])
            if not {first, second} & changes.keys()
        ),
        grid=dict(declared["GRID"]),
        tune={
            setting: tuple(levels)
            for setting, levels in {**declared["TUNE"], **new_levels}.items()
            if setting not in changes
        },
        figures=tuple(declared["FIGURES"]),
        fixed=changes,
        seeds=_seeds(path, module, "SEEDS", DEFAULT_SEEDS),
        tune_seeds=_seeds(path, module, "TUNE_SEEDS", None),
        minutes=_minutes(path, module),
    )


def _execute(path: Path) -> ModuleType:
    """Execute a space file and return it as a module; what it registers makes it a plug-in, too."""
    try:
        return plugins.load(path)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(plugins.error_with_line(path.absolute(), error)) from None


def _base(path: Path, module: ModuleType) -> Experiment:
    """Return the experiment that base() of a space file makes."""
    function = getattr(module, "base", None)
    if function is None:
        raise UserError(f"{path}: has no function base(); a space needs base() -> Experiment")
    try:
        experiment = function()
    except UserError as error:
        raise UserError(f"{line_of(path, 'base', error)}: base(): {error}") from None
    except (Exception, SystemExit) as error:
        raise UserError(plugins.error_with_line(path.absolute(), error)) from None
    if not isinstance(experiment, Experiment):
        raise UserError(f"{path}: base() returned {type(experiment).__name__}, an Experiment is needed")
    return experiment


def _declaration(path: Path, module: ModuleType, name: str) -> Any:
    """Return a declaration of a space file; an empty one where it has none.

    Raises:
        UserError: It does not have the type that it must have.
    """
    container, item_type, words = DECLARATIONS[name]
    value = getattr(module, name, container())
    fits = isinstance(value, Mapping if container is dict else list | tuple)
    items = list(value.values() if isinstance(value, Mapping) else value) if fits else []
    if not fits or not all(isinstance(item, item_type) for item in items):
        raise UserError(f"{line_of(path, name)}: {name} should be {words}, it is {value!r}"[:400])
    return value


def _seeds(path: Path, module: ModuleType, name: str, default: Any) -> Any:
    seeds = getattr(module, name, default)
    if seeds is not default and (not isinstance(seeds, int) or seeds < 1):
        raise UserError(
            f"{line_of(path, name)}: {name} = {seeds!r} is not allowed: a whole number, at least 1"
        )
    return seeds


def _minutes(path: Path, module: ModuleType) -> float:
    minutes = getattr(module, "MINUTES", DEFAULT_MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
        raise UserError(f"{line_of(path, 'MINUTES')}: MINUTES = {minutes!r} is not allowed: a number above 0")
    return float(minutes)


def _pairs(path: Path, interactions: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    for index, pair in enumerate(interactions):
        if len(pair) != 2 or pair[0] == pair[1]:
            raise UserError(
                f"{line_of(path, 'INTERACTIONS')}: INTERACTIONS[{index}] = {pair!r} is not allowed: two "
                "different paths of CONTRASTS"
            )
    return interactions
