"""Floors of an evaluation: what needs no federated training at all.

Two of them stand beside every accuracy. *Majority*: each client always names the class that most of its
training images have, by the labels that it holds. *Zero-shot*: the frozen backbone with the dataset's prompt
template, as method `zeroshot` has it; methods that read pixels have no zero-shot.

Shapes: K clients, C classes, G = cells of class and domain, N images of a split.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch

from raysim.core.columns import FLOOR_COLUMNS, TableRow
from raysim.core.types import ServerState, Split
from raysim.core.warm import kept
from raysim.experiment.records import Experiment
from raysim.methods.prompts.zeroshot import ZeroShot
from raysim.simulation.accuracy import cell_totals, mean, measure_of
from raysim.simulation.engine import Engine
from raysim.simulation.federation import Federation
from raysim.simulation.images import evaluation_images, frozen_of, pixel_counts
from raysim.simulation.training import one_thread
from raysim.simulation.worker import Worker


@dataclass(frozen=True)
class Floors:
    """The floors of one split; the same in every round.

    Attributes:
        federation: The clients and their images.
        split: The split.
        zeroshot: Which images zero-shot names rightly. [N] bool; None without a backbone that reads them.
        pixels: Pixels of each class in every image; None unless pixels are classified. [images, C]
    """

    federation: Federation
    split: Split
    zeroshot: np.ndarray | None
    pixels: np.ndarray | None

    @classmethod
    def of(
        cls, engine: Engine, experiment_text: str, federation: Federation, split: Split, state: ServerState
    ) -> Floors:
        """Ask a worker for what only workers can tell: it has the backbone and the masks.

        Args:
            engine: Where the worker is.
            experiment_text: The experiment as engines take it (`raysim.experiment.records.identity`).
            federation: The clients.
            split: The split.
            state: Any state of the server; no floor depends on it.
        """
        experiment = federation.experiment
        zeroshot = pixels = None
        if experiment.task.kind == "segmentation":
            pixels = engine.run(experiment_text, _pixels, state)
        elif experiment.method.traits.inputs != "pixels":
            zeroshot = engine.run(experiment_text, partial(_zeroshot, split=split), state)
        return cls(federation, split, zeroshot, pixels)

    def columns(self, sample: Iterable[int]) -> TableRow:
        """Return the mean accuracies of both floors over these clients, in the measure of a method's own."""
        federation, total, measure = self.federation, self._total, measure_of(self.federation)
        pairs = []
        for client in sample:
            frequencies = federation.frequencies[client]
            counts = (self.majority_counts(self.majority_class(client)), self._zeroshot_counts)
            pairs.append(
                [
                    None if correct is None else measure(correct, total, weights)
                    for correct in counts
                    for weights in (frequencies, None)
                ]
            )
        return {name: mean(values) for name, *values in zip(FLOOR_COLUMNS, *pairs, strict=True)}

    def majority_class(self, client: int) -> int:
        """Return the class of most of a client's images, or of most of its pixels; of equals the first."""
        shard, classes = self.federation.shards[client], len(self.federation.images.class_names)
        if self.pixels is not None:
            return int(self.pixels[shard].sum(axis=0).argmax())
        return int(np.bincount(self.federation.training_labels[shard], minlength=classes).argmax())

    def majority_counts(self, label: int) -> np.ndarray:
        """Return the counts of a model that always names this class, as `Score.correct` has them.

        [G], in segmentation [G, C, 2]: the class is predicted at every pixel, so its union is all of them.
        """
        domains = len(self.federation.images.domain_names)
        if self._cell_pixels is None:
            return np.where(np.arange(len(self._total)) // domains == label, self._total, 0.0)
        areas = np.stack([np.zeros_like(self._cell_pixels), self._cell_pixels], axis=-1)
        areas[:, label] = np.stack([self._cell_pixels[:, label], self._cell_pixels.sum(axis=1)], axis=-1)
        return areas

    @cached_property
    def _total(self) -> np.ndarray:
        return cell_totals(self.federation, self.split)

    @cached_property
    def _zeroshot_counts(self) -> np.ndarray | None:
        if self.zeroshot is None:
            return None
        return np.bincount(cells_of(self.federation, self.split)[self.zeroshot], minlength=len(self._total))

    @cached_property
    def _cell_pixels(self) -> np.ndarray | None:
        """Pixels of each class in the images of each cell of the split, [G, C]; None unless segmented."""
        if self.pixels is None:
            return None
        counts = np.zeros((len(self._total), self.pixels.shape[1]))
        np.add.at(
            counts,
            cells_of(self.federation, self.split),
            self.pixels[self.federation.images.indices(self.split)],
        )
        return counts


def cells_of(federation: Federation, split: Split) -> np.ndarray:
    """Return [N] the cell of each image of a split: class * domains + domain."""
    images = federation.images
    indices = images.indices(split)
    return images.labels[indices] * len(images.domain_names) + images.domains[indices]


def _pixels(worker: Worker, _state: ServerState) -> np.ndarray:
    return pixel_counts(worker.experiment, worker.device)


def _zeroshot(worker: Worker, _state: ServerState, split: Split) -> np.ndarray:
    return zeroshot_right(worker.experiment, worker.device, split)


def _zeroshot_key(experiment: Experiment, device: torch.device, split: Split) -> tuple[object, ...]:
    """Return what zero-shot depends on; the seed, how images are drawn and the training are no part of it."""
    return experiment.task, experiment.scenario.source, experiment.method.traits.inputs, device, split


@kept("zero-shot", maxsize=8, key=_zeroshot_key)
def zeroshot_right(experiment: Experiment, device: torch.device, split: Split) -> np.ndarray:
    """Return [N] which images of a split zero-shot names rightly, from the features that the method reads."""
    method = ZeroShot()
    x, y, _ = evaluation_images(experiment, device, split)
    with one_thread(), torch.no_grad():
        pooled = x if x.ndim == 2 else x[:, 0]  # patches stand behind the pooled feature
        logits_1NC = method.predict(method.build(frozen_of(experiment, device).context), {}, pooled, "shared")
        assert logits_1NC is not None
        right: np.ndarray = (logits_1NC.argmax(dim=2)[0] == y).cpu().numpy()
    return right
