"""The four accuracies, from counts of correct predictions per class and domain.

`own` is the global split reweighted by the client's class and domain frequencies: no client gives up training images, and a
client of seven images is still measured on all of them. It assumes that images of a class and domain are alike across clients.

Shapes: K clients, C classes, D domains.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from raysim.federation import Federation
from raysim.types import ACCURACIES, Score, Split

Row = dict[str, Any]


def accuracies(
    federation: Federation, split: Split, sample: np.ndarray, shared: Score | None, personal: dict[int, np.ndarray] | None
) -> tuple[Row, list[Row], list[Row]]:
    """Summarise an evaluation.

    Args:
        federation: Who holds what.
        split: The split that was scored.
        sample: The clients that were evaluated.
        shared: The shared model's counts, or None where the method has no shared model.
        personal: Each evaluated client's counts [C * D]; None where every client uses the shared model.

    Returns:
        One row of summary numbers, a row per client, and a row per scope, class and domain.
    """
    total = cell_totals(federation, split)
    shared_C = None if shared is None else shared.correct[0]
    clients: list[Row] = []
    for client in sample:
        own = federation.frequencies[client]
        mine = shared_C if personal is None else personal[int(client)]
        row: Row = {"client": int(client)}
        for scope, correct in (("shared", shared_C), ("personal", mine)):
            row[f"acc_{scope}_own"] = None if correct is None else _reweighted(correct, total, own)
            row[f"acc_{scope}_global"] = None if correct is None else float(correct.sum() / total.sum())
        clients.append(row)
    summary: Row = {name: _mean([row[name] for row in clients]) for name in ACCURACIES}
    summary["private_effect"] = None if personal is None or shared_C is None else _mean([_effect(row) for row in clients])
    measured = [row["acc_personal_own"] for row in clients if row["acc_personal_own"] is not None]
    summary["worst_client_accuracy"] = min(measured, default=None)
    summary["p10_client_accuracy"] = float(np.quantile(measured, 0.1)) if measured else None
    classes = [] if shared_C is None else _class_rows(federation, "shared", shared_C, total)
    counts = shared_C if personal is None else np.mean([personal[int(client)] for client in sample], axis=0)
    if counts is not None:
        classes += _class_rows(federation, "personal", counts, total)
    return summary, clients, classes


def cell_totals(federation: Federation, split: Split) -> np.ndarray:
    """Images of a split per class and domain, [C * D]."""
    images = federation.images
    where, domains = images.where(split), len(images.domain_names)
    cell = images.labels[where] * domains + images.domains[where]
    return np.bincount(cell, minlength=len(images.class_names) * domains).astype(np.float64)


def _reweighted(correct: np.ndarray, total: np.ndarray, own: np.ndarray) -> float | None:
    """Sum over cells of own * correct / total; cells without an image in the split are left out and the rest scaled up."""
    seen = total > 0
    weight = own[seen].sum()
    return float((own[seen] * correct[seen] / total[seen]).sum() / weight) if weight > 0 else None


def _effect(row: Row) -> float:
    """How far a client's private part moves its two accuracies: the larger of the absolute differences."""
    pairs = [(row[f"acc_personal_{where}"], row[f"acc_shared_{where}"]) for where in ("own", "global")]
    return max(abs(mine - shared) for mine, shared in pairs if mine is not None and shared is not None)


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


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
