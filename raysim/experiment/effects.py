"""Settings without effect: which fields of an experiment change nothing, given its other fields.

A field may act only under some values of others: the server's learning rate needs a server optimiser. Where
these are fields of the same group, the condition stands beside the field (`knob(..., used_when=...)`). Here
are the conditions that cross groups. `Experiment.id` takes such a field at its default, so that experiments
that are the same run have the same id. The command line refuses it where the user sets it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from raysim.core.config import Config, Use, unused_fields
from raysim.core.errors import UserError

_ABSENT = object()  # equal to no value: the other method or scenario has no such field
TRAINS = Use("a method that trains", lambda experiment: experiment.method.traits.trains)
CLIENTS_TRAIN = Use(
    "a method whose clients train, not one in one place",
    lambda experiment: experiment.method.traits.trains and not experiment.method.traits.pooled,
)
BACKBONE = Use(
    "a method that uses the frozen backbone, not one that trains a network of its own",
    lambda experiment: experiment.method.traits.needs_backbone,
)
# by path of a field, or of a group for all its fields
ACROSS_GROUPS: dict[str, Use] = {
    "rounds": TRAINS,
    "participation": CLIENTS_TRAIN,
    "task.backbone": BACKBONE,
    "task.backbone_path": BACKBONE,
    "task.ses_imbalance": Use("task.ses of 2 or more", lambda experiment: experiment.samples_per_class > 1),
    "task.views": TRAINS,
    "training": TRAINS,
    "training.schedule": Use("rounds of 2 or more", lambda experiment: experiment.rounds > 1),
    "training.micro_cohort": Use(
        "a method whose clients train stacked",
        lambda experiment: experiment.method.traits.stackable and not experiment.method.traits.pooled,
    ),
    "server": Use(
        "a method that trains one model for all",
        lambda experiment: experiment.method.traits.trains and experiment.method.traits.placement != "alone",
    ),
    "faults": CLIENTS_TRAIN,
    "evaluation.every": TRAINS,
}


def without_effect(experiment: Config) -> dict[str, str]:
    """Return the dotted paths of the settings that change nothing, with what would give them an effect.

    Args:
        experiment: An `Experiment`; that it has no effect does not mean that a setting is at its default.
    """
    idle = {key: use.words for key, use in ACROSS_GROUPS.items() if not use.holds(experiment)}
    unused: dict[str, str] = {}
    for name in type(experiment).model_fields:
        group = getattr(experiment, name)
        paths = (
            [f"{name}.{field}" for field in type(group).model_fields] if isinstance(group, Config) else [name]
        )
        for path in paths:
            for key in (name, path):
                if key in idle:
                    unused.setdefault(path, idle[key])
        if isinstance(group, Config):
            for field, words in unused_fields(group).items():
                unused.setdefault(f"{name}.{field}", _with_paths(words, name, group))
    return unused


def _with_paths(words: str, name: str, group: Config) -> str:
    """Return a condition of a group's field with paths as a user types them: `server.optimiser=adam`."""
    fields = "|".join(type(group).model_fields)
    return re.sub(rf"\b({fields})(?==| above | of \d)", rf"{name}.\1", words)


def default_of(experiment: Config, path: str) -> Any:
    """Return the default of a field at a dotted path, of the method and scenario that the experiment has."""
    record, field = _place(experiment, path)
    return type(record).model_fields[field].default


def refuse_without_effect(experiment: Config, changes: Mapping[str, Any], before: Config) -> None:
    """Refuse settings that a user chose and that change nothing.

    Args:
        experiment: An `Experiment` with these settings.
        changes: The user's settings by dotted path.
        before: The `Experiment` without them. A setting that it has already is no choice: the commands on a
            report's page spell out all settings of a run.

    Raises:
        UserError: A setting is away from its default and from what it was, and has no effect; says what would
            give it one.
    """
    unused = without_effect(experiment)
    for path, value in changes.items():
        record, field = _place(before, path)
        if path in unused and value not in (default_of(experiment, path), getattr(record, field, _ABSENT)):
            raise UserError(f"{path} = {value!r} has no effect here: it needs {unused[path]}; leave it out")


def _place(experiment: Config, path: str) -> tuple[Config, str]:
    """Return the record that holds the field of a dotted path, and the field's name."""
    group, _, field = path.rpartition(".")
    return (getattr(experiment, group, experiment) if group else experiment), field
