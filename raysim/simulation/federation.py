"""A federation made real: the images and their split, who holds what, and what is frozen.

Shapes: N images, V views, S x S pixels, M patches, d embedding, C classes, D domains, K clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from raysim.clients.heterogeneity import heterogeneity
from raysim.clients.noise import told
from raysim.core.config import canonical
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.core.types import POOLED
from raysim.data.splits import limit_shots
from raysim.experiment.records import Experiment, to_dict
from raysim.simulation.images import Images, confusable_of, images_of

NEVER_DEALT = (
    "rounds",
    "participation",
    "method",
    "training",
    "resources",
)  # blocks that decide nothing about who holds what
DEALT_MOST = 16  # federations that a process remembers


@dataclass(frozen=True)
class Federation:
    """Who holds what.

    Attributes:
        images: The task's images.
        shards: K index arrays into the images; a client's training images.
        samples: Indices of the server's own labelled samples (SES); no client has them.
        frequencies: [K, C * D]: each client's share of images per (class, domain), by true labels.
        noisy: [N] labels that clients train with; None: the true ones.
        newcomers: Clients that never take part in training, ascending.
    """

    experiment: Experiment
    images: Images
    shards: tuple[np.ndarray, ...]
    samples: np.ndarray
    frequencies: np.ndarray
    noisy: np.ndarray | None = None
    newcomers: np.ndarray = field(default_factory=lambda: np.array([], dtype=np.int64))

    @classmethod
    def of(cls, experiment: Experiment) -> Federation:
        """Deal the images to the clients, as the scenario and the seed say; once per process for all that differs in the training only.

        Raises:
            UserError: a scenario that these images cannot meet.
        """
        values = {name: value for name, value in to_dict(experiment).items() if name not in NEVER_DEALT}
        key = canonical([values, experiment.samples_per_class])
        if key not in _DEALT:
            _DEALT[key] = cls._deal(experiment)
            if len(_DEALT) > DEALT_MOST:
                del _DEALT[next(iter(_DEALT))]
        return replace(_DEALT[key], experiment=experiment)

    @classmethod
    def _deal(cls, experiment: Experiment) -> Federation:
        images = images_of(experiment.task)
        train = images.where("train")
        if not len(train) or not len(images.where("validation")):
            raise UserError(
                f"task.dataset = '{experiment.task.dataset}': {len(images.labels)} images leave "
                f"{len(train)} to train and "
                f"{len(images.where('validation'))} to validate; a class (of pixels: a domain) needs "
                "4 or more"
            )
        if experiment.task.novel and not len(
            (novel := images_of(experiment.task, novel=True)).where("validation")
        ):
            raise UserError(
                f"task.novel = {experiment.task.novel}: {', '.join(novel.class_names)} have no validation "
                "image; 4 or more are needed"
            )
        samples = _samples(train, images.labels, experiment)
        train = np.setdiff1d(train, samples)
        if experiment.task.shots:
            train = limit_shots(
                train, images.labels, experiment.task.shots, numpy_rng(experiment.seed, "shots")
            )
        rng = numpy_rng(experiment.seed, "partition")
        dealt = experiment.scenario.assign(images.labels[train], images.domains[train], rng)
        shards = tuple(train[part] for part in dealt)
        cells = len(images.class_names) * len(images.domain_names)
        cell = images.labels * len(images.domain_names) + images.domains
        counts = np.stack([np.bincount(cell[shard], minlength=cells) for shard in shards]).astype(np.float64)
        frequencies = counts / counts.sum(axis=1, keepdims=True)
        return cls(
            experiment,
            images,
            shards,
            samples,
            frequencies,
            _noisy(experiment, images, shards),
            _newcomers(experiment),
        )

    @property
    def clients(self) -> int:
        """Number of clients."""
        return len(self.shards)

    @property
    def told(self) -> np.ndarray:
        """The labels that clients train with, [N]; true ones for images that no client has."""
        return self.images.labels if self.noisy is None else self.noisy

    @property
    def trainers(self) -> np.ndarray:
        """The clients that may train, ascending: all but newcomers."""
        return np.setdiff1d(np.arange(self.clients), self.newcomers)

    def shard(self, client: int) -> np.ndarray:
        """The training images of a client; of everybody that may train for the pooled pseudo-client."""
        return (
            np.sort(np.concatenate([self.shards[k] for k in self.trainers]))
            if client == POOLED
            else self.shards[client]
        )

    def heterogeneity(self) -> dict[str, Any]:
        """Requested and achieved."""
        train = self.images.where("train")
        position = np.full(len(self.images.labels), -1)
        position[train] = np.arange(len(train))
        parts = [position[shard] for shard in self.shards]
        achieved = heterogeneity(parts, self.images.labels[train], self.images.domains[train])
        if self.noisy is not None:
            held = np.concatenate(self.shards)
            achieved["label_noise"] = float((self.told[held] != self.images.labels[held]).mean())
        return {"requested": self.experiment.scenario.requested(), "achieved": achieved}


_DEALT: dict[str, Federation] = {}


def _noisy(experiment: Experiment, images: Images, shards: Sequence[np.ndarray]) -> np.ndarray | None:
    """The labels that clients train with, [N]; None where all are true."""
    share, pairs = experiment.scenario.label_noise, experiment.scenario.noise_kind == "pairs"
    if not share:
        return None
    confused = confusable_of(experiment.task) if pairs else None
    return told(images.labels, shards, share, len(images.class_names), confused, experiment.seed)


def _newcomers(experiment: Experiment) -> np.ndarray:
    """Who never takes part, ascending: the first of a seeded order, so that a larger share includes a smaller one."""
    share, clients = experiment.evaluation.newcomers, experiment.scenario.clients
    count = min(clients - 1, max(1, round(share * clients))) if share else 0
    return np.sort(numpy_rng(experiment.seed, "newcomers").permutation(clients)[:count])


def _samples(train: np.ndarray, labels: np.ndarray, experiment: Experiment) -> np.ndarray:
    """The server's samples, sorted: `task.ses` per class, or falling along a random order of the classes; each class keeps an image."""
    most = experiment.samples_per_class
    if not most:
        return train[:0]
    rng = numpy_rng(experiment.seed, "ses")
    present = np.unique(labels[train])
    rank_C = rng.permutation(len(present)) / max(len(present) - 1, 1)
    wanted_C = np.maximum(1, np.round(most * experiment.task.ses_imbalance**-rank_C)).astype(int)
    found = []
    for label, wanted in zip(present, wanted_C, strict=True):
        mine = train[labels[train] == label]
        found.append(rng.permutation(mine)[: min(wanted, len(mine) - 1)])
    if not sum(map(len, found)):
        raise UserError(
            f"task.ses = {most} is not allowed: no class has two training images, one for the server and "
            "one for a client"
        )
    return np.sort(np.concatenate(found))
