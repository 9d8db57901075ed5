"""Masks of a gated model on validation images: pictures of some, and overlaps with the true foreground.

Shapes: n images of S x S pixels, h x w positions of a mask.
"""

from __future__ import annotations

import numpy as np
import torch

from raysim.core.columns import TableRow
from raysim.core.seeds import numpy_rng
from raysim.core.types import IGNORE, Gallery, ServerState, Tensors
from raysim.simulation.datasets import dataset_of
from raysim.simulation.training import one_thread
from raysim.simulation.worker import Worker

SHOWN = 12  # images that are drawn, evenly spaced over the split
MEASURED = 480  # most images that are measured
IMAGES_AT_ONCE = 32


def gallery(worker: Worker, state: ServerState) -> Gallery | None:
    """Compute masks of the server's first model on validation images; None for a method without masks.

    Args:
        worker: A worker of the run.
        state: The final state of the run.

    Returns:
        `arrays`: image [n, S, S, 3] uint8, soft [n, h, w] float32, hard [n, h, w] uint8, soft_untrained,
            hard_untrained, and foreground [n, S, S] uint8 where it is known. `shown`: one row for each image
            of the arrays. `rows`: for every measured image the share of open positions and, where the
            foreground is known, the IoU of the trained, the untrained and a random mask of equal area.
    """
    models = worker.method.server_models(state)
    images = worker.images.indices("validation")
    if not models or not len(images):
        return None
    images = images[_spread(len(images), MEASURED)]
    with one_thread(), torch.no_grad():
        trained = _masks(worker, models[0], images)
        if not trained:
            return None
        untrained = _masks(worker, worker.method.server_models(worker.initial().state)[0], images)
    truth = _foreground(worker, images)
    rows = [_row(worker, k, image, trained, untrained, truth) for k, image in enumerate(images)]
    shown = np.unique(_spread(len(images), SHOWN))
    arrays = {
        "image": np.array(worker.frozen.x[images[shown], 0]),
        "soft": trained["soft"][shown],
        "hard": trained["hard"][shown].astype(np.uint8),
        "soft_untrained": untrained["soft"][shown],
        "hard_untrained": untrained["hard"][shown].astype(np.uint8),
    }
    if truth is not None:
        arrays["foreground"] = truth[shown].astype(np.uint8)
    return Gallery(arrays=arrays, shown=[rows[k] for k in shown], rows=rows)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks of equal shape; 1 where both are empty."""
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else 1.0


def enlarged(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask [h, w] at [size, size], each position filling its own square."""
    rows, columns = (np.arange(size) * length // size for length in mask.shape)
    return mask[np.ix_(rows, columns)]


def _spread(count: int, most: int) -> np.ndarray:
    """Positions of at most so many of `count` things, evenly spaced."""
    return np.linspace(0, count - 1, min(most, count)).round().astype(int)


def _masks(worker: Worker, row: Tensors, images: np.ndarray) -> dict[str, np.ndarray]:
    """Masks of a model on images, by name, each [n, h, w]; nothing for a method without masks."""
    row = {name: tensor.to(worker.device) for name, tensor in row.items()}
    parts = []
    for start in range(0, len(images), IMAGES_AT_ONCE):
        part = images[start : start + IMAGES_AT_ONCE]
        x = torch.from_numpy(worker.frozen.x[part, 0]).to(worker.device)
        parts.append(worker.method.diagnosis.gallery(worker.model, row, x))
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def _foreground(worker: Worker, images: np.ndarray) -> np.ndarray | None:
    """True foreground of images, [n, S, S] bool; None where it is not known.

    In segmentation it is everything but the first class, where that class is the background.
    """
    size, masks = worker.frozen.x.shape[2], worker.frozen.masks
    if masks is not None:
        if worker.images.class_names[0] != "background":
            return None
        return (masks[images] > 0) & (masks[images] != IGNORE)
    dataset = dataset_of(worker.experiment.task)
    foregrounds = [dataset.foreground(int(image)) for image in images]
    if any(mask is None for mask in foregrounds):
        return None
    return np.stack([enlarged(mask, size) for mask in foregrounds if mask is not None])


def _row(
    worker: Worker,
    k: int,
    image: int,
    trained: dict[str, np.ndarray],
    untrained: dict[str, np.ndarray],
    truth: np.ndarray | None,
) -> TableRow:
    """The row of one measured image; pixels of no class count nowhere."""
    label = int(worker.images.labels[image])
    mask = trained["hard"][k] > 0
    row = {
        "image": int(image),
        "label": label,
        "class_name": worker.images.class_names[label],
        "open": float(mask.mean()),
    }
    if truth is None:
        return row
    pixels = worker.frozen.masks
    counted = np.ones(1, bool) if pixels is None else pixels[image] != IGNORE
    shuffled = (
        numpy_rng(worker.experiment.seed, "random mask", int(image))
        .permutation(mask.ravel())
        .reshape(mask.shape)
    )
    masks = {"iou": mask, "iou_untrained": untrained["hard"][k] > 0, "iou_random": shuffled}
    return row | {
        name: overlap(enlarged(mask, truth.shape[1]) & counted, truth[k]) for name, mask in masks.items()
    }
