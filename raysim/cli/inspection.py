"""Inspection before a run: an experiment's settings and its cost, and the images of a dataset."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from raysim.api.running import check_experiment
from raysim.cli.arguments import one_experiment
from raysim.core.columns import COUNT_COLUMNS
from raysim.core.console import bar, duration
from raysim.core.types import IGNORE, SPLITS, ServerState, nbytes
from raysim.core.words import floor_words, image_words, measured_clients, owner_words
from raysim.data.dataset import Dataset
from raysim.data.files import shorten_list
from raysim.data.integrity import check_dataset as check_images
from raysim.data.reading import Reading
from raysim.data.splits import split
from raysim.data.unreadable import all_unreadable
from raysim.data.views import resize, resize_mask
from raysim.engines.serial import Serial
from raysim.experiment.records import Experiment, identity
from raysim.experiment.task import Task
from raysim.simulation.cohorts import evaluation_sample, micro_cohorts
from raysim.simulation.contributions import own_weights
from raysim.simulation.device import device_of
from raysim.simulation.federation import Federation
from raysim.simulation.floors import Floors
from raysim.simulation.images import backbone_of, dataset_of
from raysim.simulation.tables import images_used, owners_record
from raysim.simulation.worker import Worker, worker_of

# Colours of pixel classes on a contact sheet: ignored pixels are black, the classes take the others in turn.
COLOURS = np.array(
    [
        (0, 0, 0),
        (200, 200, 200),
        (31, 119, 180),
        (214, 39, 40),
        (44, 160, 44),
        (255, 127, 14),
        (148, 103, 189),
        (227, 194, 61),
    ],
    np.uint8,
)


def check_dataset(
    name: str,
    path: str | None,
    backbone: str,
    backbone_path: str | None,
    sheet: Path | None,
    reading: Reading,
) -> None:
    """Open every image of a dataset; print what was taken and what was not, and words the backbone never saw.

    Args:
        name: The dataset's name, or several names joined by `+`.
        path: The dataset's folder; None looks in `$RAYSIM_DATA`.
        reading: How image files are read.
        backbone: The backbone whose vocabulary is compared with the class words.
        backbone_path: Local weights of the backbone.
        sheet: The file of a contact sheet; None writes none.

    Raises:
        UserError: The dataset is missing or incomplete, or images cannot be read.
    """
    content = check_images(name, path, reading=reading)
    task = Task(dataset=name, path=path, bands=reading.bands, stretch=reading.stretch)
    dataset = dataset_of(task)
    print(
        f"{name}: {content['images']:,} images, {len(content['classes'])} classes, sizes "
        + ", ".join(f"{size} ({count})" for size, count in content["sizes"].items())
    )
    if content["left_out"]:
        print(f"  left out: {content['left_out']}")
    if content["read"]:
        print("  read: " + "; ".join(f"{how} ({number:,})" for how, number in content["read"].items()))
    for kind in ("classes", "domains"):
        print(f"  {kind}: " + ", ".join(f"{word} {count}" for word, count in content[kind].items()))
    if "client" in dataset.groups():
        names, owners = dataset.groups()["client"]
        images_K = np.bincount(owners[owners >= 0], minlength=len(names))
        print(f"  clients: {shorten_list([f'{n} {k}' for n, k in zip(names, images_K, strict=True)], 20)}")
        print(f"  split: {_images_per_split(dataset)}")
    if dataset.segments:
        print("  pixels: " + ", ".join(f"{word} {share:.1%}" for word, share in content["pixels"].items()))
        print(f"  split: {_images_per_split(dataset)}")
    else:
        print(f"  prompt: {dataset.templates[0]}")
    if content["damaged"]:
        raise all_unreadable(name, content["damaged"], content["images"])
    for note in content["notes"]:
        print(f"  note: {note}")
    if not dataset.segments:
        unseen = backbone_of(backbone, backbone_path, "cpu").unseen_words(dataset.classes)
        print(f"  words that {backbone} never saw: {', '.join(unseen) if unseen else 'none known'}")
    if sheet is not None:
        _contact_sheet(dataset, sheet)
        print(f"  contact sheet: {sheet}")


def _contact_sheet(dataset: Dataset, file: Path, columns: int = 12, size: int = 64) -> None:
    """Draw one row of images per class; for segmentation with a row of masks below each."""
    rows = []
    for label in np.unique(dataset.labels):
        where = np.flatnonzero(dataset.labels == label)
        chosen = where[np.linspace(0, len(where) - 1, columns).astype(int)]
        rows.append(np.hstack([resize(dataset.image(int(index)), size) for index in chosen]))
        if dataset.segments:
            masks = [resize_mask(dataset.mask(int(index)), size) for index in chosen]
            rows.append(
                np.hstack(
                    [COLOURS[np.where(mask == IGNORE, 0, mask % (len(COLOURS) - 1) + 1)] for mask in masks]
                )
            )
    Image.fromarray(np.vstack(rows)).save(file)


def _images_per_split(dataset: Dataset) -> str:
    """The number of images for training, validation and test, with split seed 0."""
    assigned = split(dataset, 0)
    return ", ".join(f"{part} {int((assigned == number).sum())}" for part, number in SPLITS.items())


def plan(arguments: argparse.Namespace) -> None:
    """Estimate what an experiment costs: train one micro-cohort, measure it, and multiply."""
    _, experiment = one_experiment(arguments)
    with bar("images and features", arguments.quiet) as progress:
        check_experiment(experiment, progress)
    worker = worker_of(identity(experiment), device_of(experiment.resources))
    state = worker.initial().state
    _print_size(experiment, worker.federation, state)
    if experiment.method.traits.trains:
        _print_cost(experiment, worker, state)
    else:
        print("  nothing is trained")


def _print_size(experiment: Experiment, federation: Federation, state: ServerState) -> None:
    """Print what the experiment is, how heterogeneous its clients are, and what is sent per round."""
    achieved = federation.heterogeneity()["achieved"]
    numbers = {name: value for name, value in achieved.items() if isinstance(value, int | float)}
    parameters = sum(tensor.numel() for tensor in state.shared.values())
    print(
        f"{experiment.method.name} on {experiment.task.dataset} ({experiment.task.backbone}), "
        f"{experiment.scenario.label}, experiment {experiment.id}"
    )
    print("  heterogeneity: " + ", ".join(f"{name} {value:.3g}" for name, value in numbers.items()))
    sample = evaluation_sample(federation, federation.trainers)
    measurable = own_weights(federation, "validation", sample).any(axis=1)
    counts = dict(zip(COUNT_COLUMNS, (int(measurable.sum()), len(sample)), strict=True))
    engine = Serial(experiment.resources)
    floors = Floors.of(engine, identity(experiment), federation, "validation", state).columns(sample)
    described = owners_record(federation)
    if described:  # the sizes of the clients that exist, by name
        names = zip(described["client_names"], federation.shards, strict=True)
        described["client_names"] = [f"{name} {len(shard):,}" for name, shard in names]
    left_out = dataset_of(experiment.task).left_out.sentence
    said = (
        image_words(images_used(federation)),
        f"left out: {left_out}" if left_out else "",
        *owner_words(described),
        measured_clients(counts),
        floor_words(floors),
    )
    print(*(f"  {line}" for line in said if line), sep="\n")
    print(f"  shared: {parameters:,} parameters, {nbytes(state.shared):,} bytes per client and direction")


def _print_cost(experiment: Experiment, worker: Worker, state: ServerState) -> None:
    """Train one micro-cohort twice, time the second time, and print what the whole training takes."""
    federation = worker.federation
    with tempfile.TemporaryDirectory() as vault:
        micro_cohort = micro_cohorts(federation, range(federation.clients), {}, vault)[0]
        worker.train(state, micro_cohort)
        started = time.perf_counter()
        update = worker.train(state, micro_cohort)
        seconds = (time.perf_counter() - started) / len(micro_cohort.clients)
    cohort = max(1, round(experiment.participation * len(federation.trainers)))
    total = seconds * cohort * experiment.total_rounds
    print(
        f"  one client's round: {1000 * seconds:.1f} ms, {update.flops / len(update.clients):.3g} FLOPs "
        f"(measured on {worker.device})"
    )
    print(
        f"  {experiment.total_rounds} rounds of {cohort} clients on {experiment.resources.workers} workers: "
        f"about {duration(total / experiment.resources.workers)} of training, evaluation not counted"
    )
    if worker.device.type == "cuda":
        peak, whole = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
        print(
            f"  GPU memory: {peak / 2**30:.2f} GiB at the peak, "
            f"so resources.gpus={max(0.01, round(1.3 * peak / whole + 0.005, 2))} per worker"
        )
