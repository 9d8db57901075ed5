"""What each image of a split contributes to an accuracy: the rows of the table `images`.

The contributions of a scope add up to its accuracy. So two runs on the same images can be compared image by
image. In segmentation there are none: an mIoU is no sum over images.

Shapes: K clients, M models of the server, N images of a split, G = cells of class and domain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np

from raysim.core.columns import TableRow
from raysim.core.types import Score, Split
from raysim.simulation.accuracy import cell_totals
from raysim.simulation.federation import Federation
from raysim.simulation.floors import Floors, cells_of


def image_rows(
    federation: Federation,
    split: Split,
    sample: np.ndarray,
    shared: Score | None,
    clients: Sequence[Score],
    floors: Floors,
) -> list[TableRow]:
    """Return a row per scope: shared, personal, majority, zeroshot; none where no score kept its images.

    Args:
        federation: The images and the clients.
        split: The split that was scored.
        sample: The clients that were evaluated, as in the accuracies.
        shared: The score of the server's models, or None where the method has none.
        clients: The scores of the clients' own models; empty where all use the shared model.
        floors: The floors on this split.
    """
    count = len(federation.images.indices(split))
    bits = {
        client: right
        for score in clients
        if score.right is not None
        for client, right in zip(score.clients, score.right, strict=True)
    }
    scopes: dict[str, tuple[np.ndarray, Iterable[np.ndarray]]] = {}
    cell_N, weights_KG = cells_of(federation, split), own_weights(federation, split, sample)
    everybody_1G = weights_KG.sum(axis=0, keepdims=True)
    if shared is not None and shared.right is not None:
        mean_N = np.unpackbits(shared.right, axis=1, count=count).mean(axis=0)
        scopes["shared"] = (everybody_1G, [mean_N])
        if not clients:
            scopes["personal"] = scopes["shared"]
    if bits:
        own_models = (np.unpackbits(bits[client], count=count) for client in sample.tolist())
        scopes["personal"] = (weights_KG, own_models)
    if not scopes:
        return []
    label_N = federation.images.labels[federation.images.indices(split)]
    scopes["majority"] = (
        weights_KG,
        (label_N == floors.majority_class(client) for client in sample.tolist()),
    )
    if floors.zeroshot is not None:
        scopes["zeroshot"] = (everybody_1G, [floors.zeroshot])
    digest, cells = _digest(federation, split, cell_N), cell_N.tolist()
    rows: list[TableRow] = []
    for scope, (weights, right) in scopes.items():
        own_N, global_N = _contributions(weights, cell_N, right)
        row: TableRow = {"seed": federation.experiment.seed, "scope": scope, "images": digest, "cell": cells}
        row |= {"own": own_N.tolist() if weights_KG.any() else None, "global": global_N.tolist()}
        rows.append(row)
    return rows


def own_weights(federation: Federation, split: Split, sample: np.ndarray) -> np.ndarray:
    """Return the weight of one right image of each cell in the mean accuracy on own distributions.

    Args:
        federation: The images and the clients.
        split: The split.
        sample: The clients. K

    Returns:
        [K, G]; over clients and the images of the split they add up to 1. A client without an image of its
        cells in the split is not measured: its row is 0.
    """
    total, frequencies = cell_totals(federation, split), federation.frequencies[sample]
    present = total > 0
    weight_K1 = frequencies[:, present].sum(axis=1, keepdims=True)
    measured = weight_K1 > 0
    share = np.divide(frequencies, total, out=np.zeros_like(frequencies), where=present)
    mean_share: np.ndarray = np.divide(share, weight_K1, out=np.zeros_like(share), where=measured)
    return mean_share / max(1, int(measured.sum()))


def _contributions(
    weights_KG: np.ndarray, cell_N: np.ndarray, right: Iterable[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Add up weight times rightness over models, on own distributions and on the split: each [N]."""
    own_N, right_N = np.zeros(len(cell_N)), np.zeros(len(cell_N))
    for weights_G, model_N in zip(weights_KG, right, strict=True):
        own_N += weights_G[cell_N] * model_N
        right_N += model_N
    return own_N, right_N / (len(weights_KG) * len(cell_N))


def _digest(federation: Federation, split: Split, cell_N: np.ndarray) -> str:
    """Return the digest of a split's images: the dataset, their indices and their cells."""
    task = federation.experiment.task
    total = hashlib.sha256(f"{task.dataset} {task.crop} {split}".encode())
    for numbers in (federation.images.indices(split), cell_N):
        total.update(np.ascontiguousarray(numbers, dtype=np.int64).tobytes())
    return total.hexdigest()[:16]
