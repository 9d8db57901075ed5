"""The images of a task and the frozen inputs that are computed from them, once per process.

Shapes: N images, V views, S x S pixels, C classes, n images of a split.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from raysim.backbones.backbone import Backbone
from raysim.backbones.registry import load_backbone
from raysim.clients.noise import class_means, most_confusable
from raysim.core.errors import UserError
from raysim.core.seeds import derive
from raysim.core.types import IGNORE, SPLITS, Context, Inputs, Split
from raysim.core.warm import kept
from raysim.data.contents import describe_contents
from raysim.data.dataset import Dataset
from raysim.data.features import features, masks
from raysim.data.sample import Sample
from raysim.experiment.records import Experiment
from raysim.experiment.task import Task
from raysim.simulation.datasets import dataset_of
from raysim.simulation.device import device_of, only_workers_have_gpu
from raysim.simulation.given_clients import GivenClients, given_clients, split_of

Progress = Callable[[int, int], None]

FROM_SCRATCH = 64  # pixels a side where no backbone says otherwise


@dataclass(frozen=True)
class Images:
    """The images of a task by what their dataset says, without their pixels.

    Attributes:
        labels: Class of each image; -1 where the task leaves the class out. [N]
        domains: Domain of each image. [N]
        parts: 0 train, 1 validation, 2 test; -1 for an image that is in no split. [N]
        class_names: Names of the classes. C
        domain_names: Names of the domains.
        given: Who holds which image, where the clients exist; None where they are drawn.
    """

    labels: np.ndarray
    domains: np.ndarray
    parts: np.ndarray
    class_names: tuple[str, ...]
    domain_names: tuple[str, ...]
    given: GivenClients | None = None

    def indices(self, name: str) -> np.ndarray:
        """The images of a split, ascending."""
        return np.flatnonzero(self.parts == SPLITS[name])


@dataclass(frozen=True)
class Frozen:
    """Inputs and backbone, which no run changes. Workers need them, a driver does not.

    Attributes:
        x: The inputs of the method, memory-mapped. [N, V, ...]
        context: The task as the method sees it, with the frozen backbone.
        masks: Class of each pixel, memory-mapped; None unless pixels are classified. [N, S, S]
    """

    x: np.ndarray
    context: Context
    masks: np.ndarray | None = None


def prepare(experiments: Iterable[Experiment], progress: Progress) -> None:
    """Compute the features that these experiments need, unless they need a GPU that only workers have.

    Raises:
        UserError: Data or weights are missing; says where to get them.
    """
    for experiment in {address_of(experiment): experiment for experiment in experiments}.values():
        dataset_of(experiment.task)
        if not only_workers_have_gpu(experiment.resources):
            frozen_of(experiment, device_of(experiment.resources), progress)


def contents_of(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """Return the record of the images of each dataset of these tasks, and how its files are read."""
    settings = ("path", "crop", "bands", "stretch", "per_cell")
    named = {(task.dataset, *(getattr(task, name) for name in settings)): task for task in tasks}
    return [
        {**describe_contents(dataset_of(task)), **{name: getattr(task, name) for name in settings}}
        for task in named.values()
    ]


@kept("backbones", maxsize=2)
def backbone_of(name: str, path: str | None, device: str) -> Backbone:
    """Return the frozen backbone, loaded once per process and shared by all its clients and runs."""
    return load_backbone(name, path, device)


@kept(
    "images",
    maxsize=4,
    key=lambda experiment, novel=False: (experiment.task, experiment.scenario.source, novel),
)
def images_of(experiment: Experiment, novel: bool = False) -> Images:
    """Return labels, domains and the split of a task's images, and who holds them where clients exist.

    The split is the frozen one, or that of the scenario where clients exist and their table says it.

    Args:
        experiment: Its task says which dataset, and which of its classes.
        novel: Return the images of the novel classes, of which none is for training, instead of the base
            classes.
    """
    task = experiment.task
    dataset = dataset_of(task)
    parts, owners = split_of(dataset, experiment)
    labels, names = _labels(dataset, task, novel)
    unused = (labels < 0) | (novel & (parts == SPLITS["train"]))
    parts = np.where(unused, -1, parts)
    given = None if owners is None or novel else given_clients(owners, labels, parts)
    return Images(labels, dataset.attributes, parts, names, dataset.domains, given)


def _labels(dataset: Dataset, task: Task, novel: bool) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the class of each image, -1 where the task leaves it out [N], and the names of the classes."""
    if task.classes is None and not task.novel:
        return dataset.labels, dataset.classes
    classes = _classes(dataset, task, novel)
    new_labels = np.full(len(dataset.classes), -1, dtype=np.int64)
    new_labels[classes] = np.arange(len(classes))
    return new_labels[dataset.labels], tuple(dataset.classes[label] for label in classes)


def _classes(dataset: Dataset, task: Task, novel: bool = False) -> np.ndarray:
    """Choose the base or the novel classes of a task, ascending.

    They come from all classes of the dataset, or from `task.classes` evenly spaced ones. Their names are put
    in an order drawn by `task.split_seed`; novel are the last ones, so that a larger number of novel classes
    includes a smaller one.
    """
    total, wanted = len(dataset.classes), task.classes
    if wanted is not None and wanted > total:
        raise UserError(
            f"task.classes = {wanted} is not allowed: {dataset.name} has {total} classes; "
            "task.classes=null takes all"
        )
    classes = np.linspace(0, total - 1, wanted or total).round().astype(int)
    if task.novel > len(classes) - 2:
        raise UserError(
            f"task.novel = {task.novel} is not allowed: at least 2 of the {len(classes)} classes must be "
            f"left to train on; it should be at most {max(0, len(classes) - 2)}"
        )
    ordered = sorted(
        classes, key=lambda label: derive(task.split_seed, "novel", dataset.name, dataset.classes[label])
    )
    base = len(classes) - task.novel
    return np.sort(np.array(ordered[base:] if novel else ordered[:base], dtype=int))


