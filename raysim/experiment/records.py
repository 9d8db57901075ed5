"""An experiment: everything that decides a result, as one frozen record; and the machines it runs on, which decide nothing."""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi
from typing import Any, Literal, Self

from pydantic import SerializeAsAny, model_validator

from raysim.clients.faults import Faults
from raysim.clients.partition import SCENARIOS, Scenario
from raysim.core.config import Config, canonical, digest, knob, parse, unknown
from raysim.core.types import Kind
from raysim.data import SEGMENTATION
from raysim.methods import METHODS, Method
from raysim.methods.aggregation import ServerOptimiser

SES = 10  # METHODS: samples per class where nothing is said


class Task(Config):
    """What is learned from what: the images and the frozen backbone."""

    dataset: str = knob(
        "scenes",
        "a dataset's name (`raysim data list`), or several joined by '+'",
        basis="guess",
    )
    path: str | None = knob(None, "folder of the dataset; otherwise $RAYSIM_DATA/NAME", basis="guess")
    backbone: str = knob(
        "scenes-clip",
        "CLIP weights: 'scenes-clip' is bundled, 'ViT-B-16/openai' is the paper's",
        basis="paper",
    )
    backbone_path: str | None = knob(None, "a local weight file or folder for the backbone", basis="guess")
    image_size: int | None = knob(
        None,
        "pixels; by default the backbone's, 64 for a network from scratch",
        basis="guess",
        ge=16,
        le=1024,
    )
    shots: int | None = knob(
        None,
        "training images per class over all clients; all by default",
        basis="guess",
        ge=1,
    )
    classes: int | None = knob(
        None,
        "only so many classes, evenly spaced in the dataset's order; all by default",
        basis="guess",
        ge=2,
    )
    novel: int = knob(
        0,
        "so many of the classes are left out of training altogether and evaluated beside the others (base "
        "to novel); 0, or 2 and more",
        basis="guess",
        source="CoCoOp: half of the classes",
        ge=0,
    )
    crop: int | None = knob(
        None,
        "segmentation: pixels a side of the squares that images are cut into before resizing; whole images "
        "by default",
        basis="guess",
        search="{128,256,512}",
        ge=16,
        le=4096,
    )
    ses: int | None = knob(
        None,
        "training images per class that the server keeps for itself (SES); by default 10 where the method "
        "needs them, else 0",
        basis="guess",
        search="{1,2,5,10,20,50}",
        ge=0,
        le=1000,
    )
    ses_imbalance: float = knob(
        1.0,
        "skew of the server's samples: most to fewest per class, falling along a random order of the "
        "classes; 1 = balanced",
        basis="guess",
        search="{1,10}",
        ge=1,
        le=1000,
    )
    views: int = knob(
        1,
        "augmented views cached per image; 1 = the plain image only",
        basis="guess",
        search="{1,4,8}",
        ge=1,
        le=64,
    )
    split_seed: int = knob(0, "seed of the frozen train / validation / test split", basis="guess", ge=0)

    @property
    def kind(self) -> Kind:
        """Whether images or pixels are classified: the dataset says."""
        return "segmentation" if self.dataset in SEGMENTATION else "classification"

    @model_validator(mode="after")
    def check_novel(self) -> Self:
        """Novel classes are told from each other, and base classes too."""
        if self.novel and self.kind == "segmentation":
            raise ValueError(
                f"novel = {self.novel} is not allowed: '{self.dataset}' classifies pixels; it should be 0"
            )
        if self.novel == 1:
            raise ValueError(
                "novel = 1 is not allowed: a single name is always right; it should be 0, or 2 and more"
            )
        if self.classes is not None and self.novel and self.novel > self.classes - 2:
            raise ValueError(
                f"novel = {self.novel} is not allowed: at least 2 of the {self.classes} classes must be "
                "left to train on"
            )
        return self

    @model_validator(mode="after")
    def check_kind(self) -> Self:
        """What one kind of task does not know."""
        if self.kind == "segmentation":
            if self.classes is not None:
                raise ValueError(
                    f"classes = {self.classes} is not allowed: '{self.dataset}' classifies pixels, all "
                    "classes are used"
                )
            if self.views > 1:
                raise ValueError(
                    f"views = {self.views} is not allowed: '{self.dataset}' classifies pixels, and views "
                    "would move them"
                )
        elif self.crop is not None:
            raise ValueError(f"crop = {self.crop} is not allowed: '{self.dataset}' classifies whole images")
        return self


