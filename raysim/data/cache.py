"""The feature cache: what a frozen backbone makes of every image, computed once and memory-mapped by every process.

Pixels without a backbone and the masks of segmentation lie here too.

Shapes: N images, V views, d features, M patches, S pixels a side, B images a batch, H and W pixels of a raw
image.

One Arrow IPC file per (images, backbone, kind, size, views, transform, library versions): a single record
batch with a fixed-shape-tensor column, so that the mapped file is the array. The SHA-256 of the array is kept
in the file and compared on load.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
import pyarrow as pa
import torch
from filelock import FileLock
from PIL import Image

from raysim.core.config import canonical, digest
from raysim.core.errors import UserError
from raysim.core.seeds import numpy_rng
from raysim.data.dataset import Dataset

Kind = Literal["features", "patches", "pixels"]
Progress = Callable[[int, int], None]
T = TypeVar("T")

BATCH = 32  # fixed: the sums inside a matrix product may depend on it
VIEWS_VERSION = 1  # to be raised when `random_view` or `resize` changes
LOG = logging.getLogger(__name__)


class Encoder(Protocol):
    """A frozen image encoder, such as `raysim.backbones.Backbone`: what the cache asks of it."""

    @property
    def clip(self) -> Any:
        """The module, in evaluation mode."""

    @property
    def name(self) -> str:
        """As asked for, for messages."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 over weights, architecture and preprocessing."""

    @property
    def image_size(self) -> int:
        """S, pixels."""

    def preprocess(self, image: np.ndarray, /) -> torch.Tensor:
        """[H, W, 3] uint8 -> [3, S, S] standardised."""

    def encode_images(self, images: torch.Tensor, /, patches: bool = False) -> torch.Tensor:
        """[B, 3, S, S] -> [B, d], or with patches [B, 1 + M, d]."""


def features(
    dataset: Dataset,
    backbone: Encoder | None,
    *,
    kind: Kind,
    image_size: int,
    views: int = 1,
    cache_dir: Path | None = None,
    progress: Progress | None = None,
) -> np.ndarray:
    """What the backbone makes of every image: from the cache, or computed now and kept.

    Safe when several processes ask at once: one computes, the others wait. A damaged file is computed again,
    with a warning.

    Args:
        dataset: N images.
        backbone: The frozen image tower; None for `"pixels"`.
        kind: `"features"` (pooled), `"patches"` (pooled first, then the patch tokens) or `"pixels"` (no
            backbone).
        image_size: S, pixels a side; the backbone's own, or any for `"pixels"`.
        views: V, at least 1. View 0 is the plain transform, views 1.. are seeded random crops and flips.
        cache_dir: Where the files lie; None for `$RAYSIM_CACHE`, else `~/.cache/raysim`.
        progress: Called with the images done and their number, while computing.

    Returns:
        A read-only memory map: [N, V, d] float32, [N, V, 1+M, d] float32 or [N, V, S, S, 3] uint8.

    Raises:
        UserError: An impossible size or number of views, an unreadable image, or a folder that cannot be
            written.
    """
    _check_arguments(dataset, backbone, kind, image_size, views)
    key = _key(dataset, backbone, kind, image_size, views)
    name = f"{dataset.name}-{kind}-{image_size}px-{views}v"
    return _kept(
        name,
        key,
        len(dataset),
        cache_dir,
        lambda: _compute(dataset, backbone, kind, image_size, views, progress),
    )


def masks(
    dataset: Dataset, *, image_size: int, cache_dir: Path | None = None, progress: Progress | None = None
) -> np.ndarray:
    """The class of every pixel of every image, cut and resized exactly as the images of kind `"pixels"` are.

    Args:
        dataset: N images with masks (`dataset.segments`).
        image_size: S, pixels a side.
        cache_dir: As for `features`.
        progress: Called with the masks done and their number, while computing.

    Returns:
        A read-only memory map, [N, S, S] uint8: indices into `dataset.classes`, 255 = ignore.

    Raises:
        UserError: A dataset without masks, an impossible size, an unreadable mask, or a folder that cannot be
            written.
    """
    if not dataset.segments:
        raise UserError(
            f"task.kind = 'segmentation' is not allowed: the dataset '{dataset.name}' has no masks; "
            "`raysim data list` shows which have"
        )
    _check_arguments(dataset, None, "pixels", image_size, 1)
    picture = np.add.outer(np.arange(37) ** 2, np.arange(53)).astype(np.uint8)
    key = {
        "images": dataset.fingerprint,
        "kind": "masks",
        "image_size": image_size,
        "transform": hashlib.sha256(resize_mask(picture, image_size).tobytes()).hexdigest(),
        "libraries": {name: version(name) for name in ("numpy", "pillow")},
    }

    def compute() -> Iterator[np.ndarray]:
        for block in _blocks(
            len(dataset), lambda index: resize_mask(dataset.mask(index), image_size), progress
        ):
            yield np.array(block, dtype=np.uint8)

    return _kept(f"{dataset.name}-masks-{image_size}px", key, len(dataset), cache_dir, compute)


