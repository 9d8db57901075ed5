"""`raysim data check NAME --backbone B`: zero-shot accuracy by template, and why it is low."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from raysim.backbones.backbone import Backbone
from raysim.backbones.published import PUBLISHED
from raysim.backbones.weight_files import file_digest
from raysim.backbones.weights import only_file
from raysim.backbones.zeroshot import (
    TOLERANCE,
    ZeroShotAccuracy,
    sample,
    with_other_activation,
    zeroshot_accuracy,
)
from raysim.core.console import bar
from raysim.data.dataset import Dataset
from raysim.experiment.task import Task
from raysim.simulation.datasets import dataset_of
from raysim.simulation.images import backbone_of

TRIED = 200  # images on which the other activation is tried


def check_zeroshot(task: Task, backbone: str, backbone_path: str | None) -> None:
    """Measure and print a backbone's zero-shot accuracy on a dataset, and compare it with published ones.

    Args:
        task: The dataset, its place, and how its images are read.
        backbone: The backbone's name.
        backbone_path: Local weights of the backbone.

    Raises:
        UserError: The weights cannot be loaded.
    """
    dataset = dataset_of(task)
    if dataset.segments:
        print("  zero-shot accuracy: not measured, the dataset classifies pixels")
        return
    loaded = backbone_of(backbone, backbone_path, "cpu")
    _print_origin(backbone, backbone_path)
    indices = sample(dataset)
    with bar("zero-shot", False) as progress:
        result = zeroshot_accuracy(loaded, dataset, indices, progress)
    which = "all" if len(indices) == len(dataset) else f"{len(indices):,} images drawn from all"
    print(f"  zero-shot accuracy of {backbone} ({which} {len(dataset):,}):")
    for template, accuracy in result.templates.items():
        half = 1.96 * (accuracy * (1 - accuracy) / len(indices)) ** 0.5
        print(f"    {accuracy:6.1%} +- {half:.1%}  {template}")
    for line in verdict(result):
        print(f"  {line}")
    if result.by_chance or result.below:
        print("  What is usually wrong then:")
        for line in causes(loaded, dataset, indices, result):
            print(f"    - {line}")


def _print_origin(backbone: str, backbone_path: str | None) -> None:
    """Print what is known of published weights, and whether a local file is the published one."""
    entry = PUBLISHED.get(backbone)
    if entry is None:
        return
    activation = "QuickGELU" if entry.quick_gelu else "GELU"
    print(f"  {backbone}: {entry.architecture}, {activation} ({entry.why}); licence {entry.licence}")
    if backbone_path is not None and entry.sha256:
        same = file_digest(only_file(Path(backbone_path))) == entry.sha256
        said = "the published one" if same else "not that of the published file (converted, or another file?)"
        print(f"  sha256 of {backbone_path}: {said}")


def verdict(result: ZeroShotAccuracy) -> list[str]:
    """Return in words how an accuracy compares with chance and with the published ones."""
    lines = [f"published: {value:.1%} ({study})" for study, value in result.published.items()]
    if result.by_chance:
        lines.append(
            f"the best template has {result.best:.1%}, a guess among {result.classes} classes "
            f"{1 / result.classes:.1%}: images and texts do not match at all"
        )
    elif result.below:
        lines.append(
            f"BELOW what was published: the best template has {result.best:.1%}, the lowest published figure "
            f"is {min(result.published.values()):.1%} (apart by more than {TOLERANCE:.0%} and chance)"
        )
    elif result.published:
        lines.append(
            "in line with what was published (templates, class names and splits differ by some percent)"
        )
    else:
        lines.append("no published figure for this backbone and dataset is known here")
    return lines


def causes(backbone: Backbone, dataset: Dataset, indices: np.ndarray, result: ZeroShotAccuracy) -> list[str]:
    """Return what makes zero-shot accuracy low, the likeliest first; the other activation is tried.

    Args:
        backbone: The backbone as it was loaded.
        dataset: The dataset.
        indices: The images that were measured.
        result: What was measured.
    """
    lines = []
    if (other := with_other_activation(backbone)) is not None:
        twin, has = other
        tried = indices[:: max(1, len(indices) // TRIED)]
        before, after = (zeroshot_accuracy(each, dataset, tried).best for each in (backbone, twin))
        better = after > before + TOLERANCE
        lines.append(
            f"the activation: with {has} in place of the other the best template has {after:.1%} instead of "
            f"{before:.1%} on {len(tried)} images"
            + (
                ": name the architecture with the other ending (-quickgelu, or without)"
                if better
                else ", so not this"
            )
        )
    words = [
        name for name in dataset.classes if "_" in name or any(c.isdigit() for c in name) or len(name) > 24
    ]
    odd = f" ({', '.join(words[:4])})" if words else ""
    lines += [
        f"the class names{odd}: they should be plain words with spaces (storage tanks, not storagetanks_01); "
        "see the line 'classes' above",
        "the templates: take those with which the weights were trained",
        f"the images: {backbone.image_size} px, mean {_numbers(backbone.mean)}, deviation "
        f"{_numbers(backbone.std)} should be those of the weights' training; bands in the order red, green, "
        "blue, 8 bit, neither dark nor washed out (look at --sheet)",
        "the weights: another model's file, or a checkpoint from before its training ended",
    ]
    return lines


def _numbers(values: tuple[float, ...]) -> str:
    """Return numbers with three digits."""
    return "/".join(f"{value:.3f}" for value in values)
