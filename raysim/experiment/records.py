"""An experiment: everything that decides a result, as one frozen record, and its form as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import SerializeAsAny, model_validator

from raysim.clients.faults import Faults
from raysim.clients.partition import SCENARIOS
from raysim.clients.scenario import Scenario
from raysim.core.config import Config, canonical_json, digest, knob, late_fields, parse, unknown_name
from raysim.experiment import checks, effects
from raysim.experiment.evaluation import Evaluation
from raysim.experiment.resources import Resources
from raysim.experiment.task import Task
from raysim.experiment.training import Training
from raysim.methods import METHODS, Method
from raysim.methods.aggregation import ServerOptimiser

SERVER_SAMPLES = 10  # per class, where a method needs them and `task.ses` says nothing


class Experiment(Config):
    """A federated simulation. Its `id` is a hash of all fields that have an effect, without `resources`."""

    seed: int = knob(
        0,
        "seed of the partition, the cohorts, the batches and the first weights",
        basis="guess",
        ge=0,
    )
    rounds: int = knob(
        50,
        "communication rounds",
        basis="relative",
        source="FLiP",
        search="10-150",
        ge=0,
        le=100_000,
    )
    participation: float = knob(
        1.0,
        "share of the clients that take part in a round",
        basis="relative",
        source="FedOTP",
        search="{0.1,0.5,1}",
        gt=0,
        le=1,
    )
    task: Task = Task()
    scenario: SerializeAsAny[Scenario] = SCENARIOS["even"]()
    method: SerializeAsAny[Method] = METHODS["fedrsclip"]()
    training: Training = Training()
    server: ServerOptimiser = ServerOptimiser()
    faults: Faults = Faults()
    evaluation: Evaluation = Evaluation()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def check_groups(self) -> Self:
        """Check that the groups can work together."""
        method, task = self.method, self.task
        checks.check_rounds(method, self.rounds)
        checks.check_segmentation(method, task)
        checks.check_architectures(method, self.scenario.clients)
        checks.check_samples(method, self.samples_per_class)
        checks.check_shift(method, task, self.scenario, self.evaluation)
        checks.check_updates(method, self.server, self.faults)
        return self

    @property
    def clocked(self) -> bool:
        """Whether rounds happen on a virtual clock, with faults; never without clients that train."""
        traits = self.method.traits
        return (self.faults.active or self.server.robust) and traits.trains and not traits.pooled

    @property
    def samples_per_class(self) -> int:
        """Training images per class that the server keeps for itself."""
        if self.task.ses is not None:
            return self.task.ses
        return SERVER_SAMPLES if self.method.traits.needs_samples else 0

    @property
    def total_rounds(self) -> int:
        """Rounds that are run: none for a method that does not train."""
        return self.rounds if self.method.traits.trains else 0

    @property
    def id(self) -> str:
        """Twelve hex digits; equal experiments on other machines have equal ids.

        Settings without effect count as their defaults: experiments that differ in them alone are one run.
        """
        values = to_dict(self)
        del values["resources"]
        for path in effects.without_effect(self):
            group, _, field = path.rpartition(".")
            block = values[group] if group else values
            block[field] = effects.default_of(self, path)
        return digest(without_late_defaults(self, values))


REGISTRIES: dict[str, Mapping[str, type[Config]]] = {"scenario": SCENARIOS, "method": METHODS}


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as plain data; `scenario` and `method` carry their `name`."""
    values = experiment.model_dump()
    for block in REGISTRIES:
        values[block] = {"name": getattr(experiment, block).name, **values[block]}
    return values


def without_late_defaults(experiment: Experiment, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return an experiment's plain data without late fields at their defaults, so that older ids stay.

    Args:
        experiment: The experiment.
        values: Its data, as `to_dict` returns them.
    """
    kept = dict(values)
    for group in type(experiment).model_fields:
        record = getattr(experiment, group)
        if isinstance(record, Config) and isinstance(kept.get(group), Mapping):
            fields = type(record).model_fields
            late = [
                name for name in late_fields(type(record)) if kept[group].get(name) == fields[name].default
            ]
            kept[group] = {name: value for name, value in kept[group].items() if name not in late}
    return kept


def from_dict(values: Mapping[str, Any]) -> Experiment:
    """Return the experiment of plain data; the reverse of `to_dict`.

    Raises:
        UserError: a wrong value; it names the dotted path, the value and what is allowed.
    """
    parsed: dict[str, Any] = dict(values)
    for block, registry in REGISTRIES.items():
        if block in parsed:
            fields = dict(parsed[block])
            name = fields.pop("name", None)
            if not isinstance(name, str) or name not in registry:
                raise unknown_name(f"{block}.name", str(name), list(registry))
            parsed[block] = parse(registry[name], fields, block)
    groups: dict[str, type[Config]] = {
        "task": Task,
        "training": Training,
        "server": ServerOptimiser,
        "faults": Faults,
        "evaluation": Evaluation,
        "resources": Resources,
    }
    for block, cls in groups.items():
        if isinstance(parsed.get(block), Mapping):
            parsed[block] = parse(cls, parsed[block], block)
    return parse(Experiment, parsed)


def identity(experiment: Experiment) -> str:
    """Return an experiment as canonical_json JSON without its resources: the address of its workers."""
    values = to_dict(experiment)
    del values["resources"]
    return canonical_json(values)