@kept("confusable classes", maxsize=4, key=lambda experiment: (experiment.task, experiment.scenario.source))
def confusable_of(experiment: Experiment) -> np.ndarray:
    """Return for each base class of a task the class that looks most alike: C numbers.

    All training images are read, unless the cache folder has the answer.
    """
    dataset = dataset_of(experiment.task)
    means = class_means(dataset, np.flatnonzero(split_of(dataset, experiment)[0] == SPLITS["train"]))
    return most_confusable(means[_classes(dataset, experiment.task)])


def frozen_of(experiment: Experiment, device: torch.device, progress: Progress | None = None) -> Frozen:
    """Return the inputs of a method and its backbone, from the cache folder or computed now.

    Args:
        experiment: Its task and method decide what is needed.
        device: Where the backbone computes; features of another device are other bits.
        progress: Called with (images done, images in all).

    Raises:
        UserError: Data or weights are missing; says where to get them.
    """
    if progress:
        load_inputs(*address_of(experiment), device, progress)
    return _frozen(*address_of(experiment), device)


def evaluation_images(
    experiment: Experiment, device: torch.device, name: Split, novel: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the plain view of a split, kept on the device once per process.

    Args:
        experiment: Its task and method decide what an image is.
        device: Where the tensors lie.
        name: The split.
        novel: Return the images of the novel classes instead.

    Returns:
        Inputs [n, ...], labels [n], and cells of class and domain [n].
    """
    return _evaluation_images(experiment, device, name, novel)


def address_of(experiment: Experiment) -> tuple[Task, Inputs, bool]:
    """Return what the frozen inputs depend on: the task, the kind of input, the need of a backbone."""
    task, traits = experiment.task, experiment.method.traits
    if task.image_size is None and traits.image_size is not None:
        task = task.model_copy(update={"image_size": traits.image_size})
    return task, traits.inputs, traits.needs_backbone


@kept(
    "evaluation splits",
    maxsize=4,
    key=lambda experiment, *which: (*address_of(experiment), experiment.scenario.source, *which),
)
def _evaluation_images(
    experiment: Experiment, device: torch.device, name: Split, novel: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = images_of(experiment, novel)
    indices = images.indices(name)
    labels = images.labels[indices]
    arrays = (
        _frozen(*address_of(experiment), device).x[indices, 0],
        labels,
        labels * len(images.domain_names) + images.domains[indices],
    )
    x, y, cell = (torch.from_numpy(np.ascontiguousarray(array)).to(device) for array in arrays)
    return x, y, cell


def pixel_counts(experiment: Experiment, device: torch.device) -> np.ndarray:
    """Return the pixels of each class in each image of a task that classifies pixels; ignored ones count not.

    Args:
        experiment: Its task and method decide what an image is.
        device: Where the worker computes.

    Returns:
        [N, C] int64
    """
    return _pixel_counts(*address_of(experiment), device)


@kept("pixel counts", maxsize=4)
def _pixel_counts(task: Task, inputs: Inputs, needs_backbone: bool, device: torch.device) -> np.ndarray:
    masks_NSS = _frozen(task, inputs, needs_backbone, device).masks
    classes = len(dataset_of(task).classes)
    assert masks_NSS is not None
    return np.stack([np.bincount(mask.ravel(), minlength=IGNORE + 1)[:classes] for mask in masks_NSS])


@kept("features", maxsize=4)
def _frozen(task: Task, inputs: Inputs, needs_backbone: bool, device: torch.device) -> Frozen:
    return load_inputs(task, inputs, needs_backbone, device, None)


def load_inputs(
    task: Task,
    inputs: Inputs,
    needs_backbone: bool,
    device: torch.device,
    progress: Progress | None,
    sample: Sample | None = None,
) -> Frozen:
    """Compute the inputs of all images, from the cache or now; or of a sample, without the cache."""
    dataset = sample or dataset_of(task)
    backbone = backbone_of(task.backbone, task.backbone_path, str(device)) if needs_backbone else None
    size = task.image_size or (backbone.image_size if backbone else FROM_SCRATCH)
    if inputs != "pixels" and backbone is not None and size != backbone.image_size:
        raise UserError(
            f"task.image_size = {size}: {backbone.name} takes {backbone.image_size} pixels; leave it out"
        )
    encoder, cached = None if inputs == "pixels" else backbone, sample is None
    x = features(
        dataset, encoder, inputs=inputs, image_size=size, views=task.views, progress=progress, cached=cached
    )
    context = Context(
        classes=_labels(dataset, task, novel=False)[1],
        templates=dataset.templates,
        backbone=backbone,
        image_size=size,
        device=device,
        kind=task.kind,
    )
    if task.kind != "segmentation":
        return Frozen(x, context)
    return Frozen(x, context, masks(dataset, image_size=size, progress=progress, cached=cached))
