"""Diagnosis of a method: measurements for the analyst, which do not affect training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from raysim.core.types import ServerState, Signature, Tensors


class Diagnosis:
    """The analyst's questions to a method; by default every answer is empty."""

    @property
    def watched(self) -> Mapping[str, str]:
        """The failure signatures that `failures` can find with these hyperparameters, and their meanings."""
        return {}

    def class_ratios(self, state: ServerState) -> torch.Tensor | None:
        """Return the weights [C] of the classes that the server sends next; None without such weights."""
        return None

    def observe(self, model: Any, params: Tensors) -> Tensors:
        """Measure each client's model at an evaluation, without gradient; each measurement is [K]."""
        return {}

    def gallery(self, model: Any, row: Tensors, x: torch.Tensor) -> Tensors:
        """Return the "soft" and "hard" masks [N, h, w] with which a model looks at images `x` [N, ...]."""
        return {}

    def failures(self, rounds: Sequence[Mapping[str, Any]]) -> list[Signature]:
        """Return the failure signatures that a finished run shows.

        Args:
            rounds: The rows of its `rounds` table on validation, in order.
        """
        return []
