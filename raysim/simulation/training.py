"""One stacked local training loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch

from raysim.core.types import Tensors

Metrics = dict[str, torch.Tensor]


Numbers = dict[str, tuple[np.ndarray, np.ndarray]]


TUNE = "finetune"  # the purpose of batches that tune a shared model before use


@contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread, as in every worker: the number of threads changes float sums."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@dataclass(frozen=True)
class _Fitted:
    """Trained clients: their rows, what came down to them, what they had kept, their steps, metrics and FLOPs."""

    rows: list[Tensors]
    received: Tensors
    privates: list[Tensors]
    steps: list[int]
    metrics: Numbers
    flops: float
