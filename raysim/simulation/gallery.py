"""What a gated model attends to, beside what it should: pictures of some validation images, and overlaps with the true foreground.

Shapes: n images of S x S pixels, h x w positions of a mask.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from raysim.core.seeds import numpy_rng
from raysim.core.types import IGNORE, Gallery, ServerState, Tensors
from raysim.simulation.images import dataset_of
from raysim.simulation.training import one_thread
from raysim.simulation.worker import Worker

SHOWN = 12  # images of the picture, evenly spaced over the split
MOST = 480  # images that are measured
AT_ONCE = 32


def gallery(worker: Worker, state: ServerState) -> Gallery | None:
    """Masks of the server's (first) model over validation images; None for a method without.

    Args:
        worker: Of the run.
        state: Its final state.

    Returns:
        `arrays`: image [n, S, S, 3] uint8, soft [n, h, w] float32, hard [n, h, w] uint8, soft_untrained,
            hard_untrained, and
        foreground [n, S, S] uint8 where it is known; `shown`: one row per image of them; `rows`: share of
        open positions and, where the foreground is known, IoU of the trained, the untrained and a random mask
        of equal area, for every image measured.
    """
    models = worker.method.server_models(state)
    where = worker.images.where("validation")
    if not models or not len(where):
        return None
    where = where[np.linspace(0, len(where) - 1, min(MOST, len(where))).round().astype(int)]
    with one_thread(), torch.no_grad():
        trained = _masks(worker, models[0], where)
        if not trained:
            return None
        untrained = _masks(worker, worker.method.server_models(worker.initial().state)[0], where)
    truth = _foreground(worker, where)
    known = np.ones(1, bool) if worker.frozen.masks is None else worker.frozen.masks[where] != IGNORE
    rows = [
        _row(worker, k, image, trained, untrained, truth, known[min(k, len(known) - 1)])
        for k, image in enumerate(where)
    ]
    some = np.unique(np.linspace(0, len(where) - 1, min(SHOWN, len(where))).round().astype(int))
    arrays = {
        "image": np.array(worker.frozen.x[where[some], 0]),
        "soft": trained["soft"][some],
        "hard": trained["hard"][some].astype(np.uint8),
        "soft_untrained": untrained["soft"][some],
        "hard_untrained": untrained["hard"][some].astype(np.uint8),
    }
    if truth is not None:
        arrays["foreground"] = truth[some].astype(np.uint8)
    return Gallery(arrays, [rows[k] for k in some], rows)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two masks of equal shape; 1 where both are empty."""
    union = np.logical_or(one, other).sum()
    return float(np.logical_and(one, other).sum() / union) if union else 1.0


def enlarged(mask: np.ndarray, size: int) -> np.ndarray:
    """A mask [h, w] at [size, size], each position filling its own square."""
    rows, columns = (np.arange(size) * length // size for length in mask.shape)
    return mask[np.ix_(rows, columns)]


def _masks(worker: Worker, row: Tensors, where: np.ndarray) -> dict[str, np.ndarray]:
    row = {name: tensor.to(worker.device) for name, tensor in row.items()}
    parts = []
    for start in range(0, len(where), AT_ONCE):
        x = torch.from_numpy(worker.frozen.x[where[start : start + AT_ONCE], 0]).to(worker.device)
        parts.append(worker.method.gallery(worker.model, row, x))
    return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}


def _foreground(worker: Worker, where: np.ndarray) -> np.ndarray | None:
    """[n, S, S] bool: the dataset's own foreground; of segmentation everything but its first class, where that is the background."""
    size, masks = worker.frozen.x.shape[2], worker.frozen.masks
    if masks is not None:
        named = worker.images.class_names[0] == "background"
        return (masks[where] > 0) & (masks[where] != IGNORE) if named else None
    dataset = dataset_of(worker.experiment.task)
    found = [dataset.foreground(int(image)) for image in where]
    if any(mask is None for mask in found):
        return None
    return np.stack([enlarged(mask, size) for mask in found if mask is not None])


def _row(
    worker: Worker,
    k: int,
    image: int,
    trained: dict[str, np.ndarray],
    untrained: dict[str, np.ndarray],
    truth: np.ndarray | None,
    known: np.ndarray,
) -> dict[str, Any]:
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
    shuffled = (
        numpy_rng(worker.experiment.seed, "random mask", int(image))
        .permutation(mask.ravel())
        .reshape(mask.shape)
    )
    masks = {"iou": mask, "iou_untrained": untrained["hard"][k] > 0, "iou_random": shuffled}
    return row | {
        name: overlap(enlarged(one, truth.shape[1]) & known, truth[k]) for name, one in masks.items()
    }
