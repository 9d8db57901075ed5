"""Entries of a case: the stressed method, its references and variants, and their experiments at a level.

Two references stand beside every method: zero-shot CLIP, which trains nothing, and local-only training, which
sends nothing. Settings about what is sent (faults, aggregation, participation) do not concern them.
"""

from __future__ import annotations

import numpy as np

from raysim.core.errors import UserError
from raysim.experiment.overrides import override
from raysim.experiment.records import Experiment
from raysim.search.spaces.record import Overrides, Space
from raysim.simulation.datasets import dataset_of
from raysim.simulation.federation import Federation
from raysim.stress.cases import Case, Level

COMMON_SETTINGS: Overrides = {"scenario": "dirichlet", "scenario.alpha": 0.5}
QUICK_PROMPTS: Overrides = {  # of a method that works on frozen features
    "rounds": 6,
    "evaluation.every": 3,
    "scenario.clients": 8,
    "task.classes": 8,
    "task.shots": 24,
}
QUICK_NETWORKS: Overrides = {  # of a method that trains a network
    "rounds": 8,
    "evaluation.every": 4,
    "scenario.clients": 8,
    "task.classes": 5,
    "task.shots": 40,
    "task.image_size": 32,
    "task.ses": 5,
    "task.views": 1,
    "training.epochs": 1,
    "training.batch": 16,
    "training.lr": 0.05,
    "method.network": "cnn",
}
DEALING = ("scenario", "scenario.clients", "scenario.alpha")  # not asked of clients that exist
LOCAL_METHODS = ("local", "local_network")
# paths of settings, or their beginnings, that do not concern a reference
SENDING = ("faults.", "server.", "participation")
TRAINING = ("training.", "scenario.label_noise", "scenario.noise_kind")
IGNORED_SETTINGS: dict[str, tuple[str, ...]] = {
    "zeroshot": (*SENDING, *TRAINING),
    # a client that trains alone has no federation that newcomers could join
    **dict.fromkeys(LOCAL_METHODS, (*SENDING, "evaluation.newcomers")),
}


def entries_of(case: Case, space: Space, quick: bool) -> dict[str, Overrides]:
    """Return the entries of a case by label: the method, its references, its plain sibling, its variants.

    Args:
        case: The case.
        space: The space whose method is stressed.
        quick: Whether the plain sibling and most variants are left out.

    Raises:
        UserError: The suite cannot stress this space.
    """
    base = space.base
    if base.task.kind == "segmentation":
        raise UserError(
            f"space '{space.name}' classifies pixels; the stress suite knows image classification only"
        )
    if {"scenario", "scenario.name"} & set(space.fixed) and not base.scenario.given:
        raise UserError("scenario: the stress suite sets it, case by case; leave it out")
    network, name = _trains_network(base), base.method.name
    local, sibling = ("local_network", "fedavg") if network else ("local", "promptfl")
    zeroshot = {"method": "zeroshot", **({"task.image_size": None, "task.views": 1} if network else {})}
    entries: dict[str, Overrides] = {name: {}, "zeroshot": zeroshot}
    if case.has_local:
        entries[local] = {"method": local}
    if not quick:
        entries[sibling] = {"method": sibling}
    variants = {
        label: changes
        for label, changes in case.variants.items()
        if not quick or label in case.quick_variants
    }
    return entries | {f"{name}, {label}": changes for label, changes in variants.items()}


def experiment_of(case: Case, level: Level, space: Space, changes: Overrides, quick: bool) -> Experiment:
    """Return an entry at a level, on the first seed.

    Args:
        case: The case.
        level: One of its levels.
        space: The space.
        changes: Overrides of the entry.
        quick: Whether federations are small.

    Raises:
        UserError: It is not possible; the message has the reason.
    """
    sizes = (QUICK_NETWORKS if _trains_network(space.base) else QUICK_PROMPTS) if quick else {}
    ignored = IGNORED_SETTINGS.get(str(changes.get("method")), ())
    given = space.base.scenario.given
    sizes = {path: value for path, value in sizes.items() if path not in space.fixed}
    experiment = space.base
    for settings in (sizes, {} if given else COMMON_SETTINGS, case.settings, level.changes):
        wanted = {
            path: value
            for path, value in settings.items()
            if (settings is sizes or not path.startswith(ignored)) and not (given and path in DEALING)
        }
        if "task.classes" in wanted and "task.dataset" not in level.changes:
            wanted["task.classes"] = min(wanted["task.classes"], len(dataset_of(experiment.task).classes))
        experiment = override(experiment, wanted)
    if case.scales_deadlines and "faults." not in ignored:
        experiment = override(experiment, {"faults.step_seconds": 1.0 / _median_steps(experiment)})
    return override(experiment, changes)


def metric_of(case: Case, label: str) -> str:
    """Return the column that is judged of an entry."""
    return (case.metric_local or case.metric) if label in LOCAL_METHODS else case.metric


def _median_steps(experiment: Experiment) -> float:
    """Return the local steps of the median client in a round."""
    training = experiment.training
    sizes = np.array([len(shard) for shard in Federation.of(experiment).shards])
    return float(np.median(training.epochs * np.ceil(sizes / training.batch)))


def _trains_network(experiment: Experiment) -> bool:
    return experiment.method.traits.inputs == "pixels"