class Training(Config):
    """What a client does in a round."""

    optimiser: Literal["sgd", "adam"] = knob(
        "sgd",
        "local optimiser; its state starts afresh every round",
        basis="relative",
        source="CoOp",
        search="{sgd,adam}",
    )
    lr: float = knob(
        0.002,
        "learning rate",
        basis="relative",
        source="CoOp",
        search="log-U [3e-4, 5e-2]",
        gt=0,
        le=100,
    )
    momentum: float = knob(0.9, "momentum of SGD", basis="relative", source="CoOp", ge=0, lt=1)
    weight_decay: float = knob(5e-4, "L2 weight decay", basis="relative", source="CoOp", ge=0, le=1)
    schedule: Literal["constant", "cosine"] = knob(
        "cosine",
        "learning rate over rounds",
        basis="relative",
        source="CoOp",
        search="{constant,cosine}",
    )
    batch: int = knob(
        32,
        "images per step",
        basis="relative",
        source="CoOp, FedOTP",
        search="{8,16,32,64}",
        ge=1,
        le=4096,
    )
    epochs: int = knob(
        1,
        "local epochs per round",
        basis="relative",
        source="FedOTP",
        search="{1,2,5}",
        ge=1,
        le=1000,
    )
    micro_cohort: int = knob(
        8,
        "clients that train stacked; part of the experiment, never of the machine",
        basis="computed",
        ge=1,
        le=256,
    )

    def rate(self, round_: int, rounds: int) -> float:
        """The learning rate in round `round_` of `rounds` (from 0)."""
        return self.lr if self.schedule == "constant" else self.lr * 0.5 * (1 + cos(pi * round_ / rounds))


class Evaluation(Config):
    """When and on how many clients the four accuracies are measured."""

    every: int = knob(
        5,
        "rounds between evaluations; the last round is always evaluated",
        basis="guess",
        ge=1,
    )
    clients: int = knob(200, "most clients evaluated: a fixed seeded sample beyond", basis="guess", ge=2)
    newcomers: float = knob(
        0.0,
        "share of the clients that never take part in training and are measured apart; above 0 at least "
        "one, and one is left to train",
        basis="guess",
        search="0 to 0.5",
        ge=0,
        le=0.9,
    )


class Resources(Config):
    """The machines. No part of an experiment's identity: any value gives the same bits."""

    workers: int = knob(2, "client actors", basis="guess", ge=1, le=4096)
    cpus: float = knob(1.0, "CPUs reserved per client actor", basis="guess", ge=0, le=256)
    gpus: float = knob(0.0, "GPU share reserved per client actor, e.g. 0.25", basis="guess", ge=0, le=8)


