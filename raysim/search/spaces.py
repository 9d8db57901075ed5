"""Search spaces and recipes: Python files in `search_spaces/`, or anywhere, loaded by name or path.

A space has
    base() -> Experiment                     the anchor: every choice at its default
    SCENARIOS: list of overrides             the axis of the study, never sampled
    CONTRASTS: {path: [levels]}              one-factor contrasts around the anchor; a level is a value, or the overrides that
                                             go together where a value alone would change another choice's
                                             meaning
    space(trial) -> overrides                define-by-run, Optuna's trial
    ANCHORS: list of overrides               where the search starts (the papers' own values)
    RIVALS: {label: overrides}               what every contrast and the winner are compared with
    RIVAL_SPACES: {label: function(trial)}   define-by-run as space(trial): these rivals are tuned, with as many trials as the method
    INTERACTIONS: [(path, path)]             contrasts that are also moved together, each to its last level
    MINUTES: number                          time of a first run that says nothing else
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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from raysim.core.config import suggest
from raysim.core.errors import UserError
from raysim.experiment.overrides import at, override, paths
from raysim.experiment.records import Experiment, to_dict
from raysim.search.mistakes import located, place
from raysim.storage.files import shipped
from raysim.storage.report import _analysis

Overrides = Mapping[str, Any]
DECLARATIONS: dict[str, tuple[type[dict[str, Any]] | type[list[Any]], str]] = {
    "SCENARIOS": (list, "a list of overrides, [{path: value}, ..]"),
    "CONTRASTS": (dict, "lists of levels by path, {path: [level, ..]}"),
    "ANCHORS": (list, "a list of overrides, [{path: value}, ..]"),
    "RIVALS": (dict, "overrides by label, {label: {path: value}}"),
    "RIVAL_SPACES": (dict, "functions by label of RIVALS, {label: function(trial)}"),
    "INTERACTIONS": (list, "pairs of paths of CONTRASTS, [(path, path), ..]"),
    "GRID": (dict, "overrides by label, {label: {path: value}}"),
    "TUNE": (dict, "lists of levels by path, {path: [level, ..]}"),
    "FIGURES": (list, "a list of figures, [{'kind': kind, ..}, ..]"),
}
SHAPES: dict[str, Any] = {
    "CONTRASTS": list | tuple,
    "TUNE": list | tuple,
    "INTERACTIONS": list | tuple,
    "RIVAL_SPACES": Callable,
}
MINUTES = 8.0  # of a first run
DRAWS = 16  # of a space that are tried before anything runs
IN_WORDS = {
    "scenario.clients": "{} clients",
    "task.classes": "{} classes",
    "training.batch": "batches of {}",
    "task.dataset": "{}",
}


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
    rival_spaces: Mapping[str, Callable[[Any], Overrides]] = field(default_factory=dict)
    interactions: tuple[tuple[str, str], ...] = ()
    grid: Mapping[str, Overrides] = field(default_factory=dict)
    tune: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    figures: tuple[Mapping[str, Any], ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    seeds: int = 3
    tune_seeds: int | None = None
    minutes: float = MINUTES

    def experiments(self) -> dict[str, Experiment]:
        """The base experiment in every scenario, by name: its label, and what sets it apart where that is not enough.

        Raises:
            UserError: two scenarios cannot be told apart.
        """
        found = [override(self.base, {**scenario, **self._kept(scenario)}) for scenario in self.scenarios]
        labels = _told_apart(found)
        if len(set(labels)) < len(labels):
            raise UserError(
                f"space '{self.name}': SCENARIOS: two are called '{max(labels, key=labels.count)}'; run "
                "them in sweeps of their own"
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
        said = [
            IN_WORDS.get(path, f"{path.rpartition('.')[2]}={{}}").format(value)
            for path, value in shown.items()
        ]
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


def names() -> list[str]:
    """The spaces and recipes that come with raysim."""
    return sorted(
        path.stem for path in shipped("search_spaces").glob("*.py") if not path.stem.startswith("_")
    )


def load_space(name: str, changes: Overrides | None = None, base_only: bool = False) -> Space:
    """Load a space by name or path and apply overrides to its base.

    Args:
        name: One that came with raysim, or a path to a .py file.
        changes: Overrides by dotted path; a list for a path that the recipe tunes replaces its levels.
        base_only: For one run of the base: what the space declares beside it may not fit another method, and
            need not.

    Raises:
        UserError: there is no such space, or its file is wrong: with file, line and what is wrong.
    """
    path = Path(name) if name.endswith(".py") else shipped("search_spaces") / f"{name}.py"
    if not path.exists():
        raise UserError(
            f"unknown space '{name}'{suggest(name, names())} Known: {', '.join(names())}; or give a path "
            "to a .py file"
        )
    module = _execute(path)
    said = {name: _declared(path, module, name) for name in DECLARATIONS}
    tune = {
        **said["TUNE"],
        **{
            path: value
            for path, value in (changes or {}).items()
            if path in said["TUNE"] and isinstance(value, list)
        },
    }
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
        contrasts={
            factor: tuple(levels) for factor, levels in said["CONTRASTS"].items() if factor not in changes
        },
        sample=getattr(module, "space", None),
        anchors=tuple(said["ANCHORS"]),
        rivals=dict(said["RIVALS"]),
        rival_spaces=dict(said["RIVAL_SPACES"]),
        interactions=tuple(
            (str(a), str(b)) for a, b in _pairs(path, said["INTERACTIONS"]) if not {a, b} & changes.keys()
        ),
        grid=dict(said["GRID"]),
        tune={path: tuple(levels) for path, levels in tune.items() if path not in changes},
        figures=tuple(said["FIGURES"]),
        fixed=changes,
        seeds=_seeds(path, module, "SEEDS", 3),
        tune_seeds=_seeds(path, module, "TUNE_SEEDS", None),
        minutes=_minutes(path, module),
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
    inside = (
        list(found.values())
        if isinstance(found, Mapping)
        else list(found)
        if isinstance(found, list | tuple)
        else []
    )
    kind = SHAPES.get(name, Mapping)
    if not isinstance(found, Mapping if shape is dict else list | tuple) or not all(
        isinstance(item, kind) for item in inside
    ):
        raise UserError(f"{place(path, name)}: {name} should be {words}, it is {found!r}"[:400])
    return found


def _seeds(path: Path, module: ModuleType, name: str, default: Any) -> Any:
    seeds = getattr(module, name, default)
    if seeds is not default and (not isinstance(seeds, int) or seeds < 1):
        raise UserError(f"{place(path, name)}: {name} = {seeds!r} is not allowed: a whole number, at least 1")
    return seeds


def _minutes(path: Path, module: ModuleType) -> float:
    minutes = getattr(module, "MINUTES", MINUTES)
    if isinstance(minutes, bool) or not isinstance(minutes, int | float) or not minutes > 0:
        raise UserError(f"{place(path, 'MINUTES')}: MINUTES = {minutes!r} is not allowed: a number above 0")
    return float(minutes)


def _pairs(path: Path, declared: Sequence[Sequence[str]]) -> Sequence[Sequence[str]]:
    for index, pair in enumerate(declared):
        if len(pair) != 2 or pair[0] == pair[1]:
            raise UserError(
                f"{place(path, 'INTERACTIONS')}: INTERACTIONS[{index}] = {pair!r} is not allowed: two "
                "different paths of CONTRASTS"
            )
    return declared


def _check(path: Path, space: Space) -> None:
    """Every declared override must apply, before any work."""
    declared: list[tuple[str, Overrides]] = [
        (f"SCENARIOS[{index}]", values) for index, values in enumerate(space.scenarios)
    ]
    declared += [
        (f"TUNE['{tuned}']", {tuned: level}) for tuned, levels in space.tune.items() for level in levels
    ]
    for factor, levels in space.contrasts.items():
        for level in levels:
            changes = changes_of(factor, level)
            if factor not in changes:
                raise UserError(
                    f"{place(path, 'CONTRASTS', factor)}: CONTRASTS['{factor}']: the level {dict(level)} "
                    f"does not set {factor}"
                )
            declared.append((f"CONTRASTS['{factor}']", changes))
    for index, pair in enumerate(space.interactions):
        if stray := [factor for factor in pair if not space.contrasts.get(factor)]:
            known = ", ".join(space.contrasts)
            where = place(path, "INTERACTIONS", stray[0])
            raise UserError(
                f"{where}: INTERACTIONS[{index}]: '{stray[0]}' is no path of CONTRASTS; these are {known}"
            )
        both = {
            name: value
            for factor in pair
            for name, value in changes_of(factor, space.contrasts[factor][-1]).items()
        }
        declared.append((f"INTERACTIONS[{index}]", both))
    if stray := [label for label in space.rival_spaces if label not in space.rivals]:
        where = place(path, "RIVAL_SPACES", stray[0])
        raise UserError(
            f"{where}: RIVAL_SPACES['{stray[0]}'] is no label of RIVALS; these are {', '.join(space.rivals)}"
        )
    declared += [(f"ANCHORS[{index}]", values) for index, values in enumerate(space.anchors)]
    declared += [(f"RIVALS['{label}']", values) for label, values in space.rivals.items()]
    declared += [(f"GRID['{label}']", values) for label, values in space.grid.items()]
    for where, values in declared:
        try:
            override(space.base, values)
        except UserError as error:
            raise UserError(f"{place(path, where, error)}: {where}: {error}") from None
    for name, sample, base in [("space", space.sample, space.base)] + [
        (f"RIVAL_SPACES['{label}']", sample, override(space.base, space.rivals[label]))
        for label, sample in space.rival_spaces.items()
    ]:
        if sample is not None:
            _try(path, name, sample, base)


def _try(path: Path, name: str, sample: Callable[[Any], Overrides], base: Experiment) -> None:
    """A few draws of a define-by-run space must apply."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(DRAWS):
        try:
            params = dict(sample(study.ask()))
        except UserError:
            raise
        except Exception as error:
            raise UserError(located(path, error)) from None
        try:
            override(base, params)
        except UserError as error:
            raise UserError(f"{place(path, sample.__name__, error)}: {name}(trial): {error}") from None


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
        raise UserError(f"{place(path, name, error)}: {name}(): {error}") from None
    except Exception as error:
        raise UserError(located(path, error)) from None
    if not isinstance(made, Experiment):
        raise UserError(f"{path}: {name}() returned {type(made).__name__}, an Experiment is needed")
    return made


def check_figures(space: Space) -> None:
    """Refuse figures that could not be drawn, before anything runs.

    Raises:
        UserError: naming the space, the figure and what is allowed.
    """
    try:
        found = _analysis("declared").parse(space.figures, list(space.grid), f"space '{space.name}': FIGURES")
    except ValueError as error:
        raise UserError(str(error)) from None
    known = set(paths(to_dict(space.base)))
    known |= {
        path for changes in space.grid.values() for path in paths(to_dict(override(space.base, changes)))
    }
    for index, (_, figure, _) in enumerate(found):
        wanted = [figure["x"]] if isinstance(figure.get("x"), str) else list(figure.get("x") or [])
        for path in wanted:
            if path not in known:
                raise UserError(
                    f"space '{space.name}': FIGURES[{index}]: x = '{path}' is no path of its experiments"
                )
