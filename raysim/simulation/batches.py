"""Batches of stacked clients, cut from the frozen images.

Shapes: K clients of a micro-cohort, B images of a batch, n samples of the server, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch

from raysim.core.seeds import numpy_rng
from raysim.core.types import POOLED, Batch
from raysim.simulation.federation import Federation
from raysim.simulation.images import Frozen, pixel_counts


class Batches:
    """Source of all batches: those of clients, and the server's own samples."""

    def __init__(self, federation: Federation, frozen: Frozen) -> None:
        self.federation, self.frozen = federation, frozen
        self.experiment = federation.experiment

    def plan(self, client: int, round_: int, epochs: int, purpose: str) -> list[np.ndarray]:
        """Choose the batches of one client in one round.

        Args:
            client: Number of the client.
            round_: Number of the round, from 0.
            epochs: Passes over the client's images.
            purpose: What the batches are for; part of the address of the random numbers.

        Returns:
            One array of (image, view) pairs per optimiser step. [B, 2]
        """
        shard = self.federation.shard(client)
        rng = numpy_rng(self.experiment.seed, purpose, round_, client)
        size, views = self.experiment.training.batch, self.frozen.x.shape[1]
        steps = []
        for _ in range(epochs):
            pairs = np.stack([rng.permutation(shard), rng.integers(views, size=len(shard))], axis=1)
            steps += [pairs[start : start + size] for start in range(0, len(pairs), size)]
        return steps

    def stack(self, parts: Sequence[np.ndarray], rngs: tuple[torch.Generator, ...] = ()) -> Batch:
        """Stack one batch per client; short ones are padded with images of weight 0.

        Args:
            parts: The (image, view) pairs of each client. K arrays [B, 2]
            rngs: A generator per client, for noise inside the model.
        """
        width = max(len(part) for part in parts)
        pairs_KB2 = np.zeros((len(parts), width, 2), dtype=np.int64)
        weight_KB = np.zeros((len(parts), width), dtype=np.float32)
        for k, part in enumerate(parts):
            pairs_KB2[k, : len(part)], pairs_KB2[k, len(part) :], weight_KB[k, : len(part)] = part, part[0], 1
        images_KB, views_KB = pairs_KB2[..., 0], pairs_KB2[..., 1]
        x = self.frozen.x[images_KB, views_KB]
        masks = self.frozen.masks
        y = self.federation.training_labels[images_KB] if masks is None else masks[images_KB].astype(np.int64)
        x_KB, y_KB, w_KB = (to_device(array, self.frozen.context.device) for array in (x, y, weight_KB))
        return Batch(x_KB, y_KB, w_KB, rngs, tuple(map(len, parts)))

    @cached_property
    def server_samples(self) -> Batch:
        """The server's own labelled samples, plain view, as one batch [1, n, ...]."""
        samples = self.federation.samples
        return self.stack([np.stack([samples, np.zeros_like(samples)], axis=1)])

    def class_totals(self) -> np.ndarray:
        """Training images per class over all clients, [C]; for segmentation, training pixels."""
        classes, images = len(self.federation.images.class_names), self.federation.shard(POOLED)
        if self.frozen.masks is None:
            return np.bincount(self.federation.images.labels[images], minlength=classes)
        counts: np.ndarray = pixel_counts(self.experiment, self.frozen.context.device)[images].sum(axis=0)
        return counts


def to_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array as a tensor on the device. A GPU copies it meanwhile, and nobody waits for that."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
