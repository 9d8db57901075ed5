"""Inspection before a run: what a user may have got wrong, and the images of a dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from raysim.core.types import IGNORE, SPLITS
from raysim.data.dataset import Dataset
from raysim.data.files import shorten_list
from raysim.data.integrity import check_dataset as check_images
from raysim.data.reading import Reading
from raysim.data.splits import split
from raysim.data.unreadable import all_unreadable
from raysim.data.views import resize, resize_mask
from raysim.experiment.task import Task
from raysim.simulation.datasets import dataset_of
from raysim.simulation.images import backbone_of

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
        if unseen and name in ("folder", "client_folders"):
            print("  a class is called as its folder: the folder parking_lot is the words 'parking lot'")
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
