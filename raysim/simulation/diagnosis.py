"""Diagnosis of a run for the analyst: class ratios, a gallery of masks, and failure signatures.

Methods must not see it, because they may not know how frequent a class is.

Shapes: C classes.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from raysim.core.columns import TableRow
from raysim.core.types import RoundRecord, ServerState
from raysim.methods.base import Method
from raysim.simulation.engine import Engine
from raysim.simulation.gallery import gallery
from raysim.storage.store import Store


class RunDiagnosis:
    """Adds the diagnostic columns to records, and writes gallery and signatures at the end of a run."""

    def __init__(
        self, method: Method, images_C: np.ndarray, class_names: tuple[str, ...], store: Store
    ) -> None:
        """Remember what stays the same over the rounds.

        Args:
            method: The method.
            images_C: Training images (pixels, for segmentation) per class. [C]
            class_names: Names of the classes. C
            store: The folder of the run.
        """
        self.method, self.images_C, self.class_names, self.store = method, images_C, class_names, store

    def with_ratios(
        self, record: RoundRecord, state: ServerState, previous: ServerState | None
    ) -> RoundRecord:
        """Add the class ratios that the server sends next: a row per class, and their summary.

        Args:
            record: The record of the round.
            state: The state after the round.
            previous: The state before it; None for the record before training.
        """
        ratios_C = self.method.diagnosis.class_ratios(state)
        if ratios_C is None:
            return record
        rows = [
            {
                "label": label,
                "class_name": name,
                "cr": float(ratios_C[label]),
                "images": int(self.images_C[label]),
            }
            for label, name in enumerate(self.class_names)
        ]
        before_C = None if previous is None else self.method.diagnosis.class_ratios(previous)
        columns = {
            "cr_spearman": self._rank_correlation(ratios_C),
            "cr_min": float(ratios_C.min()),
            "cr_max": float(ratios_C.max()),
            "cr_jump": None if before_C is None else float((ratios_C - before_C).abs().mean()),
        }
        return replace(record, row={**record.row, **columns}, ratios=rows)

    def _rank_correlation(self, ratios_C: torch.Tensor) -> float | None:
        """Spearman's correlation of the ratios and the inverse frequencies; None where either is constant."""
        from scipy.stats import spearmanr  # half a second, and most methods have no ratios

        present = self.images_C > 0
        images, ratios = self.images_C[present], ratios_C[present]
        if len(set(images)) < 2 or len(set(ratios.tolist())) < 2:
            return None
        return float(spearmanr(ratios.numpy(), 1.0 / images).statistic)

    def write(self, engine: Engine, experiment_text: str, state: ServerState) -> TableRow:
        """Write the gallery and the signatures of a finished run.

        Args:
            engine: Where the gallery is computed.
            experiment_text: The experiment as engines take it (`raysim.experiment.records.identity`).
            state: The final state.

        Returns:
            What run.json says about the signatures.
        """
        pictures = engine.run(experiment_text, gallery, state)
        if pictures is not None:
            self.store.write_gallery(pictures, state.round)
        failures = self.method.diagnosis.failures(self.store.rounds())
        self.store.write_signatures(failures, state.round)
        watched: dict[str, Any] = dict(self.method.diagnosis.watched)
        return {"signatures": [failure.name for failure in failures], "signatures_watched": watched}
