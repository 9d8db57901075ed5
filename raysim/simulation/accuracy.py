"""The four accuracies, from counts of correct predictions per class and domain; in segmentation the four mIoU, from areas.

`own` is the global split reweighted by the client's class and domain frequencies: no client gives up training
images, and a client of seven images is still measured on all of them. It assumes that images of a class and
domain are alike across clients. In segmentation an image's cell is its dominant class and its domain; the
areas of its pixel classes are reweighted by it.

Shapes: K clients, C classes, D domains, G = C * D cells, n images, S pixels a side.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from raysim.core.types import ACCURACIES, IGNORE, POOLED, Score, Split
from raysim.simulation.federation import Federation

Row = dict[str, Any]

GROUPS = ("head", "medium", "tail")
SKEWED = 1.5  # from this ratio of the most frequent class to the rarest, classes are grouped by frequency


def accuracies(
    federation: Federation,
    split: Split,
    sample: np.ndarray,
    shared: Score | None,
    personal: dict[int, np.ndarray] | None,
) -> tuple[Row, list[Row], list[Row]]:
    """Summarise an evaluation.

    Args:
        federation: Who holds what.
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
    segments = federation.experiment.task.kind == "segmentation"
    measure = _mean_iou if segments else _share_correct
    shared_G = None if shared is None else shared.correct[0]
    clients: list[Row] = []
    for client in sample:
        own = federation.frequencies[client]
        mine = shared_G if personal is None else personal[int(client)]
        row: Row = {"client": int(client)}
        for scope, counts in (("shared", shared_G), ("personal", mine)):
            row[f"acc_{scope}_own"] = None if counts is None else measure(counts, total, own)
            row[f"acc_{scope}_global"] = None if counts is None else measure(counts, total, None)
        clients.append(row)
    mean = shared_G if personal is None else np.mean([personal[int(client)] for client in sample], axis=0)
    summary: Row = {name: _mean([row[name] for row in clients]) for name in ACCURACIES}
    summary["private_effect"] = (
        None if personal is None or shared_G is None else _mean([_effect(row) for row in clients])
    )
    measured = [row["acc_personal_own"] for row in clients if row["acc_personal_own"] is not None]
    summary["worst_client_accuracy"] = min(measured, default=None)
    summary["p10_client_accuracy"] = float(np.quantile(measured, 0.1)) if measured else None
    classes: list[Row] = []
    for scope, counts in (("shared", shared_G), ("personal", mean)):
        if counts is not None:
            classes += _class_rows(
                federation, scope, *(_areas(counts, federation) if segments else (counts, total))
            )
            summary |= {} if segments else _by_frequency(federation, scope, counts, total)
    return summary, clients, classes


def of_newcomers(
    federation: Federation,
    split: Split,
    sample: np.ndarray,
    shared: Score | None,
    personal: dict[int, np.ndarray] | None,
) -> Row:
    """The mean own-distribution accuracies of clients that never took part; arguments as for `accuracies`."""
    summary, _, _ = accuracies(federation, split, sample, shared, personal)
    return {f"acc_{scope}_newcomers": summary[f"acc_{scope}_own"] for scope in ("shared", "personal")}


def base_to_novel(base: float | None, novel: float | None) -> Row:
    """Base images among base names, novel images among novel names, and their harmonic mean, each 0..1 or None where there is no model.

    Reference:
        Zhou et al., "Conditional Prompt Learning for Vision-Language Models" (CoCoOp), CVPR 2022.
    """
    row: Row = {"acc_base": base, "acc_novel": novel, "acc_harmonic": None}
    if base is not None and novel is not None:
        row["acc_harmonic"] = 2 * base * novel / (base + novel) if base + novel else 0.0
    return row


def cell_totals(federation: Federation, split: Split) -> np.ndarray:
    """Images of a split per class and domain, [G]."""
    images = federation.images
    where, domains = images.where(split), len(images.domain_names)
    cell = images.labels[where] * domains + images.domains[where]
    return np.bincount(cell, minlength=len(images.class_names) * domains).astype(np.float64)


