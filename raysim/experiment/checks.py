"""Checks between the groups of an experiment: what a method, a task, a scenario and faults can do together.

Each check raises a ValueError that names the setting, its value and what is allowed.
"""

from __future__ import annotations

from raysim.clients.faults import Faults
from raysim.clients.scenario import Scenario
from raysim.experiment.evaluation import Evaluation
from raysim.experiment.task import Task
from raysim.methods import METHODS, Method
from raysim.methods.aggregation import ServerOptimiser


def check_rounds(method: Method, rounds: int) -> None:
    """Check that a method that trains has rounds."""
    if method.traits.trains and rounds == 0:
        raise ValueError(f"rounds = 0 is not allowed: '{method.name}' trains, so at least 1 round is needed")


def check_segmentation(method: Method, task: Task) -> None:
    """Check that the method can classify pixels where the task asks for it."""
    if task.kind == "segmentation" and not method.traits.segments:
        able = ", ".join(name for name, cls in METHODS.usable().items() if cls().traits.segments)
        raise ValueError(
            f"method = '{method.name}' cannot classify the pixels of '{task.dataset}'; methods that can: "
            f"{able}"
        )


def check_architectures(method: Method, clients: int | None) -> None:
    """Check that there is a client for every architecture; None: the number of clients is not known yet."""
    names, pooled = method.architectures, method.traits.pooled
    if len(names) > 1 and (pooled or (clients is not None and clients < len(names))):
        holders = "one network in one place" if pooled else f"{clients} clients"
        raise ValueError(
            f"method.network = '{'+'.join(names)}' is not allowed: {holders} cannot be of {len(names)} "
            "architectures"
        )


def check_samples(method: Method, samples_per_class: int) -> None:
    """Check that the server has samples where the method needs them."""
    if method.traits.needs_samples and samples_per_class == 0:
        raise ValueError(
            f"task.ses = 0 is not allowed: '{method.name}' needs samples on the server, at least 1 image per "
            "class"
        )


def check_shift(method: Method, task: Task, scenario: Scenario, evaluation: Evaluation) -> None:
    """Check that task, clients and method allow label noise, newcomers and novel classes."""
    if scenario.label_noise and task.kind == "segmentation":
        raise ValueError(
            f"scenario.label_noise = {scenario.label_noise:g} is not allowed: '{task.dataset}' has masks for "
            "labels; it should be 0"
        )
    check_newcomers(evaluation, scenario.clients)
    if task.novel and not method.traits.names_classes:
        able = ", ".join(name for name, cls in METHODS.usable().items() if cls().traits.names_classes)
        raise ValueError(
            f"task.novel = {task.novel} is not allowed: '{method.name}' trains a head for the classes it is "
            f"shown and cannot name others; methods that can: {able}, and any with method.network=image_tower"
        )


def check_newcomers(evaluation: Evaluation, clients: int | None) -> None:
    """Check that a client is left to train; None: the number of clients is not known yet."""
    if evaluation.newcomers and clients is not None and clients < 2:
        raise ValueError(
            f"evaluation.newcomers = {evaluation.newcomers:g} is not allowed with a single client; it should "
            "be 0"
        )


def check_updates(method: Method, server: ServerOptimiser, faults: Faults) -> None:
    """Check that the server can do with single updates what it is asked to, under this method."""
    traits = method.traits
    if server.robust and (not traits.averages or traits.needs_updates):
        if traits.needs_updates:
            reason = "combines clients' networks by a rule of its own"
        else:
            reason = "trains in one place" if traits.pooled else "averages nothing"
        raise ValueError(
            f"server.aggregation = '{server.aggregation}' is not allowed: '{method.name}' {reason}; it "
            "should be 'mean'"
        )
    if faults.stale == "keep" and traits.sends_aside:
        raise ValueError(
            f"faults.stale = 'keep' is not allowed: '{method.name}' reads more than tensors to average "
            "from an update, and that cannot be weighted by its age; it should be 'drop'"
        )