class Experiment(Config):
    """A federated simulation. `id` is a hash of all fields but `resources`."""

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
    def check_rounds(self) -> Self:
        """A method that trains needs rounds."""
        if self.method.trains and self.rounds == 0:
            raise ValueError(
                f"rounds = 0 is not allowed: '{self.method.name}' trains, so at least 1 round is needed"
            )
        return self

    @model_validator(mode="after")
    def check_task(self) -> Self:
        """The method must be able to do the task."""
        if self.task.kind == "segmentation" and not self.method.segments:
            able = ", ".join(name for name, method in METHODS.items() if method.segments)
            raise ValueError(
                f"method = '{self.method.name}' cannot classify the pixels of '{self.task.dataset}'; "
                f"methods that can: {able}"
            )
        network = str(getattr(self.method, "network", ""))
        architectures = network.count("+") + 1
        if architectures > 1 and (self.method.pooled or self.scenario.clients < architectures):
            holders = "one network in one place" if self.method.pooled else f"{self.scenario.clients} clients"
            raise ValueError(
                f"method.network = '{network}' is not allowed: {holders} cannot be of {architectures} "
                "architectures"
            )
        if self.method.needs_samples and self.samples_per_class == 0:
            raise ValueError(
                f"task.ses = 0 is not allowed: '{self.method.name}' needs samples on the server, at least "
                "1 image per class"
            )
        return self

    @model_validator(mode="after")
    def check_shift(self) -> Self:
        """Label noise, newcomers and novel classes need a task, clients and a method that can have them."""
        if self.scenario.label_noise and self.task.kind == "segmentation":
            raise ValueError(
                f"scenario.label_noise = {self.scenario.label_noise:g} is not allowed: "
                f"'{self.task.dataset}' has masks for labels; "
                "it should be 0"
            )
        if self.evaluation.newcomers and self.scenario.clients < 2:
            raise ValueError(
                f"evaluation.newcomers = {self.evaluation.newcomers:g} is not allowed with a single "
                "client; it should be 0"
            )
        if self.task.novel and not self.method.names_classes:
            able = ", ".join(name for name, method in METHODS.items() if method().names_classes)
            raise ValueError(
                f"task.novel = {self.task.novel} is not allowed: '{self.method.name}' trains a head for "
                "the classes it is shown and cannot "
                f"name others; methods that can: {able}, and any with method.network=image_tower"
            )
        return self

    @model_validator(mode="after")
    def check_updates(self) -> Self:
        """What is to be done with single updates must be possible with this method's."""
        method, rule = self.method, self.server.aggregation
        if self.server.robust and (method.pooled or not method.shares or method.needs_updates):
            why = (
                "combines clients' networks by a rule of its own"
                if method.needs_updates
                else "trains in one place"
                if method.pooled
                else "averages nothing"
            )
            raise ValueError(
                f"server.aggregation = '{rule}' is not allowed: '{method.name}' {why}; it should be 'mean'"
            )
        if self.faults.stale == "keep" and method.sends_aside:
            raise ValueError(
                f"faults.stale = 'keep' is not allowed: '{method.name}' reads more than tensors to average "
                "from an update, "
                "and that cannot be weighted by its age; it should be 'drop'"
            )
        return self

    @property
    def clocked(self) -> bool:
        """Whether rounds happen on a virtual clock, with faults: never where one place trains, or none."""
        return (self.faults.active or self.server.robust) and self.method.trains and not self.method.pooled

    @property
    def samples_per_class(self) -> int:
        """Training images per class that the server keeps."""
        return (SES if self.method.needs_samples else 0) if self.task.ses is None else self.task.ses

    @property
    def id(self) -> str:
        """Twelve hex digits; equal experiments on other machines have equal ids."""
        values = to_dict(self)
        del values["resources"]
        return digest(values)

    @property
    def total_rounds(self) -> int:
        """Rounds that are run: none for a method that does not train."""
        return self.rounds if self.method.trains else 0


REGISTRIES: dict[str, Mapping[str, type[Config]]] = {"scenario": SCENARIOS, "method": METHODS}


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """Plain data; `scenario` and `method` carry their `name`."""
    values = experiment.model_dump()
    for block in REGISTRIES:
        values[block] = {"name": getattr(experiment, block).name, **values[block]}
    return values


def from_dict(values: Mapping[str, Any]) -> Experiment:
    """The reverse of `to_dict`.

    Raises:
        UserError: naming the dotted path, the value and what is allowed.
    """
    parsed: dict[str, Any] = dict(values)
    for block, registry in REGISTRIES.items():
        if block in parsed:
            fields = dict(parsed[block])
            name = fields.pop("name", None)
            if not isinstance(name, str) or name not in registry:
                raise unknown(f"{block}.name", str(name), list(registry))
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
    """The experiment as canonical JSON without its resources: what workers are addressed by."""
    values = to_dict(experiment)
    del values["resources"]
    return canonical(values)
