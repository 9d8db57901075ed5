"""What is frozen, once per process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from raysim.backbones import Backbone, load_backbone
from raysim.clients.noise import class_means, most_confusable
from raysim.core.errors import UserError
from raysim.core.seeds import derive
from raysim.core.types import SPLITS, Context, Inputs, Split
from raysim.data import Dataset, load_dataset
from raysim.data.cache import features, masks
from raysim.data.splits import split
from raysim.experiment.records import Experiment, Task

Progress = Callable[[int, int], None]


FROM_SCRATCH = 64  # pixels, where no backbone says otherwise


@dataclass(frozen=True)
class Images:
    """What is known of a task's images without looking: `labels`, `domains`, `parts`, each [N].

    `parts` is 0 train, 1 validation, 2 test; -1, with label -1, for an image whose class the task leaves out
    or nobody trains on.
    """

    labels: np.ndarray
    domains: np.ndarray
    parts: np.ndarray
    class_names: tuple[str, ...]
    domain_names: tuple[str, ...]

    def where(self, name: str) -> np.ndarray:
        """Indices of a split."""
        return np.flatnonzero(self.parts == SPLITS[name])


@dataclass(frozen=True)
class Frozen:
    """What cannot change in a run, memory-mapped: inputs `x` [N, V, ...], of segmentation `masks` [N, S, S], and the backbone.

    Workers need it, a driver does not.
    """

    x: np.ndarray
    context: Context
    masks: np.ndarray | None = None


def device_of_this_process() -> torch.device:
    """The GPU that Ray (or the user) left visible to this process, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def prepare(experiments: Iterable[Experiment], progress: Progress) -> None:
    """Compute the features that these experiments need, here and now, unless only the workers have the GPU for it.

    Raises:
        UserError: missing data or weights, with where to get them.
    """
    needed = {(experiment.task, experiment.method.inputs): experiment for experiment in experiments}
    for experiment in needed.values():
        dataset_of(experiment.task)
        if not experiment.resources.gpus:
            os.environ["CUDA_VISIBLE_DEVICES"] = (
                ""  # as in the workers: features of another device are other bits
            )
        elif not torch.cuda.is_available():
            continue
        frozen_of(experiment, progress)


def dataset_of(task: Task) -> Dataset:
    """The dataset of a task, opened once per process."""
    return _dataset(task.dataset, task.path, task.crop)


@lru_cache(maxsize=4)
def _dataset(name: str, path: str | None, crop: int | None) -> Dataset:
    return load_dataset(name, path, crop)


@lru_cache(maxsize=2)
def backbone_of(name: str, path: str | None, device: str) -> Backbone:
    """The frozen backbone, loaded once per process and shared by all its clients and runs."""
    return load_backbone(name, path, device)


@lru_cache(maxsize=4)
def images_of(task: Task, novel: bool = False) -> Images:
    """Labels, domains and the frozen split of a dataset, or of some of its classes.

    Args:
        task: Its base classes are all but the novel ones.
        novel: Of the novel classes instead, none of whose images is for training.
    """
    dataset = dataset_of(task)
    parts = split(dataset, task.split_seed)
    if task.classes is None and not task.novel:
        return Images(dataset.labels, dataset.attributes, parts, dataset.classes, dataset.domains)
    chosen = _chosen(dataset, task, novel)
    place = np.full(len(dataset.classes), -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    labels = place[dataset.labels]
    names = tuple(dataset.classes[label] for label in chosen)
    unused = (labels < 0) | (novel & (parts == SPLITS["train"]))
    return Images(labels, dataset.attributes, np.where(unused, -1, parts), names, dataset.domains)


def _chosen(dataset: Dataset, task: Task, novel: bool = False) -> np.ndarray:
    """The base or the novel classes of a task, ascending: of all classes, or of so many evenly spaced ones.

    Novel are those whose names come last in an order drawn by `task.split_seed`, so that more novel classes
    include the fewer.
    """
    total, classes = len(dataset.classes), task.classes
    if classes is not None and classes > total:
        raise UserError(f"task.classes = {classes} is not allowed: {dataset.name} has {total} classes")
    chosen = np.linspace(0, total - 1, classes or total).round().astype(int)
    if task.novel > len(chosen) - 2:
        raise UserError(
            f"task.novel = {task.novel} is not allowed: at least 2 of the {len(chosen)} classes must be "
            "left to train on; "
            f"it should be at most {max(0, len(chosen) - 2)}"
        )
    drawn = sorted(
        chosen, key=lambda label: derive(task.split_seed, "novel", dataset.name, dataset.classes[label])
    )
    base = len(chosen) - task.novel
    return np.sort(np.array(drawn[base:] if novel else drawn[:base], dtype=int))


@lru_cache(maxsize=4)
def confusable_of(task: Task) -> np.ndarray:
    """For each base class of a task the one that looks most alike, [C]; all training images are read where that is not known yet."""
    dataset = dataset_of(task)
    means = class_means(dataset, np.flatnonzero(split(dataset, task.split_seed) == SPLITS["train"]))
    return most_confusable(means[_chosen(dataset, task)])


def frozen_of(experiment: Experiment, progress: Progress | None = None) -> Frozen:
    """The inputs of this method and its backbone: from the cache or computed now, kept in this process.

    Raises:
        UserError: missing data or weights, with where to get them.
    """
    if progress:
        _load(*_address(experiment), progress)
    return _frozen(*_address(experiment))


def held_out(
    experiment: Experiment, name: Split, novel: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The plain view of a split: inputs [n, ...], labels [n], class-and-domain cells [n]; kept on the device, once per process."""
    return _held_out(*_address(experiment), name, novel)


def _address(experiment: Experiment) -> tuple[Task, Inputs, bool]:
    """What decides the frozen inputs: the task, what an image is to the method, and whether it trains the image tower."""
    return (
        experiment.task,
        experiment.method.inputs,
        getattr(experiment.method, "network", "") == "image_tower",
    )


@lru_cache(maxsize=4)
def _held_out(
    task: Task, inputs: Inputs, tower: bool, name: Split, novel: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = images_of(task, novel)
    where, device = images.where(name), device_of_this_process()
    labels = images.labels[where]
    parts = (
        _frozen(task, inputs, tower).x[where, 0],
        labels,
        labels * len(images.domain_names) + images.domains[where],
    )
    x, y, cell = (torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in parts)
    return x, y, cell


@lru_cache(maxsize=4)
def _frozen(task: Task, inputs: Inputs, tower: bool) -> Frozen:
    return _load(task, inputs, tower, None)


def _load(task: Task, inputs: Inputs, tower: bool, progress: Progress | None) -> Frozen:
    device = device_of_this_process()
    dataset = dataset_of(task)
    backbone = (
        None
        if inputs == "pixels" and not tower
        else backbone_of(task.backbone, task.backbone_path, str(device))
    )
    size = task.image_size or (backbone.image_size if backbone else FROM_SCRATCH)
    if inputs != "pixels" and backbone is not None and size != backbone.image_size:
        raise UserError(
            f"task.image_size = {size}: {backbone.name} takes {backbone.image_size} pixels; leave it out"
        )
    x = features(
        dataset,
        None if inputs == "pixels" else backbone,
        kind=inputs,
        image_size=size,
        views=task.views,
        progress=progress,
    )
    names = images_of(task).class_names
    classes_of_pixels = (
        masks(dataset, image_size=size, progress=progress) if task.kind == "segmentation" else None
    )
    return Frozen(x, Context(names, dataset.templates, backbone, size, device, task.kind), classes_of_pixels)
