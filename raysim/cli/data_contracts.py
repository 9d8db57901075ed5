"""What a dataset, a network, a backbone or a figure must keep, as checks for `raysim check`."""

from __future__ import annotations

import math
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch

from raysim.backbones.registry import load_backbone
from raysim.cli.contracts import Check
from raysim.core.types import SPLITS
from raysim.data.dataset import Dataset
from raysim.data.registry import load_dataset
from raysim.data.splits import split
from raysim.nn.convnets import NETWORKS, Norm
from raysim.storage.figures import REPORT_FIGURES
from raysim.storage.files import write_json
from raysim.storage.report import analysis_module

IMAGES = 40  # of a dataset that are opened


def of_dataset(name: str, path: str | None) -> list[Check]:
    """Return the checks of a dataset by its name.

    Args:
        name: The name.
        path: The place of its files; None where it needs none.
    """
    return [
        Check("labels, classes and prompts fit together", lambda: _labelled(load_dataset(name, path))),
        Check("images are RGB, the same each time and in every thread", lambda: _pictured(name, path)),
        Check("the fingerprint is that of the images", lambda: _fingerprint(name, path)),
        Check("it can be split into training, validation and test", lambda: _split(load_dataset(name, path))),
    ]


def of_network(name: str) -> list[Check]:
    """Return the checks of a network by its name."""
    return [
        Check("its maps are as declared, batch norm", lambda: _maps(name, "batch")),
        Check("its maps are as declared, group norm", lambda: _maps(name, "group")),
    ]


def of_backbone(name: str, path: str | None) -> list[Check]:
    """Return the checks of a backbone by its name.

    Args:
        name: The name.
        path: Its weights, as `task.backbone_path`; None where it needs none.
    """
    return [
        Check("images and texts have features of one size, finite", lambda: _features(name, path)),
        Check("its weights are the same each time", lambda: _same_weights(name, path)),
    ]


def of_figure(name: str) -> list[Check]:
    """Return the checks of a figure by its name."""
    return [Check("its query runs on the tables of a sweep", lambda: _query(name))]


def _features(name: str, path: str | None) -> str:
    backbone = load_backbone(name, path)
    image = backbone.preprocess(np.zeros((40, 50, 3), dtype=np.uint8))
    side = backbone.image_size
    if image.shape != (3, side, side):
        return f"a preprocessed image is {tuple(image.shape)}; the tower takes (3, {side}, {side})"
    images = backbone.encode_images(image[None])
    with torch.no_grad():
        texts = backbone.clip.encode_text(backbone.tokenize(["a photo of a river"]))
    if images.shape[1:] != texts.shape[1:]:
        return f"an image has {images.shape[1]} features, a text {texts.shape[1]}"
    return "" if bool(images.isfinite().all() and texts.isfinite().all()) else "a feature is not finite"


def _same_weights(name: str, path: str | None) -> str:
    one, two = load_backbone(name, path).fingerprint, load_backbone(name, path).fingerprint
    return "" if one == two else "two calls returned different weights: every run would have its own"


def _query(name: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        write_json(Path(folder) / "run.json", {"kind": "sweep"})
        analysis_module("read.results").open_results(Path(folder)).sql(REPORT_FIGURES[name].sql)
    return ""


def _labelled(dataset: Dataset) -> str:
    count = len(dataset)
    for name, values, names in (
        ("labels", dataset.labels, dataset.classes),
        ("attributes", dataset.attributes, dataset.domains),
    ):
        if values.shape != (count,) or values.dtype != np.int64:
            return f"{name} is {values.dtype} {values.shape}; it should be int64 ({count},)"
        if count and not 0 <= values.min() <= values.max() < len(names):
            return f"{name} has values from {values.min()} to {values.max()}, there are {len(names)} names"
    if len(set(dataset.classes)) < len(dataset.classes):
        return "two classes have one name"
    wrong = [template for template in dataset.templates if template.count("{}") != 1]
    if not dataset.templates or wrong:
        return f"templates should have one {{}} each, they are {dataset.templates!r}"
    return ""


def _pictured(name: str, path: str | None) -> str:
    dataset = load_dataset(name, path)
    tried = np.unique(np.linspace(0, len(dataset) - 1, IMAGES).astype(int))
    images = [dataset.image(int(index)) for index in tried]
    for index, image in zip(tried, images, strict=True):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            return f"image {index} is {image.dtype} {image.shape}; it should be uint8 [H, W, 3]"
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(dataset.image, map(int, tried)))
    differ = [i for i, one, two in zip(tried, images, again, strict=True) if not np.array_equal(one, two)]
    return f"image {differ[0]} is another one the second time" if differ else ""


def _fingerprint(name: str, path: str | None) -> str:
    one, two = load_dataset(name, path).fingerprint, load_dataset(name, path).fingerprint
    if not isinstance(one, str) or len(one) < 8:
        return f"the fingerprint is {one!r}; it should be the digest of all images in hex"
    return "" if one == two else "two objects of the same images have different fingerprints"


def _split(dataset: Dataset) -> str:
    frozen = dataset.predefined_split(0)
    frozen = split(dataset, 0) if frozen is None else frozen
    empty = [name for name, number in SPLITS.items() if not (frozen == number).any()]
    return f"no image for {' and '.join(empty)}: a class needs at least 5 images" if empty else ""


def _maps(name: str, norm: Norm) -> str:
    network = NETWORKS[name](width=8, norm=norm, pretrained=False).eval()
    for size in (32, 64):
        with torch.no_grad():
            maps = network(torch.zeros(2, 3, size, size))
        channels = tuple(feature.shape[1] for feature in maps)
        if channels != tuple(network.channels):
            return f"channels says {network.channels}, the maps have {channels}"
        side = math.ceil(size / network.stride)
        if maps[-1].shape != (2, channels[-1], side, side):
            return (
                f"the last map of an image of {size} px is {tuple(maps[-1].shape[2:])}; with stride "
                f"{network.stride} it should be ({side}, {side})"
            )
    return ""
