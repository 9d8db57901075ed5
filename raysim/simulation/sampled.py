"""Inputs of a few images that stand for those of all: what a run costs can be measured with them at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import numpy as np
import torch

from raysim.core.warm import CACHES, clear
from raysim.data.sample import Repeated, Sample
from raysim.experiment.records import Experiment
from raysim.simulation.datasets import dataset_of
from raysim.simulation.images import Frozen, address_of, load_inputs


def sampled_frozen(experiment: Experiment, device: torch.device, images: int) -> Frozen:
    """Return what `frozen_of` returns, but computed from a few images, whose rows stand for all images.

    Costs can be measured with it, accuracies cannot. Nothing is read from the cache folder or written to it.

    Args:
        experiment: Its task and method decide what is needed.
        device: Where the backbone computes.
        images: Number of images, evenly spaced over the dataset.

    Raises:
        UserError: Data or weights are missing; says where to get them.
    """
    task, inputs, needs_backbone = address_of(experiment)
    whole = dataset_of(task)
    frozen = load_inputs(task, inputs, needs_backbone, device, None, Sample(whole, images))
    x = cast(np.ndarray, Repeated(frozen.x, len(whole)))
    repeated = None if frozen.masks is None else cast(np.ndarray, Repeated(frozen.masks, len(whole)))
    return Frozen(x, frozen.context, repeated)


@contextmanager
def stand_in(experiment: Experiment, device: torch.device, frozen: Frozen) -> Iterator[None]:
    """Let other inputs stand for those of an experiment in this process, and forget them afterwards.

    Args:
        experiment: Its task and method say for which inputs they stand.
        device: Where the worker computes.
        frozen: The inputs.
    """
    clear()
    address = ((*address_of(experiment), device), ())  # as `kept` makes it of the arguments of `_frozen`
    CACHES["features"].get(address, lambda: frozen)
    try:
        yield
    finally:
        clear()
