"""Counts of correct predictions: the server's models and the clients' own models on a split.

Shapes: K clients of a micro-cohort, M models of the server, N images of a split, C classes, D domains, S x S
pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from raysim.core.types import MicroCohort, Scope, Score, ServerState, Split, Tensors
from raysim.nn.rows import stack
from raysim.simulation.accuracy import intersection_union
from raysim.simulation.finite import finite_logits
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
        answers = [self._count(row, "shared", split) for row in models]
        counted = [answer for answer in answers if answer is not None]
        if not counted:
            return None
        novel = novel_accuracy(self.experiment, self.device, models, split)
        kept = [right for _, right in counted if right is not None and self._keeps_images(state, split)]
        correct = np.mean([correct for correct, _ in counted], axis=0)
        return Score(index, "shared", (), correct, novel=novel, right=np.concatenate(kept) if kept else None)

    def score_clients(self, state: ServerState, cohort: MicroCohort, split: Split) -> Score | None:
        """Score each client's own model, tuned first where the method says so."""
        flops = 0.0
        if epochs := self.method.traits.tuning_epochs:
            trained = self.training.fit(state, cohort, epochs, TUNE)
            rows, flops = trained.rows, trained.flops
        else:
            rows = self.training.start(state, cohort).rows
        params = stack(rows, self.device)
        answer = self._count(params, "personal", split)
        if answer is None:
            return None
        correct, right = answer
        kept = right if self._keeps_images(state, split) else None
        observed = self._observe(params)
        return Score(cohort.index, "personal", cohort.clients, correct, flops, observed, right=kept)

    def _keeps_images(self, state: ServerState, split: Split) -> bool:
        """Whether a score says which images are right: of the final state, and of the test split."""
        return split == "test" or state.round == self.experiment.total_rounds

    @torch.no_grad()
    def _observe(self, params: Tensors) -> dict[str, np.ndarray]:
        """Return the method's own measures of the clients' models, each [K]."""
        measures = self.method.diagnosis.observe(self.model, params)
        return {name: value_K.double().cpu().numpy() for name, value_K in measures.items()}

    @torch.no_grad()
    def _count(
        self, params: Tensors, scope: Scope, split: Split
    ) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Count correct predictions, and tell which they are.

        Returns:
            `Score.correct` and `Score.right`, the latter None where pixels are classified; None where the
            method has no such model.
        """
        cells = len(self.images.class_names) * len(self.images.domain_names)
        if self.frozen.masks is not None:
            areas = self._count_pixels(params, scope, split, cells, self.frozen.masks)
            return None if areas is None else (areas, None)
        x, y, cell = evaluation_images(self.experiment, self.device, split)
        logits = finite_logits(self.method.predict(self.model, params, x, scope))
        if logits is None:
            return None
        right_KN = logits.argmax(dim=2) == y
        counts = torch.zeros(len(right_KN), cells, dtype=torch.float64, device=x.device)
        counts.index_add_(1, cell, right_KN.double())
        return counts.cpu().numpy(), np.packbits(right_KN.cpu().numpy(), axis=1)

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
            logits = finite_logits(self.method.predict(self.model, params, x, scope))
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
