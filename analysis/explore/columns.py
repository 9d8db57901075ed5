"""Columns of numbers for the explore page: short, and without what JSON cannot say."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from ..look.words import TITLES
from ..read.metric import Metric
from ..read.results import Row

DIGITS = 6  # significant digits; a point of a figure shows fewer
MORE_TITLES = {
    "p10_client_accuracy": "tenth percentile of clients",
    "acc_shared_newcomers": "shared alone, new clients",
    "acc_personal_newcomers": "personal, new clients",
    "acc_base": "base classes",
    "acc_novel": "novel classes",
    "acc_harmonic": "harmonic mean of base and novel",
    "acc_majority_own": "most frequent class, own distribution",
    "acc_majority_global": "most frequent class, global split",
    "acc_zeroshot_own": "zero-shot, own distribution",
    "acc_zeroshot_global": "zero-shot, global split",
}
COSTS = {
    "bytes_up": "bytes up, all clients",
    "bytes_down": "bytes down, all clients",
    "flops": "FLOPs of a run",
    "seconds": "seconds of a run",
}


def number(value: Any) -> float | int | None:
    """Return a finite number with `DIGITS` significant digits; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def mean(values: Any) -> float | int | None:
    """Return the mean over the seeds that have a number; of a single number, itself."""
    listed = values if isinstance(values, list) else [values]
    finite = [value for value in map(number, listed) if value is not None]
    return number(sum(finite) / len(finite)) if finite else None


def level(value: Any) -> float | int | str:
    """Return a value of a parameter: a number, or what it is called (`none`, `true`, a list as JSON)."""
    if isinstance(value, bool) or value is None:
        return {None: "none", True: "true", False: "false"}[value]
    finite = number(value)
    if finite is not None:
        return finite
    return value if isinstance(value, str) else json.dumps(value)


def measured(names: Iterable[str]) -> list[str]:
    """Return the names of accuracies among names of columns, the objective's first."""
    found = {
        n for n in names if n.startswith("acc_") or n in ("worst_client_accuracy", "p10_client_accuracy")
    }
    order = [*TITLES, *MORE_TITLES]
    return sorted(found, key=lambda n: (order.index(n) if n in order else len(order), n))


def title_of(column: str, metric: Metric) -> str:
    """Return the words for a column of a table."""
    if column == "objective":
        return "objective (validation)"
    if column in COSTS:
        return COSTS[column]
    words = TITLES.get(column) or MORE_TITLES.get(column) or column.removeprefix("acc_").replace("_", " ")
    return f"{metric}, {words}" if column.startswith(("acc_", "worst_", "p10_")) else words


def filled(columns: Row) -> Row:
    """Return the columns that have a value in some row."""
    return {name: values for name, values in columns.items() if any(v is not None for v in values)}
