"""What can be said before a run: of the datasets, of an experiment's cost, of this machine."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.table import Table

from raysim.core.console import console, duration, output
from raysim.core.errors import UserError
from raysim.core.types import IGNORE, SPLITS, nbytes
from raysim.data import ANY_FOLDER, DRAWN, SEGMENTATION, catalogue
from raysim.data import check as check_dataset
from raysim.data.cache import cache_folder, resize, resize_mask
from raysim.data.dataset import Dataset
from raysim.data.splits import split
from raysim.experiment.records import Experiment, Task, identity
from raysim.simulation.cohorts import micro_cohorts
from raysim.simulation.federation import Federation
from raysim.simulation.images import Progress, backbone_of, dataset_of, device_of_this_process, prepare
from raysim.simulation.worker import try_method, worker_of
from raysim.storage.provenance import hardware, provenance

# Colours of pixel classes on a contact sheet: ignored pixels black, the others by class in turn.
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


def check(experiment: Experiment, progress: Progress) -> Federation:
    """Everything that a user may have got wrong, before any work: data, weights, features, and a scenario these images can meet.

    Raises:
        UserError: naming what and how to mend it.
    """
    federation = Federation.of(experiment)
    prepare([experiment], progress)
    try_method(experiment)
    return federation


def say_catalogue() -> None:
    """The datasets as a table, and where to get what is not there."""
    table = Table(box=None)
    for name in ("name", "dataset", "classifies", "classes", "images", "here"):
        table.add_column(name, justify="right" if name in ("classes", "images") else "left", overflow="fold")
    missing = []
    for info, found in catalogue():
        place = (
            "drawn on demand"
            if info.name in DRAWN
            else "give task.path"
            if info.name in ANY_FOLDER
            else str(found or "no")
        )
        table.add_row(
            info.name,
            info.title,
            "pixels" if info.name in SEGMENTATION else "images",
            str(len(info.classes) or ""),
            f"{info.images:,}" if info.images else "",
            place,
        )
        if found is None and info.name not in DRAWN | ANY_FOLDER:
            missing.append(
                f"  {info.name}: {info.archive} ({info.size}), {info.page}; unpack to "
                f"$RAYSIM_DATA/{info.name}. {info.terms}"
            )
    output().print(table)
    print(f"RAYSIM_DATA is {os.environ.get('RAYSIM_DATA') or 'not set'}")
    if missing:
        print("Not here:\n" + "\n".join(missing))


def say_dataset(
    name: str, path: str | None, backbone: str, backbone_path: str | None, sheet: Path | None
) -> None:
    """Open every image; counts per class and domain, sizes, and class words that the backbone never saw."""
    found = check_dataset(name, path)
    dataset = dataset_of(Task(dataset=name, path=path))
    print(
        f"{name}: {found['images']:,} images, {len(found['classes'])} classes, sizes "
        + ", ".join(f"{size} ({count})" for size, count in found["sizes"].items())
    )
    for kind in ("classes", "domains"):
        print(f"  {kind}: " + ", ".join(f"{word} {count}" for word, count in found[kind].items()))
    if dataset.segments:
        print("  pixels: " + ", ".join(f"{word} {share:.1%}" for word, share in found["pixels"].items()))
        print(f"  split: {_parts(dataset)}")
    else:
        print(f"  prompt: {dataset.templates[0]}")
    if found["damaged"]:
        raise UserError(
            f"{name}: {len(found['damaged'])} images cannot be read, the first: {found['damaged'][0]}; "
            "fetch them again"
        )
    if not dataset.segments:
        unseen = backbone_of(backbone, backbone_path, str(device_of_this_process())).unseen_words(
            dataset.classes
        )
        print(f"  words that {backbone} never saw: {', '.join(unseen) if unseen else 'none known'}")
    if sheet is not None:
        _contact_sheet(name, path, sheet)
        print(f"  contact sheet: {sheet}")


def _contact_sheet(name: str, path: str | None, file: Path, columns: int = 12, size: int = 64) -> None:
    """A class a row, spread over its images; of segmentation each row has a row of masks below."""
    dataset = dataset_of(Task(dataset=name, path=path))
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


def _parts(dataset: Dataset) -> str:
    """Images of each part of the split of seed 0."""
    assigned = split(dataset, 0)
    return ", ".join(f"{part} {int((assigned == number).sum())}" for part, number in SPLITS.items())


def say_plan(experiment: Experiment) -> None:
    """One micro-cohort is run and timed; the rest follows from it."""
    worker = worker_of(identity(experiment))
    state = worker.initial().state
    federation = worker.federation
    achieved = federation.heterogeneity()["achieved"]
    print(
        f"{experiment.method.name} on {experiment.task.dataset} ({experiment.task.backbone}), "
        f"{experiment.scenario.label}, experiment {experiment.id}"
    )
    print(
        "  heterogeneity: "
        + ", ".join(
            f"{name} {value:.3g}" for name, value in achieved.items() if isinstance(value, int | float)
        )
    )
    parameters = sum(tensor.numel() for tensor in state.shared.values())
    print(f"  shared: {parameters:,} parameters, {nbytes(state.shared):,} bytes per client and direction")
    if not experiment.method.trains:
        print("  nothing is trained")
        return
    with tempfile.TemporaryDirectory() as vault:
        cohorts = micro_cohorts(federation, range(federation.clients), {}, vault)
        worker.train(state, cohorts[0])
        started = time.perf_counter()
        update = worker.train(state, cohorts[0])
        seconds = (time.perf_counter() - started) / len(cohorts[0].clients)
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


def say_machine() -> None:
    """What raysim has to work with."""
    found = hardware()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    print(
        f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB memory, {free:.0f} GiB "
        "free here; "
        f"GPUs: {', '.join(found['gpus']) or 'none'}"
    )
    print("  " + ", ".join(f"{name} {version}" for name, version in provenance("")["versions"].items()))
    print(
        f"  cache: {cache_folder()}   RAYSIM_DATA: {os.environ.get('RAYSIM_DATA') or 'not set'}   "
        f"RAY_ADDRESS: {os.environ.get('RAY_ADDRESS') or 'not set (Ray starts here)'}"
    )
    print(
        f"  hub: {'offline (HF_HUB_OFFLINE)' if os.environ.get('HF_HUB_OFFLINE') else 'asked when weights are missing'}"
    )
    try:
        backbone = backbone_of("scenes-clip", None, "cpu")
        print(
            f"  bundled backbone: {backbone.name}, {backbone.image_size} px, sha256 "
            f"{backbone.fingerprint[:12]}: good"
        )
    except UserError as error:
        console().print(f"  bundled backbone: {error}")