def training_images(federation: Federation) -> np.ndarray:
    """Training images of each class over all clients that may train, [C] int64."""
    return np.bincount(
        federation.images.labels[federation.shard(POOLED)], minlength=len(federation.images.class_names)
    )


def intersection_union(
    predicted: np.ndarray, truth: np.ndarray, cell: np.ndarray, cells: int, classes: int
) -> np.ndarray:
    """Areas in pixels in which prediction and truth agree, and that either covers, for each cell of images and each class.

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
    first = (cell.astype(np.int64) * classes)[
        :, None, None
    ]  # the place of an image's class 0 in the flat table
    guess, true = (first + predicted)[counted], (first + truth)[counted]
    agree, guessed, there = (
        np.bincount(places, minlength=cells * classes) for places in (true[guess == true], guess, true)
    )
    return np.stack([agree, guessed + there - agree], axis=-1).astype(np.float64).reshape(cells, classes, 2)


def _share_correct(correct: np.ndarray, total: np.ndarray, own: np.ndarray | None) -> float | None:
    """Sum over cells of own * correct / total; cells without an image in the split are left out and the rest scaled up.

    Without `own` every image counts alike.
    """
    if own is None:
        return float(correct.sum() / total.sum())
    seen = total > 0
    weight = own[seen].sum()
    return float((own[seen] * correct[seen] / total[seen]).sum() / weight) if weight > 0 else None


def _mean_iou(areas: np.ndarray, total: np.ndarray, own: np.ndarray | None) -> float | None:
    """Mean over classes of IoU_c = sum_g w_g I_gc / sum_g w_g U_gc with w_g = own_g / total_g, or 1 without `own`.

    Classes without any union and cells without an image in the split are left out; None where that leaves
    nothing.
    """
    seen = total > 0
    weight = np.ones(seen.sum()) if own is None else own[seen] / total[seen]
    intersection, union = np.tensordot(weight, areas[seen], axes=1).T
    return float((intersection[union > 0] / union[union > 0]).mean()) if (union > 0).any() else None


def _by_frequency(federation: Federation, scope: str, correct: np.ndarray, total: np.ndarray) -> Row:
    """The mean of the classes' accuracies: of all, and of each third by training images where frequent and rare classes differ.

    Classes without an image in the split are left out.
    """
    domains = len(federation.images.domain_names)
    correct_C, total_C = (values.reshape(-1, domains).sum(axis=1) for values in (correct, total))
    accuracy_C = np.divide(correct_C, total_C, out=np.full_like(total_C, np.nan), where=total_C > 0)
    row: Row = {f"acc_{scope}_class_mean": _nan_mean(accuracy_C)}
    images_C = training_images(federation)
    if len(images_C) >= len(GROUPS) and images_C.max() >= SKEWED * images_C.min():
        by_falling_count = np.argsort(-images_C, kind="stable")
        for group, members in zip(GROUPS, np.array_split(by_falling_count, len(GROUPS)), strict=True):
            row[f"acc_{scope}_{group}"] = _nan_mean(accuracy_C[members])
    return row


def _areas(areas: np.ndarray, federation: Federation) -> tuple[np.ndarray, np.ndarray]:
    """Intersection and union per pixel class and domain, each [G]: summed over the images' dominant classes."""
    by_domain = areas.reshape(-1, len(federation.images.domain_names), *areas.shape[1:]).sum(axis=0)
    intersection, union = np.moveaxis(by_domain, -1, 0)
    return intersection.T.ravel(), union.T.ravel()


def _effect(row: Row) -> float:
    """How far a client's private part moves its two accuracies: the larger of the absolute differences."""
    pairs = [(row[f"acc_personal_{where}"], row[f"acc_shared_{where}"]) for where in ("own", "global")]
    return max(abs(mine - shared) for mine, shared in pairs if mine is not None and shared is not None)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _nan_mean(values: np.ndarray) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def _class_rows(federation: Federation, scope: str, correct: np.ndarray, total: np.ndarray) -> list[Row]:
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
