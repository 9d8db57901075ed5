"""Inputs of the methods: image features of a frozen backbone, pixels and masks, computed once and cached.

Every process maps the cached arrays into memory.

Shapes: N images, V views, d features, M patches, S pixels a side, B images a batch, H and W pixels of a raw
image.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch

from raysim.core.errors import UserError
from raysim.core.machine import usable_cores
from raysim.core.seeds import numpy_rng
from raysim.core.types import Inputs
from raysim.data.cache import cached_array
from raysim.data.dataset import Dataset, Progress
from raysim.data.memo import each_readable
from raysim.data.reading import READING_VERSION
from raysim.data.unreadable import UnreadableImage
from raysim.data.views import VIEWS_VERSION, probe_picture, random_view, resize, resize_mask

T = TypeVar("T")

BATCH = 32  # fixed, because the rounding of a matrix product may depend on it


class Encoder(Protocol):
    """Frozen image encoder, as `raysim.backbones.backbone.Backbone` is one."""

    @property
    def device(self) -> torch.device:
        """Device of its weights."""

    @property
    def name(self) -> str:
        """Name of the encoder, for messages."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, architecture and preprocessing."""

    @property
    def image_size(self) -> int:
        """Side S of its images in pixels."""

    def preprocess(self, image: np.ndarray, /) -> torch.Tensor:
        """Return [3, S, S] standardised, from [H, W, 3] uint8."""

    def encode_images(self, images: torch.Tensor, /, patches: bool = False) -> torch.Tensor:
        """Return features [B, d] of images [B, 3, S, S]; with patches [B, 1 + M, d]."""


def features(
    dataset: Dataset,
    backbone: Encoder | None,
    *,
    inputs: Inputs,
    image_size: int,
    views: int = 1,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    cached: bool = True,
) -> np.ndarray:
    """Return the inputs of a method for every image, from the cache or computed now.

    Args:
        dataset: Dataset of N images.
        backbone: The frozen image encoder; None for `"pixels"`.
        inputs: `"features"` (pooled), `"patches"` (pooled first, then the patch tokens) or `"pixels"` (no
            backbone).
        image_size: Side S in pixels: the backbone's own, or any for `"pixels"`.
        views: Number V of views, at least 1. View 0 is the plain transform, the others are seeded random
            crops and flips.
        cache_dir: Folder of the cache; None for the usual one (`raysim.data.memo.cache_folder`).
        progress: Called with the number of computed images and of all images.
        cached: Whether the cache is used; without it, nothing is read from it or written to it.

    Returns:
        A read-only memory map, without the cache an array: [N, V, d] float32, [N, V, 1 + M, d] float32 or
        [N, V, S, S, 3] uint8.

    Raises:
        UserError: An impossible size or number of views, an unreadable image, or a folder that cannot be
            written.
    """
    _check_arguments(dataset, backbone, inputs, image_size, views)
    if not cached:
        return np.concatenate([*compute_inputs(dataset, backbone, inputs, image_size, views, progress)])
    key = _key(dataset, backbone, inputs, image_size, views)
    name = f"{dataset.name}-{inputs}-{image_size}px-{views}v"
    return cached_array(
        name,
        key,
        len(dataset),
        cache_dir,
        lambda: compute_inputs(
            dataset.at_hand(cache_dir, progress), backbone, inputs, image_size, views, progress
        ),
    )


def masks(
    dataset: Dataset,
    *,
    image_size: int,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
    cached: bool = True,
) -> np.ndarray:
    """Return the class of every pixel of every image, cut and resized exactly as `"pixels"` inputs are.

    Args:
        dataset: Dataset of N images with masks (`dataset.segments`).
        image_size: Side S in pixels.
        cache_dir: Folder of the cache, as for `features`.
        progress: Called with the number of computed masks and of all masks.
        cached: Whether the cache is used.

    Returns:
        A read-only memory map, without the cache an array, [N, S, S] uint8: indices into `dataset.classes`,
        255 for ignored pixels.

    Raises:
        UserError: A dataset without masks, an impossible size, an unreadable mask, or a folder that cannot be
            written.
    """
    if not dataset.segments:
        raise UserError(
            f"task.kind = 'segmentation' is not allowed: the dataset '{dataset.name}' has no masks; "
            "`raysim data list` names those that have"
        )
    _check_arguments(dataset, None, "pixels", image_size, 1)

    def compute() -> Iterator[np.ndarray]:
        source = dataset.at_hand(cache_dir, progress) if cached else dataset
        return _blocks(
            source,
            lambda index: resize_mask(source.mask(index), image_size),
            lambda block: np.array(block, dtype=np.uint8),
            source.mask,
            progress,
        )

    if not cached:
        return np.concatenate([*compute()])
    picture = np.add.outer(np.arange(37) ** 2, np.arange(53)).astype(np.uint8)
    key = {
        "images": dataset.fingerprint,
        "kind": "masks",
        "image_size": image_size,
        "transform": hashlib.sha256(resize_mask(picture, image_size).tobytes()).hexdigest(),
        "libraries": {name: version(name) for name in ("numpy", "pillow")},
    }
    return cached_array(f"{dataset.name}-masks-{image_size}px", key, len(dataset), cache_dir, compute)


