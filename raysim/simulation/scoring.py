"""Counts of correct predictions: the server's models and the clients' own models on a split.

Shapes: K clients of a micro-cohort, N images of a split, C classes, D domains, S pixels a side.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from raysim.core.types import MicroCohort, Scope, Score, ServerState, Split, Tensors
from raysim.nn.rows import stack
from raysim.simulation.accuracy import intersection_union
from raysim.simulation.images import evaluation_images
from raysim.simulation.novel import novel_accuracy
from raysim.simulation.training import TUNE, LocalTraining

IMAGES_AT_ONCE = 16  # images whose pixels are classified together; fixed, so that no number depends on memory


class Scoring:
    """Scores models on the images of a split."""

    def __init__(self, training: LocalTraining) -> None:
        self.training = training
        self.experiment, self.method, self.model = training.experiment, training.method, training.model
        self.frozen, self.images = training.batches.frozen, training.batches.federation.images
        self.device = self.frozen.context.device

    def score_server(self, state: ServerState, index: int, split: Split) -> Score | None:
        """Score the server's models; the counts are their mean. None for a method without any."""
        models = [stack([row], self.device) for row in self.method.server_models(state)]
        counts = [self._count(row, "shared", split) for row in models]
        correct = [count for count in counts if count is not None]
        if not correct:
            return None
        novel = novel_accuracy(self.experiment, self.device, models, split)
        return Score(index, "shared", (), np.mean(correct, axis=0), novel=novel)

    def score_clients(self, state: ServerState, cohort: MicroCohort, split: Split) -> Score | None:
        """Score each client's own model, tuned first where the method says so."""
        flops = 0.0
        if epochs := self.method.traits.tuning_epochs:
            trained = self.training.fit(state, cohort, epochs, TUNE)
            rows, flops = trained.rows, trained.flops
        else:
            rows = self.training.start(state, cohort).rows
        params = stack(rows, self.device)
        correct = self._count(params, "personal", split)
        if correct is None:
            return None
        return Score(cohort.index, "personal", cohort.clients, correct, flops, self._observe(params))

    @torch.no_grad()
    def _observe(self, params: Tensors) -> dict[str, np.ndarray]:
        """Return the method's own measures of the clients' models, each [K]."""
        measures = self.method.diagnosis.observe(self.model, params)
        return {name: value_K.double().cpu().numpy() for name, value_K in measures.items()}

    @torch.no_grad()
    def _count(self, params: Tensors, scope: Scope, split: Split) -> np.ndarray | None:
        """Count correct predictions as in `Score.correct`; None where the method has no such model."""
        cells = len(self.images.class_names) * len(self.images.domain_names)
        if self.frozen.masks is not None:
            return self._count_pixels(params, scope, split, cells, self.frozen.masks)
        x, y, cell = evaluation_images(self.experiment, self.device, split)
        logits = self.method.predict(self.model, params, x, scope)
        if logits is None:
            return None
        correct_KN = (logits.argmax(dim=2) == y).double()
        counts = torch.zeros(len(correct_KN), cells, dtype=torch.float64, device=x.device)
        return counts.index_add_(1, cell, correct_KN).cpu().numpy()

    def _count_pixels(
        self, params: Tensors, scope: Scope, split: Split, cells: int, masks: np.ndarray
    ) -> np.ndarray | None:
        """Add up intersections and unions in pixels, [K, C * D, C, 2]."""
        images, classes = self.images.indices(split), len(self.images.class_names)
        cell = self.images.labels[images] * len(self.images.domain_names) + self.images.domains[images]
        total: Any = None
        for start in range(0, len(images), IMAGES_AT_ONCE):
            part = slice(start, start + IMAGES_AT_ONCE)
            x = torch.from_numpy(self.frozen.x[images[part], 0]).to(self.device)
            logits = self.method.predict(self.model, params, x, scope)
            if logits is None:
                return None
            areas = np.stack(
                [
                    intersection_union(predicted, masks[images[part]], cell[part], cells, classes)
                    for predicted in logits.argmax(dim=2).cpu().numpy()
                ]
            )
            total = areas if total is None else total + areas
        return total
