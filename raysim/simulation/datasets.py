"""The datasets that this process has open, and whether their files are still the same."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path

from raysim.core import warm
from raysim.data.dataset import Dataset
from raysim.data.files import data_roots
from raysim.data.reading import Reading
from raysim.data.registry import load_dataset
from raysim.experiment.task import Task


@dataclass(frozen=True)
class _Opened:
    """A dataset, and what its files were when it was opened.

    Attributes:
        dataset: The dataset.
        stamp: Its `files_stamp`.
        roots: Folders of `$RAYSIM_DATA`.
    """

    dataset: Dataset
    stamp: Hashable
    roots: list[Path]

    @property
    def unchanged(self) -> bool:
        """Whether the files are still the same; False where nothing tells."""
        now = self.dataset.files_stamp()
        return now is not None and (now, data_roots()) == (self.stamp, self.roots)


def dataset_of(task: Task) -> Dataset:
    """Return the dataset of a task, opened once per process; `refresh` opens changed ones again."""
    return _opened(task.dataset, task.path, task.crop, task.reading, task.per_cell).dataset


def refresh() -> None:
    """Forget what this process keeps warm where the files of a dataset have changed since it was opened.

    It is called before a run or a sweep: features, splits and clients are kept by the dataset's name and
    path, so they stand for the files as they were.
    """
    if not all(opened.unchanged for opened in warm.CACHES["datasets"].values()):
        warm.clear()


@warm.kept("datasets", maxsize=4)
def _opened(name: str, path: str | None, crop: int | None, reading: Reading, per_cell: int | None) -> _Opened:
    dataset = load_dataset(name, path, crop, reading, per_cell)
    return _Opened(dataset, dataset.files_stamp(), data_roots())