def _check_arguments(
    dataset: Dataset, backbone: Encoder | None, inputs: Inputs, image_size: int, views: int
) -> None:
    if (backbone is None) != (inputs == "pixels"):
        raise ValueError(f"inputs = {inputs!r} {'takes no' if inputs == 'pixels' else 'needs a'} backbone")
    if backbone is not None and image_size != backbone.image_size:
        raise UserError(
            f"image size {image_size} is not allowed: the backbone '{backbone.name}' takes images of "
            f"{backbone.image_size} px"
        )
    if views < 1 or image_size < 1:
        raise UserError(f"{views} views of {image_size} px are not allowed: both should be at least 1")
    if dataset.segments and views > 1:
        raise UserError(
            f"task.views = {views} is not allowed: the masks of '{dataset.name}' belong to the plain view; "
            "leave it at 1"
        )


def _key(
    dataset: Dataset, backbone: Encoder | None, inputs: Inputs, image_size: int, views: int
) -> dict[str, Any]:
    """Return everything on which the cached numbers depend."""
    code = {}
    if backbone is None:  # the view of a picture stands for the code that resizes; a backbone says its own
        view = np.ascontiguousarray(resize(probe_picture(), image_size))
        code = {"transform": hashlib.sha256(view.tobytes()).hexdigest()}
    libraries = ["numpy", "pillow"] + (
        ["torch", "torchvision", "open_clip_torch"] if backbone is not None else []
    )
    # files are read by a rule that may change; what a program draws is not read
    rule = {} if dataset.drawn else {"reading": READING_VERSION}
    return {
        **rule,
        "images": dataset.fingerprint,
        "backbone": None if backbone is None else backbone.fingerprint,
        "device": None if backbone is None else backbone.device.type,
        "kind": inputs,
        "image_size": image_size,
        "views": [views, VIEWS_VERSION],
        **code,
        "libraries": {name: version(name) for name in libraries},
    }


def compute_inputs(
    dataset: Dataset,
    backbone: Encoder | None,
    inputs: Inputs,
    size: int,
    views: int,
    progress: Progress | None,
) -> Generator[np.ndarray, None, None]:
    """Yield blocks [B, V, ...] in the order of the images, without the cache; arguments as for `features`."""

    def prepare(index: int) -> list[Any]:
        """Return the views of an image, preprocessed for the backbone where there is one."""
        image = dataset.image(index)
        pictures = [image if backbone is not None else resize(image, size)]
        pictures += [
            random_view(image, size, numpy_rng(0, "view", dataset.fingerprint, index, view))
            for view in range(1, views)
        ]
        return (
            pictures
            if backbone is None
            else [backbone.preprocess(np.ascontiguousarray(picture)) for picture in pictures]
        )

    def block(pictures: list[list[Any]]) -> np.ndarray:
        """Return what is stored of a block of prepared images."""
        if backbone is None:
            return np.array(pictures, dtype=np.uint8)
        with torch.inference_mode():
            return _encode(backbone, inputs, pictures, views)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of each block, so that no rounding depends on the number of cores
    # a GPU has no room for several blocks, and computes one after the other
    one_by_one = backbone is not None and backbone.device.type != "cpu"
    try:
        yield from _blocks(dataset, prepare, block, dataset.image, progress, one_by_one)
    finally:
        torch.set_num_threads(threads)


def _blocks(
    dataset: Dataset,
    prepare: Callable[[int], T],
    finish: Callable[[list[T]], np.ndarray],
    read: Callable[[int], Any],
    progress: Progress | None,
    one_by_one: bool = False,
) -> Iterator[np.ndarray]:
    """Yield `finish` of the prepared images of block after block of B; one thread per core works ahead.

    `one_by_one`: no two blocks are finished at the same time. Where an image cannot be read, all others are
    read too, so that the error names every one.
    """
    images, threads = len(dataset), min(8, usable_cores())
    starts, ahead = iter(range(0, images, BATCH)), deque[Future[np.ndarray]]()
    readers = ThreadPoolExecutor(threads)
    finishers = ThreadPoolExecutor(
        1 if one_by_one else threads, initializer=torch.set_num_threads, initargs=(1,)
    )

    def submit(start: int) -> Future[np.ndarray]:
        prepared = [readers.submit(prepare, index) for index in range(start, min(start + BATCH, images))]
        return finishers.submit(lambda: finish([future.result() for future in prepared]))

    try:
        for start in range(0, images, BATCH):
            ahead += map(submit, islice(starts, 1 + threads - len(ahead)))
            try:
                block = ahead.popleft().result()
            except UnreadableImage:
                each_readable(dataset.name, lambda index: read(index).size, images)
                raise
            yield block
            if progress is not None:
                progress(start + len(block), images)
    finally:  # of what nobody waits for, no more than has begun is finished
        for pool in (readers, finishers):
            pool.shutdown(cancel_futures=True)


def _encode(backbone: Encoder, inputs: Inputs, block: list[list[torch.Tensor]], views: int) -> np.ndarray:
    """Encode a block as [B, V, ...] float32.

    Each view is its own batch, so that view 0 does not depend on the number of views.
    """
    encoded = [
        backbone.encode_images(torch.stack([row[view] for row in block]), patches=inputs == "patches")
        for view in range(views)
    ]
    return torch.stack(encoded, dim=1).float().cpu().numpy()
