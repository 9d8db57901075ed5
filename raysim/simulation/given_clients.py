"""The clients of a task that exist: who holds which of its images, and which of them take part.

Shapes: N images, K clients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from raysim.clients.given import Given, Owners, owners_of
from raysim.core.types import SPLITS
from raysim.core.warm import kept
from raysim.data.dataset import Dataset
from raysim.data.splits import split
from raysim.experiment.records import Experiment


@dataclass(frozen=True)
class GivenClients:
    """The clients of a task that exist.

    Attributes:
        names: Names of the clients that hold an image for training. K
        owners: Number of the client of each image; -1 for an image of none of them. [N]
        absent: Names of the others: none of their images is for training, or of a class of the task.
        unnamed: Images of the task's classes for training that nobody holds, and images that are in no split.
        drawn: Splits that were drawn from the training images, because nothing says them.
        digest: Sixteen hex digits of who holds which image of which split, of all the dataset.
    """

    names: tuple[str, ...]
    owners: np.ndarray
    absent: tuple[str, ...]
    unnamed: int
    drawn: tuple[str, ...]
    digest: str


def split_of(dataset: Dataset, experiment: Experiment) -> tuple[np.ndarray, Owners | None]:
    """Return the split of a dataset's images, and who holds them where clients exist.

    Args:
        dataset: The dataset of the experiment's task. N images
        experiment: Its scenario may say the split; else it is the frozen one.

    Returns:
        parts: 0 train, 1 validation, 2 test, -1 none. [N]
        owners: None where clients are drawn.
    """
    owners = _owners(dataset, experiment) if experiment.scenario.given else None
    if owners is None or owners.parts is None:
        return split(dataset, experiment.task.split_seed), owners
    return owners.parts, owners


def _place(_: Dataset, experiment: Experiment) -> Any:
    """Return what decides who holds which image; the dataset is that of the task."""
    task = experiment.task
    return task.dataset, task.path, task.crop, task.split_seed, experiment.scenario.source


@kept("owners", maxsize=4, key=_place)
def _owners(dataset: Dataset, experiment: Experiment) -> Owners:
    assert isinstance(experiment.scenario, Given)
    return owners_of(experiment.scenario, dataset, experiment.task.split_seed)


def given_clients(owners: Owners, labels: np.ndarray, parts: np.ndarray) -> GivenClients:
    """Return the clients that hold an image for training, in their order, with numbers of their own.

    Args:
        owners: Who holds which image of the dataset.
        labels: Class of each image, -1 where the task leaves it out. [N]
        parts: The split; -1 where the task leaves an image out. [N]
    """
    train = parts == SPLITS["train"]
    images_K = np.bincount(owners.owners[train & (owners.owners >= 0)], minlength=len(owners.names))
    number_of = np.where(images_K > 0, np.cumsum(images_K > 0) - 1, -1)
    unnamed = (labels >= 0) & ((train & (owners.owners < 0)) | (parts < 0))
    return GivenClients(
        names=tuple(name for name, images in zip(owners.names, images_K, strict=True) if images),
        owners=np.append(number_of, -1)[owners.owners],  # the last one, -1, is nobody
        absent=tuple(name for name, images in zip(owners.names, images_K, strict=True) if not images),
        unnamed=int(unnamed.sum()),
        drawn=owners.drawn,
        digest=owners.digest,
    )
