"""Classes that nobody trained on: the shared model tells their images apart by their names (base to novel).

Reference: Zhou et al., "Conditional Prompt Learning for Vision-Language Models" (CoCoOp), CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from raysim.core.types import Split, Tensors
from raysim.experiment.records import Experiment
from raysim.simulation.images import frozen_of, held_out, images_of


@lru_cache(maxsize=2)
def naming_novel(experiment: Experiment) -> Any:
    """The method's frozen part for the novel names alone; never trained with. Kept in this process."""
    names = images_of(experiment.task, novel=True).class_names
    return experiment.method.build(replace(frozen_of(experiment).context, classes=names))


@torch.no_grad()
def share_right(experiment: Experiment, models: Sequence[Tensors], split: Split) -> float | None:
    """The share of the novel classes' images that the server's models get right among the novel names, their mean.

    Args:
        experiment: Of a method that has a shared model.
        models: Rows of the server's models, each tensor [1, ...].
        split: Where the images are from.

    Returns:
        0..1; None where nothing is asked for, or the split has no such image.
    """
    if not experiment.task.novel:
        return None
    x, y, _ = held_out(experiment, split, novel=True)
    if not len(y):
        return None
    logits = [experiment.method.predict(naming_novel(experiment), params, x, "shared") for params in models]
    return float(
        np.mean([(one.argmax(dim=2)[0] == y).double().mean().item() for one in logits if one is not None])
    )