def _kept(
    name: str,
    key: dict[str, Any],
    images: int,
    cache_dir: Path | None,
    compute: Callable[[], Iterator[np.ndarray]],
) -> np.ndarray:
    """The mapped file of this name and key: found, or written now from the blocks that `compute` yields."""
    folder = cache_folder(cache_dir)
    path = folder / f"{name}-{digest(key, 20)}.arrow"
    cached = _load(path, canonical(key), images) if path.exists() else None
    if cached is not None:
        return cached
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            cached = _load(path, canonical(key), images) if path.exists() else None
            if cached is None:
                if path.exists():
                    LOG.warning(
                        "the cache file %s is damaged or of another version; it is computed again", path
                    )
                _store(path, canonical(key), compute())
                cached = _load(path, canonical(key), images)
    except OSError as error:
        raise UserError(
            f"cannot write the feature cache in {folder} ({error.strerror or error}); set RAYSIM_CACHE to "
            "a folder with write "
            f"permission and free space"
        ) from error
    if cached is None:
        raise UserError(
            f"the cache file {path} cannot be read back right after it was written: set RAYSIM_CACHE to a "
            "sound disk"
        )
    return cached


def cache_folder(cache_dir: Path | None = None) -> Path:
    """The folder of the cache: the argument, else `$RAYSIM_CACHE`, else `~/.cache/raysim`."""
    return Path(cache_dir or os.environ.get("RAYSIM_CACHE") or Path("~/.cache/raysim")).expanduser()


def resize(image: np.ndarray, size: int) -> np.ndarray:
    """Bicubic resize of the shorter side to `size`, then the centre square.

    Args:
        image: [H, W, 3] uint8.
        size: S in pixels.

    Returns:
        [S, S, 3] uint8.
    """
    return _centre_square(image, size, Image.Resampling.BICUBIC)


def resize_mask(mask: np.ndarray, size: int) -> np.ndarray:
    """The same part of a mask as `resize` takes of its image; every pixel keeps one of the mask's own values (nearest neighbour).

    Args:
        mask: [H, W] uint8.
        size: S in pixels.

    Returns:
        [S, S] uint8.
    """
    return _centre_square(mask, size, Image.Resampling.NEAREST)


