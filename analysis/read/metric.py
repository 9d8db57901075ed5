"""The metric of a result folder: what its columns `acc_*` hold, and the words for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ACCURACY = "accuracy"
PLURALS = {ACCURACY: "accuracies"}
PER_CLASS = {"mIoU": "IoU"}


@dataclass(frozen=True)
class Metric:
    """Words for the metric. `str(metric)` is its name, so a text can say f"validation {results.metric}".

    Attributes:
        name: `accuracy`, or `mIoU` where runs segment images, or `accuracy or mIoU` where runs differ.
        plural: Several values: `accuracies`, `mIoUs`.
        per_class: The value of one class: `accuracy`, `IoU` (mIoU is the mean of IoU over classes).
    """

    name: str = ACCURACY
    plural: str = PLURALS[ACCURACY]
    per_class: str = ACCURACY

    @property
    def segments(self) -> bool:
        """Whether runs segment images: pixels are counted, and a class has an overlap (IoU)."""
        return "mIoU" in self.name

    def __str__(self) -> str:
        """The name."""
        return self.name


def metric_named(names: Iterable[str]) -> Metric:
    """Return the metric with these names (`metric` in each run.json); a missing name means accuracy."""
    distinct = sorted({name or ACCURACY for name in names}) or [ACCURACY]
    return Metric(
        name=" or ".join(distinct),
        plural=" or ".join(PLURALS.get(name, f"{name}s") for name in distinct),
        per_class=" or ".join(PER_CLASS.get(name, name) for name in distinct),
    )
