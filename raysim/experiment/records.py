"""An experiment: everything that decides a result, as one frozen record, and its form as plain data."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, Self

from pydantic import SerializeAsAny, model_validator

from raysim.backbones.own import BACKBONES
from raysim.clients.faults import Faults
from raysim.clients.partition import SCENARIOS
from raysim.clients.scenario import Scenario
from raysim.core import plugins
from raysim.core.code import code_of
from raysim.core.config import Config, canonical_json, digest, knob, late_fields, parse
from raysim.core.errors import UserError
from raysim.core.registry import Registry
from raysim.data.registry import BUILT_IN, DATASETS
from raysim.experiment import checks, effects
from raysim.experiment.evaluation import Evaluation
from raysim.experiment.resources import Resources
from raysim.experiment.task import Task
from raysim.experiment.training import Training
from raysim.methods import METHODS, Method
from raysim.methods.aggregation import ServerOptimiser
from raysim.nn.convnets import BUILT_IN_NETWORKS, NETWORKS

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

    @cached_property
    def _ids(self) -> dict[str, str]:
        """The id under each code of plug-ins that this process has had: computing one takes milliseconds."""
        return {}

    @property
    def id(self) -> str:
        """Twelve hex digits; equal experiments on other machines have equal ids.

        Settings without effect count as their defaults: experiments that differ in them alone are one run.
        The code of plug-ins that the experiment uses counts, too.
        """
        code = canonical_json(foreign_code(self))
        if code not in self._ids:
            unused = effects.without_effect(self)
            values = identity_values(self, {path: effects.default_of(self, path) for path in unused})
            del values["resources"]
            self._ids[code] = digest(values)
        return self._ids[code]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values; it computes an id of its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("_ids", None)
        return copied


REGISTRIES: dict[str, Registry[Any]] = {"scenario": SCENARIOS, "method": METHODS}


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Return an experiment as plain data; `scenario` and `method` carry their `name`."""
    values = experiment.model_dump()
    for block in REGISTRIES:
        values[block] = {"name": getattr(experiment, block).name, **values[block]}
    return values


def identity_values(experiment: Experiment, taken: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the plain data that decide an id, the same wherever the table of the clients lies.

    Fields that came later are left out at their defaults, so that older ids stay. The digests of code from
    plug-ins are added where it is used.

    Args:
        experiment: The experiment.
        taken: Path -> value that counts in place of the experiment's.
    """
    values = to_dict(experiment)
    values["scenario"] |= dict.fromkeys(experiment.scenario.places)
    for path, value in (taken or {}).items():
        group, _, field = path.rpartition(".")
        (values[group] if group else values)[field] = value
    for group in type(experiment).model_fields:
        record = getattr(experiment, group)
        if isinstance(record, Config):
            for name in late_fields(type(record)):
                if values[group][name] == type(record).model_fields[name].default:
                    del values[group][name]
    code = foreign_code(experiment)
    return {**values, "code": code} if code else values


def from_dict(values: Mapping[str, Any]) -> Experiment:
    """Return the experiment of plain data; the reverse of `to_dict`.

    Raises:
        UserError: a wrong value; it names the dotted path, the value and what is allowed.
    """
    parsed: dict[str, Any] = dict(values)
    for block, registry in REGISTRIES.items():
        if block in parsed:
            if not isinstance(parsed[block], Mapping):
                raise UserError(
                    f"{block} = {parsed[block]!r} is not allowed: it should be a group with a name"
                )
            fields = dict(parsed[block])
            name = fields.pop("name", None)
            parsed[block] = parse(registry.get_or_refuse(name, f"{block}.name"), fields, block)
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


def foreign_code(experiment: Experiment) -> dict[str, str]:
    """Return the digests of the code that an experiment uses and that does not come with raysim.

    Returns:
        `method mine` -> digest, for method, scenario, dataset, backbone and networks; of a class
        from a plug-in that builds on a class of another one, of both.
    """
    return {name: found for name, thing in used_things(experiment) if (found := code_of(thing))}


def check_travels(experiment: Experiment) -> None:
    """Check that Ray's workers can load all that an experiment uses.

    Raises:
        UserError: A class of it is defined in a script or in a notebook's cell.
    """
    for _, thing in used_things(experiment):
        plugins.check_travels(thing)


def used_things(experiment: Experiment) -> Iterator[tuple[str, Any]]:
    """Return the classes and functions behind an experiment's names, each with a name for messages."""
    records: tuple[Method | Scenario, ...] = (experiment.method, experiment.scenario)
    for block, record in zip(("method", "scenario"), records, strict=True):
        yield from _with_bases(f"{block} {record.name}", type(record))
    for name in experiment.task.dataset.split("+"):
        if name not in BUILT_IN and name in DATASETS:
            yield from _with_bases(f"dataset {name}", DATASETS[name])
    if experiment.task.backbone in BACKBONES:
        yield f"backbone {experiment.task.backbone}", BACKBONES[experiment.task.backbone]
    for name in experiment.method.architectures:
        if name not in BUILT_IN_NETWORKS and name in NETWORKS:
            yield f"network {name}", NETWORKS[name]


def _with_bases(name: str, cls: type) -> Iterator[tuple[str, type]]:
    """Return a class and its bases, which may come from elsewhere."""
    yield name, cls
    yield from ((f"{name}: {base.__name__}", base) for base in cls.__mro__[1:])


def identity(experiment: Experiment) -> str:
    """Return an experiment as canonical JSON without its resources: the address of its workers."""
    values = to_dict(experiment)
    del values["resources"]
    return canonical_json({**values, "code": foreign_code(experiment)})


def of_identity(text: str) -> Experiment:
    """Return the experiment of an `identity`.

    Raises:
        UserError: This process has other code of a method or scenario than the one that wrote the identity.
    """
    values = json.loads(text)
    code = values.pop("code")
    experiment = from_dict(values)
    for name, digest_here in foreign_code(experiment).items():
        if code.get(name) != digest_here:
            raise UserError(
                f"{name}: this worker has other code ({digest_here}) than the driver ({code.get(name)}); "
                "install the same version of its package on all machines"
            )
    return experiment
