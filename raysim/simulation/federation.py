"""The federation of an experiment: which client holds which image.

Shapes: N images, C classes, D domains, K clients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from raysim.clients.given import first_images
from raysim.clients.heterogeneity import heterogeneity
from raysim.clients.noise import training_labels
from raysim.core.config import canonical_json
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.core.types import POOLED
from raysim.core.warm import kept
from raysim.data.splits import limit_shots
from raysim.experiment.checks import check_architectures, check_newcomers
from raysim.experiment.records import Experiment, to_dict
from raysim.simulation.images import Images, confusable_of, images_of

# blocks of an experiment on which the assignment of images to clients does not depend
WITHOUT_EFFECT = ("rounds", "participation", "method", "training", "resources")


@dataclass(frozen=True)
class Federation:
    """Images and clients of an experiment.

    Attributes:
        experiment: The experiment.
        images: The task's images.
        shards: Training images of each client, as indices. K
        samples: The server's own labelled samples (SES), as indices; no client has them.
        frequencies: Share of each class and domain among a client's images, by true labels. [K, C * D]
        noisy: Labels that clients train with; None where all are true. [N]
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
        """Deal the images to the clients, as the scenario and the seed say.

        Experiments that differ only in their training share the shards that this process has dealt already.

        Raises:
            UserError: These images cannot meet the scenario.
        """
        federation = replace(_deal(experiment), experiment=experiment)
        try:  # of drawn clients the experiment has made sure already
            check_architectures(experiment.method, federation.clients)
        except ValueError as error:
            raise UserError(str(error)) from None
        return federation

    @property
    def clients(self) -> int:
        """Number of clients."""
        return len(self.shards)

    @property
    def training_labels(self) -> np.ndarray:
        """Labels that clients train with, [N]; true ones for images that no client has."""
        return self.images.labels if self.noisy is None else self.noisy

    @property
    def trainers(self) -> np.ndarray:
        """Clients that may train, ascending: all but newcomers."""
        return np.setdiff1d(np.arange(self.clients), self.newcomers)

    def shard(self, client: int) -> np.ndarray:
        """Training images of a client; those of all trainers for the pooled pseudo-client."""
        return (
            np.sort(np.concatenate([self.shards[k] for k in self.trainers]))
            if client == POOLED
            else self.shards[client]
        )

    def heterogeneity(self) -> dict[str, Any]:
        """The heterogeneity that the scenario asks for, and the one that the shards have."""
        train = self.images.indices("train")
        position = np.full(len(self.images.labels), -1)
        position[train] = np.arange(len(train))
        parts = [position[shard] for shard in self.shards]
        achieved = heterogeneity(parts, self.images.labels[train], self.images.domains[train])
        if self.noisy is not None:
            indices = np.concatenate(self.shards)
            wrong = self.training_labels[indices] != self.images.labels[indices]
            achieved["label_noise"] = float(wrong.mean())
        return {"requested": self.experiment.scenario.requested(), "achieved": achieved}


def _dealing_key(experiment: Experiment) -> str:
    """Return the part of an experiment on which the assignment of images to clients depends."""
    values = {name: value for name, value in to_dict(experiment).items() if name not in WITHOUT_EFFECT}
    return canonical_json([values, experiment.samples_per_class])