def _centre_square(image: np.ndarray, size: int, resampling: Image.Resampling) -> np.ndarray:
    height, width = image.shape[:2]
    scale = size / min(height, width)
    wide, high = max(size, round(width * scale)), max(size, round(height * scale))
    left, top = (wide - size) // 2, (high - size) // 2
    resized = Image.fromarray(image).resize((wide, high), resampling)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def random_view(image: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random crop of half to all of the area and of aspect 3:4 to 4:3, resized (bicubic), mirrored half of the times.

    Args:
        image: [H, W, 3] uint8.
        size: S in pixels.
        rng: Draws area, aspect, place and mirroring.

    Returns:
        [S, S, 3] uint8.
    """
    height, width = image.shape[:2]
    area, aspect, down, right, mirror = rng.random(5)
    side = np.sqrt((0.5 + 0.5 * area) * height * width)
    stretch = np.exp((aspect - 0.5) * np.log(4 / 3))  # the root of the aspect ratio
    wide, high = min(width, max(1, round(side * stretch))), min(height, max(1, round(side / stretch)))
    left, top = int(right * (width - wide + 1)), int(down * (height - high + 1))
    crop = Image.fromarray(image).resize(
        (size, size), Image.Resampling.BICUBIC, box=(left, top, left + wide, top + high)
    )
    return np.asarray(crop)[:, ::-1] if mirror < 0.5 else np.asarray(crop)


def _check_arguments(
    dataset: Dataset, backbone: Encoder | None, kind: Kind, image_size: int, views: int
) -> None:
    if (backbone is None) != (kind == "pixels"):
        raise ValueError(f"kind {kind!r} {'takes no' if kind == 'pixels' else 'needs a'} backbone")
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
    dataset: Dataset, backbone: Encoder | None, kind: Kind, image_size: int, views: int
) -> dict[str, Any]:
    """Everything that the cached numbers depend on."""
    # A fixed picture sent through the transform stands for the transform: sizes, interpolation, mean and
    # deviation.
    picture = (
        np.add.outer(np.arange(37) ** 2, np.arange(53))[:, :, None] * np.array([3, 5, 7]) % 256
    ).astype(np.uint8)
    seen = resize(picture, image_size) if backbone is None else backbone.preprocess(picture).numpy()
    libraries = ["numpy", "pillow"] + (
        ["torch", "torchvision", "open_clip_torch"] if backbone is not None else []
    )
    return {
        "images": dataset.fingerprint,
        "backbone": None if backbone is None else backbone.fingerprint,
        "device": None if backbone is None else next(backbone.clip.parameters()).device.type,
        "kind": kind,
        "image_size": image_size,
        "views": [views, VIEWS_VERSION],
        "transform": hashlib.sha256(np.ascontiguousarray(seen).tobytes()).hexdigest(),
        "libraries": {name: version(name) for name in libraries},
    }


def _compute(
    dataset: Dataset, backbone: Encoder | None, kind: Kind, size: int, views: int, progress: Progress | None
) -> Iterator[np.ndarray]:
    """Blocks [B, V, ...] in the order of the images."""

    def prepare(index: int) -> list[Any]:
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

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so that no sum depends on the number of cores
    try:
        with torch.inference_mode():
            for block in _blocks(len(dataset), prepare, progress):
                yield (
                    np.array(block, dtype=np.uint8)
                    if backbone is None
                    else _encode(backbone, kind, block, views)
                )
    finally:
        torch.set_num_threads(threads)


def _blocks(images: int, prepare: Callable[[int], T], progress: Progress | None) -> Iterator[list[T]]:
    """What `prepare` makes of every index, in order and in blocks of B; a few threads prepare the next block meanwhile."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        ahead = [pool.submit(prepare, index) for index in range(min(BATCH, images))]
        for start in range(0, images, BATCH):
            block = [future.result() for future in ahead]
            ahead = [
                pool.submit(prepare, index) for index in range(start + BATCH, min(start + 2 * BATCH, images))
            ]
            yield block
            if progress is not None:
                progress(start + len(block), images)


def _encode(backbone: Encoder, kind: Kind, block: list[list[torch.Tensor]], views: int) -> np.ndarray:
    """[B, V, ...] float32; each view is a batch of its own, so that view 0 is the same whatever their number."""
    encoded = [
        backbone.encode_images(torch.stack([row[view] for row in block]), patches=kind == "patches")
        for view in range(views)
    ]
    return torch.stack(encoded, dim=1).float().cpu().numpy()


def _store(path: Path, key: str, blocks: Iterator[np.ndarray]) -> None:
    """Write the blocks as one Arrow file; it appears under its name when it is complete.

    The blocks go to a plain file first, which is then mapped and written as one record batch: the array is
    never in memory.
    """
    plain, scratch = path.with_suffix(".blocks"), path.with_suffix(".building")
    content, shape, dtype = hashlib.sha256(), (0,), np.dtype(np.uint8)
    try:
        with plain.open("wb") as file:
            for block in blocks:
                block = np.ascontiguousarray(block)
                content.update(block.data)
                file.write(block.data)
                shape, dtype = (shape[0] + len(block), *block.shape[1:]), block.dtype
        tensors = pa.FixedShapeTensorArray.from_numpy_ndarray(
            np.memmap(plain, dtype=dtype, mode="r", shape=shape)
        )
        schema = pa.schema(
            [pa.field("values", tensors.type)],
            metadata={"raysim.key": key, "raysim.sha256": content.hexdigest()},
        )
        with pa.OSFile(str(scratch), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_batch(pa.record_batch([tensors], schema=schema))
        os.replace(scratch, path)
    finally:
        plain.unlink(missing_ok=True)
        scratch.unlink(missing_ok=True)


def _load(path: Path, key: str, images: int) -> np.ndarray | None:
    """Map the file and verify its content; None where it is not what was written."""
    try:
        reader = pa.ipc.open_file(pa.memory_map(str(path)))
        metadata = reader.schema.metadata or {}
        if metadata.get(b"raysim.key") != key.encode() or reader.num_record_batches != 1:
            return None
        values = reader.get_batch(0).column("values").to_numpy_ndarray()
    except (pa.ArrowException, OSError, KeyError, AttributeError, ValueError):
        return None
    if len(values) != images or hashlib.sha256(values.data).hexdigest().encode() != metadata.get(
        b"raysim.sha256"
    ):
        return None
    return values
