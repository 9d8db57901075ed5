"""What a user should know of the images of an experiment before a result of them is read."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from raysim.data.duplicates import duplicate_sentences, image_names
from raysim.experiment.records import Experiment
from raysim.simulation.datasets import dataset_of
from raysim.simulation.images import images_of


def remarks_on(experiment: Experiment) -> list[str]:
    """Say what was not taken from the dataset's folder, and which images of the task are there twice.

    Splits are those of the experiment: the frozen one, or that of a table of clients.
    """
    dataset, images = dataset_of(experiment.task), images_of(experiment)
    said = [f"left out: {dataset.left_out.sentence}"] if dataset.left_out else []
    if dataset.digests:
        used, paths = (images.labels >= 0).nonzero()[0].tolist(), image_names(dataset)
        said += duplicate_sentences(
            [dataset.digests[index] for index in used],
            [paths[index] for index in used],
            images.labels[used],
            images.parts[used],
        )
    return [f"{dataset.name}: {sentence}" for sentence in said]


def print_remarks(experiments: Iterable[Experiment]) -> None:
    """Print the remarks on the images of these experiments on standard error, each once."""
    groups = {(experiment.task, experiment.scenario.source): experiment for experiment in experiments}
    for line in dict.fromkeys(line for experiment in groups.values() for line in remarks_on(experiment)):
        print(f"raysim: {line}", file=sys.stderr)
