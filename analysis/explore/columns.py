"""Columns of numbers for the explore page: their names in words, and numbers that JSON can say."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..look.words import TITLES, count
from ..read.metric import Metric
from ..read.results import Row

DIGITS = 6  # significant digits; a point of a figure shows fewer
ACCURACIES = {
    **TITLES,
    "p10_client_accuracy": "tenth percentile of clients",
    "acc_shared_newcomers": "shared alone, new clients",
    "acc_personal_newcomers": "personal, new clients",
    "acc_base": "base classes",
    "acc_novel": "novel classes",
    "acc_harmonic": "harmonic mean of base and novel",
    "acc_majority_own": "most frequent class, own distribution",
    "acc_majority_global": "most frequent class, global split",
    "acc_majority_newcomers": "most frequent class, new clients",
    "acc_zeroshot_own": "zero-shot, own distribution",
    "acc_zeroshot_global": "zero-shot, global split",
    "acc_zeroshot_newcomers": "zero-shot, new clients",
}
COSTS = {
    "bytes_up": "bytes up, all clients",
    "bytes_down": "bytes down, all clients",
    "flops": "FLOPs of a run",
    "seconds": "seconds of a run",
}
OTHERS = {
    "objective": "objective (validation)",
    "images": "training images",
    "classes": "classes with training images",
    "largest": "share of the most frequent class",
    "js": "label divergence from all clients (Jensen-Shannon, bits)",
    "loss": "training loss",
    **COSTS,
}


def titles_of(columns: Iterable[str], metric: Metric) -> dict[str, str]:
    """Return the words for columns of tables."""
    return {name: f"{metric}, {ACCURACIES[name]}" if name in ACCURACIES else OTHERS[name] for name in columns}


def finite(*columns: str) -> str:
    """Return columns as SQL; what is no finite number is missing."""
    return ", ".join(f"if(isfinite({name}), {name}, NULL) AS {name}" for name in columns)


def filled(rows: Sequence[Row], columns: Iterable[str], prefix: str = "") -> dict[str, list[Any]]:
    """Return the columns that have a value in some row; in the rows their names begin with `prefix`."""
    found = {name: [row[prefix + name] for row in rows] for name in columns}
    return {name: values for name, values in found.items() if any(value is not None for value in values)}


def tidy(data: Any) -> Any:
    """Return plain data as JSON can say it: numbers with `DIGITS` significant digits, None for no number."""
    if isinstance(data, dict):
        return {key: tidy(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [tidy(value) for value in data]
    if isinstance(data, float):
        return float(f"{data:.{DIGITS}g}") if math.isfinite(data) else None
    return data


def spread(rows: Sequence[Any], most: int) -> list[Any]:
    """Return at most `most` (2 or more) of these rows, evenly spread, with the first and the last one."""
    if len(rows) <= most:
        return list(rows)
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def left_out(kept: int, of: int, noun: str) -> list[str]:
    """Return a sentence on how many of something are on the page; none where all are."""
    return [] if kept >= of else [f"{count(kept, noun)} of {of:,} are on this page, evenly spread."]
