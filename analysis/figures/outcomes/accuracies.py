"""The accuracies that figures show: their columns, their names, and how their scopes are drawn."""

from __future__ import annotations

from ...look.style import Look
from ...read.metric import Metric

PERSONAL_METRICS = {
    "acc_personal_own": "on each client's own distribution",
    "acc_personal_global": "on the global split",
}
FOUR_METRICS = {
    "acc_personal_own": "personal, own",
    "acc_personal_global": "personal, global",
    "acc_shared_own": "shared alone, own",
    "acc_shared_global": "shared alone, global",
}
ALL_METRICS = (*FOUR_METRICS, "worst_client_accuracy")
SCOPES = {"shared": Look("#D55E00", "s"), "personal": Look("#0072B2", "o")}
SCOPE_NAMES = {"shared": "shared alone", "personal": "personal"}
GROUPS = ("head", "medium", "tail")
SHARED_METRICS = tuple(f"acc_shared_{group}" for group in GROUPS)
GROUPING = (
    "Head, medium and tail classes are thirds of the classes, by their training images over all clients. "
    "Within a third every class has the same weight, on the global split."
)
SPLIT_WORDS = {
    "own": "on the clients' own distributions",
    "global": "on the global split",
    "class_mean": "in the mean over classes",
    **{group: f"on {group} classes" for group in GROUPS},
}
TESTED_METRICS = {  # what a recipe may compare, in words
    f"acc_{scope}_{place}": text + suffix
    for scope, suffix in {"personal": "", "shared": " with the shared model alone"}.items()
    for place, text in SPLIT_WORDS.items()
}
NOT_YET = "No configuration is confirmed on fresh seeds: the test split is closed."


def title_of(column: str, metric: Metric) -> str:
    """Return the title of a panel: `Shared accuracy on tail classes`."""
    if column in PERSONAL_METRICS:
        return f"Personal {metric} {PERSONAL_METRICS[column]}"
    _, scope, place = column.split("_", 2)
    return f"{scope.capitalize()} {metric} {SPLIT_WORDS[place]}"


def counted(metric: Metric) -> str:
    """Return for a caption what an image counts for where pixels are classified; empty elsewhere."""
    return " An image counts for the class of most of its pixels." if metric.segments else ""
