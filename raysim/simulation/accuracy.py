"""The four accuracies of an evaluation, from counts per class and domain; in segmentation the four mIoU.

`own` is the global split reweighted by the client's class and domain frequencies: no client gives up training
images, and a client of seven images is still measured on all of them. It assumes that images of a class and
domain are alike across clients. In segmentation an image's cell is its dominant class and its domain; the
areas of its pixel classes are reweighted by it.

Shapes: K clients, C classes, D domains, G = C * D cells, n images, S pixels a side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from raysim.core.columns import ACCURACIES, COUNT_COLUMNS, TableRow
from raysim.core.types import IGNORE, POOLED, Score, Split
from raysim.simulation.federation import Federation

GROUPS = ("head", "medium", "tail")
NAMED = 3  # classes that a sentence names
SKEWED = 1.5  # ratio of the most frequent class to the rarest from which classes are grouped by frequency


def accuracies(
    federation: Federation,
    split: Split,
    sample: np.ndarray,
    shared: Score | None,
    personal: dict[int, np.ndarray] | None,
) -> tuple[TableRow, list[TableRow], list[TableRow]]:
    """Summarise an evaluation.

    Args:
        federation: The images and the clients.
        split: The split that was scored.
        sample: The clients that were evaluated.
        shared: The shared model's counts, or None where the method has no shared model.
        personal: Each evaluated client's counts, [G] correct images, or in segmentation [G, C, 2]
            intersections and unions in pixels (see `intersection_union`); None where every client uses the
            shared model.

    Returns:
        One row of summary numbers, a row per client, and a row per scope, class and domain.
    """
    total = cell_totals(federation, split)
    segments, measure = federation.experiment.task.kind == "segmentation", measure_of(federation)
    shared_G = None if shared is None else shared.correct[0]
    clients: list[TableRow] = []
    for client in sample:
        frequencies = federation.frequencies[client]
        personal_G = shared_G if personal is None else personal[int(client)]
        row: TableRow = {"client": int(client)}
        for scope, counts in (("shared", shared_G), ("personal", personal_G)):
            row[f"acc_{scope}_own"] = None if counts is None else measure(counts, total, frequencies)
            row[f"acc_{scope}_global"] = None if counts is None else measure(counts, total, None)
        if row["acc_personal_own"] is None:
            row["reason"] = _unmeasured(federation, split, frequencies)
        clients.append(row)
    summary = _summary(clients, with_effect=personal is not None and shared_G is not None)
    average = shared_G if personal is None else np.mean([personal[int(client)] for client in sample], axis=0)
    classes: list[TableRow] = []
    for scope, counts in (("shared", shared_G), ("personal", average)):
        if counts is not None:
            classes += _class_rows(
                federation, scope, *(_areas(counts, federation) if segments else (counts, total))
            )
            summary |= {} if segments else _by_frequency(federation, scope, counts, total)
    return summary, clients, classes


def _summary(clients: list[TableRow], with_effect: bool) -> TableRow:
    """Means over the clients, and the accuracies of the clients that fare worst."""
    summary: TableRow = {name: mean([row[name] for row in clients]) for name in ACCURACIES}
    summary["private_effect"] = mean([_effect(row) for row in clients]) if with_effect else None
    measured = [row["acc_personal_own"] for row in clients if row["acc_personal_own"] is not None]
    summary["worst_client_accuracy"] = min(measured, default=None)
    summary["p10_client_accuracy"] = float(np.quantile(measured, 0.1)) if measured else None
    return summary | dict(zip(COUNT_COLUMNS, (len(measured), len(clients)), strict=True))


def measure_of(
    federation: Federation,
) -> Callable[[np.ndarray, np.ndarray, np.ndarray | None], float | None]:
    """Return what turns counts, `cell_totals` and a client's frequencies into its accuracy, or its mIoU.

    Without frequencies it is the one on the global split; None where nothing of the client can be measured.
    """
    return _mean_iou if federation.experiment.task.kind == "segmentation" else _share_correct


def _unmeasured(federation: Federation, split: Split, frequencies: np.ndarray) -> str:
    """Say why a client has no accuracy on its own distribution."""
    images = federation.images
    domains = len(images.domain_names)
    held = [
        images.class_names[cell // domains]
        + (f" in {images.domain_names[cell % domains]}" if domains > 1 else "")
        for cell in np.flatnonzero(frequencies)
    ]
    more = f" and {len(held) - NAMED} more" if len(held) > NAMED else ""
    return f"no {split} image of what it holds: {', '.join(held[:NAMED])}{more}"


def newcomer_accuracies(
    federation: Federation,
    split: Split,
    sample: np.ndarray,
    shared: Score | None,
    personal: dict[int, np.ndarray] | None,
) -> TableRow:
    """Mean accuracies of clients that never took part, each on its own distribution.

    The arguments are those of `accuracies`.
    """
    summary, _, _ = accuracies(federation, split, sample, shared, personal)
    return {f"acc_{scope}_newcomers": summary[f"acc_{scope}_own"] for scope in ("shared", "personal")}


def base_to_novel(base: float | None, novel: float | None) -> TableRow:
    """Accuracies of base images among base names and of novel images among novel names, and their mean.

    The mean is harmonic. Each is 0 to 1, or None where there is no model.

    Reference:
        Zhou et al., "Conditional Prompt Learning for Vision-Language Models" (CoCoOp), CVPR 2022.
    """
    row: TableRow = {"acc_base": base, "acc_novel": novel, "acc_harmonic": None}
    if base is not None and novel is not None:
        row["acc_harmonic"] = 2 * base * novel / (base + novel) if base + novel else 0.0
    return row


def cell_totals(federation: Federation, split: Split) -> np.ndarray:
    """Images of a split per class and domain, [G]."""
    images = federation.images
    indices, domains = images.indices(split), len(images.domain_names)
    cell = images.labels[indices] * domains + images.domains[indices]
    return np.bincount(cell, minlength=len(images.class_names) * domains).astype(np.float64)


def training_images(federation: Federation) -> np.ndarray:
    """Training images of each class over all clients that may train, [C] int64."""
    return np.bincount(
        federation.images.labels[federation.shard(POOLED)], minlength=len(federation.images.class_names)
    )


def intersection_union(
    predicted: np.ndarray, truth: np.ndarray, cell: np.ndarray, cells: int, classes: int
) -> np.ndarray:
    """Intersection and union of prediction and truth in pixels, for each cell of images and each class.

    Pixels whose truth is 255 count nowhere, whatever is predicted there. Additive: the areas of two batches
    add up.

    Args:
        predicted: Predicted class of every pixel, 0..C-1. [n, S, S] integer
        truth: True class of every pixel, or 255. [n, S, S] integer
        cell: The cell of each image, 0..G-1. [n] integer
        cells: G.
        classes: C.

    Returns:
        Intersection and union. [G, C, 2] float64
    """
    counted = truth != IGNORE
    # place of an image's class 0 in the flat table of cells and classes
    first = (cell.astype(np.int64) * classes)[:, None, None]
    guess, true = (first + predicted)[counted], (first + truth)[counted]
    both, guessed, present = (
        np.bincount(places, minlength=cells * classes) for places in (true[guess == true], guess, true)
    )
    return np.stack([both, guessed + present - both], axis=-1).astype(np.float64).reshape(cells, classes, 2)


def _share_correct(correct: np.ndarray, total: np.ndarray, frequencies: np.ndarray | None) -> float | None:
    """Sum over cells of frequency * correct / total; without frequencies every image counts alike.

    Cells without an image in the split are left out, and the other frequencies are scaled up.
    """
    if frequencies is None:
        return float(correct.sum() / total.sum())
    present = total > 0
    weight = frequencies[present].sum()
    if not weight > 0:
        return None
    return float((frequencies[present] * correct[present] / total[present]).sum() / weight)


def _mean_iou(areas: np.ndarray, total: np.ndarray, frequencies: np.ndarray | None) -> float | None:
    """Mean over classes c of IoU_c = sum_g w_g I_gc / sum_g w_g U_gc with w_g = frequency_g / total_g.

    Without frequencies w_g = 1. Classes without any union and cells without an image in the split are left
    out; None where that leaves nothing.
    """
    present = total > 0
    weight = np.ones(present.sum()) if frequencies is None else frequencies[present] / total[present]
    intersection, union = np.tensordot(weight, areas[present], axes=1).T
    return float((intersection[union > 0] / union[union > 0]).mean()) if (union > 0).any() else None


def _by_frequency(federation: Federation, scope: str, correct: np.ndarray, total: np.ndarray) -> TableRow:
    """Mean accuracy of all classes, and of each third by training images where frequent and rare ones differ.

    Classes without an image in the split are left out.
    """
    domains = len(federation.images.domain_names)
    correct_C, total_C = (values.reshape(-1, domains).sum(axis=1) for values in (correct, total))
    accuracy_C = np.divide(correct_C, total_C, out=np.full_like(total_C, np.nan), where=total_C > 0)
    row: TableRow = {f"acc_{scope}_class_mean": _nan_mean(accuracy_C)}
    images_C = training_images(federation)
    if len(images_C) >= len(GROUPS) and images_C.max() >= SKEWED * images_C.min():
        by_falling_count = np.argsort(-images_C, kind="stable")
        for group, members in zip(GROUPS, np.array_split(by_falling_count, len(GROUPS)), strict=True):
            row[f"acc_{scope}_{group}"] = _nan_mean(accuracy_C[members])
    return row


def _areas(areas: np.ndarray, federation: Federation) -> tuple[np.ndarray, np.ndarray]:
    """Sum intersection and union over the images' dominant classes: each [G], per pixel class and domain."""
    by_domain = areas.reshape(-1, len(federation.images.domain_names), *areas.shape[1:]).sum(axis=0)
    intersection, union = np.moveaxis(by_domain, -1, 0)
    return intersection.T.ravel(), union.T.ravel()


def _effect(row: TableRow) -> float:
    """Return the effect of a client's private part: the larger absolute difference of its two accuracies."""
    pairs = [(row[f"acc_personal_{place}"], row[f"acc_shared_{place}"]) for place in ("own", "global")]
    return max(abs(personal - shared) for personal, shared in pairs if None not in (personal, shared))


def mean(values: Sequence[float | None]) -> float | None:
    """Mean of the values that are there; None without any."""
    present = [value for value in values if value is not None]
    return float(np.mean(present)) if present else None


def _nan_mean(values: np.ndarray) -> float | None:
    present = values[~np.isnan(values)]
    return float(present.mean()) if len(present) else None


def _class_rows(federation: Federation, scope: str, correct: np.ndarray, total: np.ndarray) -> list[TableRow]:
    images = federation.images
    domains = len(images.domain_names)
    return [
        {
            "label": cell // domains,
            "class_name": images.class_names[cell // domains],
            "domain": cell % domains,
            "domain_name": images.domain_names[cell % domains],
            "scope": scope,
            "correct": float(correct[cell]),
            "total": float(total[cell]),
        }
        for cell in np.flatnonzero(total)
    ]