@kept("federations", maxsize=16, key=_dealing_key)
def _deal(experiment: Experiment) -> Federation:
    """Deal the training images of a task to the server and the clients."""
    _check_splits(experiment)
    images = images_of(experiment)
    train, groups, kept_first = images.indices("train"), images.domains, np.array([], dtype=np.int64)
    if images.given is not None:
        train, groups = train[images.given.owners[train] >= 0], images.given.owners
        rng = numpy_rng(experiment.seed, "first images")
        kept_first = train[first_images(images.labels[train], groups[train], rng)]
    samples = _samples(train, kept_first, images.labels, experiment)
    train = np.setdiff1d(train, samples)
    if experiment.task.shots:
        rng = numpy_rng(experiment.seed, "shots")
        train = limit_shots(train, images.labels, experiment.task.shots, rng, kept_first)
    rng = numpy_rng(experiment.seed, "partition")
    parts = experiment.scenario.assign(images.labels[train], groups[train], rng)
    shards = tuple(train[part] for part in parts)
    cells = len(images.class_names) * len(images.domain_names)
    cell = images.labels * len(images.domain_names) + images.domains
    counts = np.stack([np.bincount(cell[shard], minlength=cells) for shard in shards]).astype(np.float64)
    frequencies = counts / counts.sum(axis=1, keepdims=True)
    return Federation(
        experiment,
        images,
        shards,
        samples,
        frequencies,
        _noisy(experiment, images, shards),
        _newcomers(experiment, len(shards)),
    )


def _check_splits(experiment: Experiment) -> None:
    """Raise `UserError` where a task has no image to train on, or none to validate with."""
    images, task = images_of(experiment), experiment.task
    train, validation = len(images.indices("train")), len(images.indices("validation"))
    if not train or not validation:
        raise UserError(
            f"task.dataset = '{task.dataset}': {len(images.labels)} images leave {train} to train and "
            f"{validation} to validate; a class (of pixels: a domain) needs 4 or more"
        )
    if images.given is not None and not images.given.names:
        raise UserError(
            f"scenario = 'given': nobody holds an image for training of the classes of task.dataset = "
            f"'{task.dataset}'; of {len(images.given.absent)} clients none takes part"
        )
    if not task.novel:
        return
    novel = images_of(experiment, novel=True)
    if not len(novel.indices("validation")):
        raise UserError(
            f"task.novel = {task.novel}: {', '.join(novel.class_names)} have no validation "
            "image; 4 or more are needed"
        )


def _noisy(experiment: Experiment, images: Images, shards: Sequence[np.ndarray]) -> np.ndarray | None:
    """Draw the labels that clients train with, [N]; None where all are true."""
    share, pairs = experiment.scenario.label_noise, experiment.scenario.noise_kind == "pairs"
    if not share:
        return None
    confused = confusable_of(experiment) if pairs else None
    return training_labels(images.labels, shards, share, len(images.class_names), confused, experiment.seed)


def _newcomers(experiment: Experiment, clients: int) -> np.ndarray:
    """Draw the clients that never take part, ascending.

    They are the first of a seeded order, so that a larger share includes a smaller one.
    """
    share = experiment.evaluation.newcomers
    try:  # of drawn clients the experiment has made sure already
        check_newcomers(experiment.evaluation, clients)
    except ValueError as error:
        raise UserError(str(error)) from None
    count = min(clients - 1, max(1, round(share * clients))) if share else 0
    return np.sort(numpy_rng(experiment.seed, "newcomers").permutation(clients)[:count])


def _samples(
    train: np.ndarray, kept_first: np.ndarray, labels: np.ndarray, experiment: Experiment
) -> np.ndarray:
    """Draw the server's samples, ascending: `task.ses` per class, and at least one image is left to clients.

    With `task.ses_imbalance` the number falls along a random order of the classes. The server never takes the
    images in `kept_first`.
    """
    most = experiment.samples_per_class
    if not most:
        return train[:0]
    rng = numpy_rng(experiment.seed, "ses")
    present = np.unique(labels[train])
    rank_C = rng.permutation(len(present)) / max(len(present) - 1, 1)
    wanted_C = np.maximum(1, np.round(most * experiment.task.ses_imbalance**-rank_C)).astype(int)
    samples = []
    for label, wanted in zip(present, wanted_C, strict=True):
        images = train[labels[train] == label]
        wanted = min(wanted, len(images) - 1)
        samples.append(rng.permutation(np.setdiff1d(images, kept_first))[:wanted])
    if not sum(map(len, samples)):
        raise UserError(
            f"task.ses = {most} is not allowed: no class has two training images, one for the server and "
            "one for a client"
        )
    return np.sort(np.concatenate(samples))
