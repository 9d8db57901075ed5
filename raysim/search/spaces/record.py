"""A search space or recipe as a record, and the names of its scenarios and levels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raysim.core.errors import UserError
from raysim.experiment.overrides import override, paths, value_at
from raysim.experiment.records import Experiment, to_dict

Overrides = Mapping[str, Any]

DEFAULT_SEEDS = 3
DEFAULT_MINUTES = 8.0  # time of a first run
SETTING_NAMES = {
    "scenario.clients": "{} clients",
    "task.classes": "{} classes",
    "training.batch": "batches of {}",
    "task.dataset": "{}",
}  # how a setting is written in the name of a scenario


@dataclass(frozen=True, kw_only=True)
class Space:
    """A loaded space or recipe, with the command line's overrides applied to its base.

    Attributes:
        name: Stem of the file.
        title: First line of the file.
        base: The anchor: every choice at its default.
        scenarios: Overrides of each scenario.
        contrasts: Path -> levels of a factor.
        sample: The search space: takes a trial and returns overrides; None where nothing is searched.
        anchors: Parameters of the first search trials.
        rivals: Label -> overrides of a method that is compared.
        rival_spaces: Label -> search space of a rival that is tuned.
        interactions: Pairs of contrasts that are also moved together.
        grid: Label -> overrides of an entry of a recipe.
        tune: Path -> levels over which each entry of a recipe is tuned.
        figures: Figures of a recipe's report.
        fixed: Overrides of the command line; they also win over those of a scenario.
        seeds: Seeds per trial.
        tune_seeds: Seeds on which a recipe is tuned; None = all.
        minutes: Time of a run that gives no other limit.
    """

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
    fixed: Overrides = field(default_factory=dict)
    seeds: int = DEFAULT_SEEDS
    tune_seeds: int | None = None
    minutes: float = DEFAULT_MINUTES

    def experiments(self) -> dict[str, Experiment]:
        """Return the base experiment in every scenario, by the name of the scenario.

        The name is the scenario's label; where labels are equal, the settings that differ are added.

        Raises:
            UserError: Two scenarios have the same name.
        """
        experiments = [
            override(self.base, {**scenario, **self._fixed_settings(scenario)}) for scenario in self.scenarios
        ]
        names = _scenario_names(experiments)
        if len(set(names)) < len(names):
            raise UserError(
                f"space '{self.name}': SCENARIOS: two are called '{max(names, key=names.count)}'; run "
                "them in sweeps of their own"
            )
        return dict(zip(names, experiments, strict=True))

    def record(self) -> dict[str, Any]:
        """Return the base and the command line's overrides, from which the commands of a report start."""
        return {"base": to_dict(self.base), "fixed": dict(self.fixed)}

    def _fixed_settings(self, scenario: Overrides) -> dict[str, Any]:
        """Return the settings of a scenario that the command line overrides."""
        return {path: value for path, value in self.fixed.items() if path in scenario}


def _scenario_names(experiments: Sequence[Experiment]) -> list[str]:
    """Return the scenarios' labels; where they are equal, the settings that differ are added."""
    labels = [experiment.scenario.label for experiment in experiments]
    settings = [to_dict(experiment) for experiment in experiments]
    names = []
    for label, values in zip(labels, settings, strict=True):
        equally_named = [other for name, other in zip(labels, settings, strict=True) if name == label]
        differing = [
            path
            for path in paths(values)
            if any(value_at(other, path) != value_at(values, path) for other in equally_named)
        ]
        parts = [
            SETTING_NAMES.get(path, f"{path.rpartition('.')[2]}={{}}").format(
                "all" if value_at(values, path) is None else value_at(values, path)
            )
            for path in differing
        ]
        names.append(", ".join([label, *parts]))
    return names


def level_overrides(factor: str, level: Any) -> dict[str, Any]:
    """Return the overrides of a contrast's level: its value, or the overrides that it consists of."""
    return dict(level) if isinstance(level, Mapping) else {factor: level}


def level_name(factor: str, level: Any) -> str:
    """Return a level in words: the value of its factor, then what is changed with it."""
    overrides = level_overrides(factor, level)
    rest = [f"{path.rpartition('.')[2]}={value}" for path, value in overrides.items() if path != factor]
    return ", ".join([str(overrides[factor]), *rest])
