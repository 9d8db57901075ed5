"""Accuracy on classes that no client trained on: the shared model classifies their images by their names.

Reference: Zhou et al., "Conditional Prompt Learning for Vision-Language Models" (CoCoOp), CVPR 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from raysim.core.types import Context, Split, Tensors
from raysim.core.warm import kept
from raysim.experiment.records import Experiment
from raysim.simulation.finite import finite_logits
from raysim.simulation.images import evaluation_images, frozen_of, images_of


@kept("models of novel classes", maxsize=2)
def novel_model(experiment: Experiment, device: torch.device) -> Any:
    """Return the frozen part of the method with the novel names as its classes; it is never trained."""
    return build_novel(experiment, frozen_of(experiment, device).context)


def build_novel(experiment: Experiment, context: Context) -> Any:
    """Return the frozen part of the method in this context, with the novel names as its classes."""
    names = images_of(experiment, novel=True).class_names
    return experiment.method.build(replace(context, classes=names))


@torch.no_grad()
def novel_accuracy(
    experiment: Experiment, device: torch.device, models: Sequence[Tensors], split: Split
) -> float | None:
    """Return the accuracy of the server's models on the images of novel classes, among the novel names.

    Args:
        experiment: Its method has a shared model.
        device: Where the rows lie.
        models: Rows of the server's models, each tensor [1, ...].
        split: The split that the images are from.

    Returns:
        Mean over the models, 0 to 1; None without novel classes, or where the split has none of their images.
    """
    if not experiment.task.novel:
        return None
    x, y, _ = evaluation_images(experiment, device, split, novel=True)
    if not len(y):
        return None
    model = novel_model(experiment, device)
    logits = [finite_logits(experiment.method.predict(model, params, x, "shared")) for params in models]
    return float(
        np.mean(
            [
                (logits_1NC.argmax(dim=2)[0] == y).double().mean().item()
                for logits_1NC in logits
                if logits_1NC is not None
            ]
        )
    )
